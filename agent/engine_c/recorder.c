/* The built-in hook, first in the order: it turns events into Lifetimes.

   Twin of agent/engine/recorder.py; `describe`, `end_span` and `failed` are there.

   - The open lifetimes are a list linked through themselves, oldest first, that is by id: to enter
     it and to leave it costs a few writes, and nothing is looked up.
   - Who wants to go through them is given a Python list, made at once: they come and go in any
     thread whenever the GIL is given up. */

#include "engine.h"
#include "structmember.h"

PyTypeObject *Recorder_Type;

/* ---- the open lifetimes ------------------------------------------------------------------- */

static RecordedLifetime *oldest, *newest;
static Py_ssize_t number_open;

/* Ids are given in order, but between that and this any code may have run. */
static void
list_add(RecordedLifetime *lifetime)
{
    RecordedLifetime *before = newest;
    while (UNLIKELY(before != NULL && before->base.async_id > lifetime->base.async_id)) {
        before = before->older;
    }
    RecordedLifetime *after = before == NULL ? oldest : before->newer;
    lifetime->older = before;
    lifetime->newer = after;
    *(before == NULL ? &oldest : &before->newer) = lifetime;
    *(after == NULL ? &newest : &after->older) = lifetime;
    lifetime->listed = true;
    number_open++;
    Py_INCREF((PyObject *)lifetime);
}

/* Take one out, with the list's reference to it. */
static void
list_take(RecordedLifetime *lifetime)
{
    RecordedLifetime *before = lifetime->older, *after = lifetime->newer;
    *(before == NULL ? &oldest : &before->newer) = after;
    *(after == NULL ? &newest : &after->older) = before;
    lifetime->older = lifetime->newer = NULL;
    lifetime->listed = false;
    number_open--;
}

/* The one with this id, looked for from the nearer end; or NULL. */
static RecordedLifetime *
list_find(int64_t async_id)
{
    if (newest == NULL) {
        return NULL;
    }
    RecordedLifetime *found;
    if (newest->base.async_id - async_id < async_id - oldest->base.async_id) {
        for (found = newest; found != NULL && found->base.async_id > async_id;) {
            found = found->older;
        }
    }
    else {
        for (found = oldest; found != NULL && found->base.async_id < async_id;) {
            found = found->newer;
        }
    }
    return found != NULL && found->base.async_id == async_id ? found : NULL;
}

/* ---- begin and finish --------------------------------------------------------------------- */

/* What lifetime_nearest() says, where it takes no more than a look. */
static inline SpanLifetime *
nearest(Lifetime *trigger)
{
    if (LIKELY(is_recorded(trigger) && ((RecordedLifetime *)trigger)->transparency == TRANSPARENT)) {
        return ((RecordedLifetime *)trigger)->parent;
    }
    return lifetime_nearest(trigger);
}

static inline Cause *
cause_of(Lifetime *trigger)
{
    if (LIKELY(is_recorded(trigger) && ((RecordedLifetime *)trigger)->own_cause != NULL)) {
        return ((RecordedLifetime *)trigger)->own_cause;
    }
    return lifetime_as_cause(trigger);
}

/* An empty record of what may become a span. */
static RecordedLifetime *
new_span(ThreadState *state)
{
    SpanLifetime *span = span_lifetime_new();
    if (span == NULL) {
        return NULL;
    }
    span->execution_async_id = state->current->async_id;
    span->thread_id = state->thread_id;
    return &span->base;
}

/* And of what becomes none. */
static RecordedLifetime *
new_transparent(Lifetime *trigger)
{
    RecordedLifetime *lifetime = recorded_lifetime_new();
    if (lifetime == NULL) {
        return NULL;
    }
    lifetime->transparency = TRANSPARENT;
    lifetime->parent = (SpanLifetime *)Py_XNewRef((PyObject *)nearest(trigger));
    return lifetime;
}

RecordedLifetime *
recorder_begin(ResourceType *row, Lifetime *trigger, ThreadState *state, int skip)
{
    RecordedLifetime *lifetime = row->spans ? new_span(state) : new_transparent(trigger);
    if (UNLIKELY(lifetime == NULL)) {
        return NULL;
    }
    lifetime->base.async_id = new_async_id();
    lifetime->base.type = (ResourceType *)Py_NewRef((PyObject *)row);
    lifetime->base.trigger_async_id = trigger->async_id;
    lifetime->base.open = true;
    lifetime->base.created = lifetime->scheduled = clock_now();
    lifetime->cause = (Cause *)Py_XNewRef((PyObject *)cause_of(trigger));
    if (engine.recorder->sites) {
        site_note(lifetime, trigger, state, skip);
    }
    if (row->spans) {
        parents_adopt((SpanLifetime *)lifetime, trigger, state->current);
    }
    row->created++;
    list_add(lifetime);
    return lifetime;
}

Lifetime *
lifetime_begin(ResourceType *row, Lifetime *trigger, ThreadState *state, int skip)
{
    if (engine.recorder->on) {
        return (Lifetime *)recorder_begin(row, trigger, state, skip);
    }
    Lifetime *lifetime = lifetime_new();
    if (lifetime != NULL) {
        lifetime->async_id = new_async_id();
        lifetime->type = (ResourceType *)Py_NewRef((PyObject *)row);
        lifetime->trigger_async_id = trigger->async_id;
        lifetime->open = true;
    }
    return lifetime;
}

static void
end_for_parent(SpanLifetime *span, int64_t now)
{
    span->ended = now;
    if (span->base.parent != NULL) {
        span->base.parent->children--;
    }
}

static bool
is_worth_it(SpanLifetime *span)
{
    return span->ended - span->base.base.created >= engine.recorder->min_duration || span->keep ||
           span->base.error != NULL;
}

/* Its span is over: keep it for the exporters if it is worth it. */
static void
finish_span(SpanLifetime *span, PyObject *outcome, int64_t now)
{
    if (!span->ended) {
        end_for_parent(span, now);
    }
    Py_XSETREF(span->outcome, Py_NewRef(outcome));
    span->fire_and_forget = span->children > 0;
    if (is_worth_it(span)) {
        Py_XSETREF(span->fate, Py_NewRef(KEPT));
        if (engine.recorder->sends) {
            parents_keep_family(span);
            if (ring_push(span)) {
                return;
            }
        }
    }
    Py_XSETREF(span->fate, Py_NewRef(DROPPED));
    parents_forget_family(span);
}

void
recorder_finish_outside(RecordedLifetime *lifetime, PyObject *outcome, int64_t now)
{
    if (!lifetime->listed) {
        return;
    }
    list_take(lifetime);
    resource_type_destroyed(lifetime->base.type, outcome);
    if (!(lifetime->transparency == TRANSPARENT || lifetime_transparent(&lifetime->base))) {
        finish_span((SpanLifetime *)lifetime, outcome, now);
    }
    Py_DECREF((PyObject *)lifetime);
}

/* The callback that it is in counts up to here, though it goes on. */
static void
count_step(RecordedLifetime *lifetime, int64_t now)
{
    lifetime->run += now - lifetime->entered;
    lifetime->steps++;
    lifetime->entered = 0;
}

void
recorder_finish(RecordedLifetime *lifetime, PyObject *outcome, int64_t now)
{
    if (lifetime->base.resource != NULL && lifetime->base.resource != Py_None &&
        lifetime->entered) {
        count_step(lifetime, now);
    }
    recorder_finish_outside(lifetime, outcome, now);
}

void
recorder_hide(Lifetime *lifetime)
{
    if (!is_span(lifetime) || lifetime_transparent(lifetime)) {
        return;
    }
    SpanLifetime *span = (SpanLifetime *)lifetime;
    span->base.transparency = TRANSPARENT;
    if (span->base.parent != NULL) {
        span->base.parent->children--;
    }
    else if (span->link != NULL && PyObject_TypeCheck(span->link, SpanLifetime_Type)) {
        span->base.parent = (SpanLifetime *)span->link;
        span->link = NULL;
    }
}

void
recorder_failed(Lifetime *lifetime, PyObject *error)
{
    PyObject *failed = python_function("failed");
    if (!is_recorded(lifetime) || failed == NULL) {
        return;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *nothing = PyObject_CallFunctionObjArgs(failed, (PyObject *)lifetime, error, NULL);
    Py_XDECREF(nothing);
    pending_restore(&pending);
}

/* ---- the same as Python calls it ---------------------------------------------------------- */

static bool
is_lifetime(PyObject *value, PyTypeObject *type)
{
    if (PyObject_TypeCheck(value, type)) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "expected a %s, not %R", type->tp_name, value);
    return false;
}

static bool
are_as_many(Py_ssize_t number, Py_ssize_t expected, const char *function)
{
    if (number == expected) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments, not %zd", function, expected, number);
    return false;
}

static PyObject *
begin_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_as_many(number, 4, "begin") || !is_lifetime(args[0], ResourceType_Type) ||
        !is_lifetime(args[1], Lifetime_Type) || !is_lifetime(args[2], ThreadState_Type)) {
        return NULL;
    }
    int depth = (int)PyLong_AsLong(args[3]);
    if (depth == -1 && PyErr_Occurred()) {
        return NULL;
    }
    RecordedLifetime *lifetime = recorder_begin((ResourceType *)args[0], (Lifetime *)args[1],
                                                (ThreadState *)args[2], depth - 1);
    return lifetime == NULL ? PyErr_NoMemory() : (PyObject *)lifetime;
}

typedef void (*Finish)(RecordedLifetime *, PyObject *, int64_t);

static PyObject *
call_finish(Finish finish, PyTypeObject *type, const char *name, PyObject *const *args,
            Py_ssize_t number)
{
    if (!are_as_many(number, 3, name) || !is_lifetime(args[0], type)) {
        return NULL;
    }
    int64_t now = PyLong_AsLongLong(args[2]);
    if (now == -1 && PyErr_Occurred()) {
        return NULL;
    }
    finish((RecordedLifetime *)args[0], args[1], now);
    Py_RETURN_NONE;
}

static PyObject *
finish_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    return call_finish(recorder_finish, RecordedLifetime_Type, "finish", args, number);
}

static PyObject *
finish_outside_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    return call_finish(recorder_finish_outside, RecordedLifetime_Type, "finish_outside", args,
                       number);
}

static void
finish_as_span(RecordedLifetime *lifetime, PyObject *outcome, int64_t now)
{
    finish_span((SpanLifetime *)lifetime, outcome, now);
}

static PyObject *
finish_span_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    return call_finish(finish_as_span, SpanLifetime_Type, "finish_span", args, number);
}

static PyObject *
hide_method(PyObject *Py_UNUSED(module), PyObject *lifetime)
{
    if (!is_lifetime(lifetime, Lifetime_Type)) {
        return NULL;
    }
    recorder_hide((Lifetime *)lifetime);
    Py_RETURN_NONE;
}

static PyObject *
conclude_method(PyObject *Py_UNUSED(module), PyObject *argument)
{
    if (!is_lifetime(argument, Lifetime_Type)) {
        return NULL;
    }
    Lifetime *lifetime = (Lifetime *)argument;
    if (is_span(lifetime) && !((SpanLifetime *)lifetime)->ended &&
        !lifetime_transparent(lifetime)) {
        int64_t now = clock_now();
        count_step((RecordedLifetime *)lifetime, now);
        end_for_parent((SpanLifetime *)lifetime, now);
    }
    Py_RETURN_NONE;
}

static PyObject *
is_listed_method(PyObject *Py_UNUSED(module), PyObject *lifetime)
{
    return PyBool_FromLong(PyObject_TypeCheck(lifetime, RecordedLifetime_Type) &&
                           ((RecordedLifetime *)lifetime)->listed);
}

static PyMethodDef recorder_functions[] = {
    {"begin", (PyCFunction)(void (*)(void))begin_method, METH_FASTCALL,
     "begin(row, trigger, state, depth): a resource was created, `depth` frames up or further."},
    {"finish", (PyCFunction)(void (*)(void))finish_method, METH_FASTCALL,
     "finish(lifetime, outcome, now): a resource was destroyed."},
    {"finish_outside", (PyCFunction)(void (*)(void))finish_outside_method, METH_FASTCALL,
     "The same of a resource that is certainly not inside a callback of its own."},
    {"finish_span", (PyCFunction)(void (*)(void))finish_span_method, METH_FASTCALL,
     "finish_span(span, outcome, now): its span is over."},
    {"hide", hide_method, METH_O, "Make a lifetime transparent: asyncio made it for itself."},
    {"conclude", conclude_method, METH_O,
     "Its time is over, though its callback has still to return."},
    {"is_listed", is_listed_method, METH_O, "Whether it is among the open lifetimes."},
    {NULL, NULL, 0, NULL},
};

/* ---- whether the agent records, and how --------------------------------------------------- */

static PyObject *
recorder_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords))
{
    Recorder *recorder = (Recorder *)type->tp_alloc(type, 0);
    if (recorder != NULL) {
        recorder->lifetime = (PyTypeObject *)Py_NewRef((PyObject *)SpanLifetime_Type);
        recorder->min_duration = 1000000;
        recorder->slow = 100000000;
        recorder->notable = LONG_NANOSECONDS;
        recorder->sites = recorder->sends = recorder->messages = true;
    }
    return (PyObject *)recorder;
}

static void
recorder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF((PyObject *)((Recorder *)self)->lifetime);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A number of nanoseconds; what does not fit is for ever. */
static int
as_nanoseconds(PyObject *value, int64_t *nanoseconds)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    *nanoseconds = overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN : number;
    return 0;
}

static PyObject *
get_nanoseconds(PyObject *self, void *offset)
{
    return PyLong_FromLongLong(*(int64_t *)((char *)self + (size_t)offset));
}

static int
set_nanoseconds(PyObject *self, PyObject *value, void *offset)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "it cannot be deleted");
        return -1;
    }
    return as_nanoseconds(value, (int64_t *)((char *)self + (size_t)offset));
}

static PyObject *
get_lifetime(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)((Recorder *)self)->lifetime);
}

static int
set_lifetime(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyType_Check(value) ||
        !PyType_IsSubtype((PyTypeObject *)value, SpanLifetime_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected SpanLifetime or a class derived from it");
        return -1;
    }
    Recorder *recorder = (Recorder *)self;
    Py_SETREF(recorder->lifetime, (PyTypeObject *)Py_NewRef(value));
    return 0;
}

static PyObject *
find_slow(PyObject *self, PyObject *slow)
{
    Recorder *recorder = (Recorder *)self;
    if (as_nanoseconds(slow, &recorder->slow) < 0) {
        return NULL;
    }
    bool is_short = recorder->slow < LONG_NANOSECONDS;
    recorder->notable = is_short ? recorder->slow : LONG_NANOSECONDS;
    Py_RETURN_NONE;
}

static PyMethodDef recorder_methods[] = {
    {"find_slow", find_slow, METH_O,
     "Say from how many nanoseconds on a callback or step blocks its loop."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef recorder_members[] = {
    {"on", T_BOOL, offsetof(Recorder, on), 0, NULL},
    {"sites", T_BOOL, offsetof(Recorder, sites), 0, NULL},
    {"sends", T_BOOL, offsetof(Recorder, sends), 0, NULL},
    {"messages", T_BOOL, offsetof(Recorder, messages), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef recorder_getset[] = {
    {"lifetime", get_lifetime, set_lifetime, "What is made for what may become a span.", NULL},
    {"min_duration", get_nanoseconds, set_nanoseconds,
     "Nanoseconds that make a lifetime worth a span.", (void *)offsetof(Recorder, min_duration)},
    {"slow", get_nanoseconds, set_nanoseconds, NULL, (void *)offsetof(Recorder, slow)},
    {"notable", get_nanoseconds, set_nanoseconds,
     "Nanoseconds beyond which there is more to do at the end of a step.",
     (void *)offsetof(Recorder, notable)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot recorder_slots[] = {
    {Py_tp_doc, "Whether the agent records, and how."},
    {Py_tp_new, recorder_new},
    {Py_tp_dealloc, recorder_dealloc},
    {Py_tp_methods, recorder_methods},
    {Py_tp_members, recorder_members},
    {Py_tp_getset, recorder_getset},
    {0, NULL},
};

static PyType_Spec recorder_spec = {
    .name = "whence._engine.Recorder",
    .basicsize = sizeof(Recorder),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = recorder_slots,
};

/* ---- the open lifetimes as Python sees them: a mapping by id, oldest first ---------------- */

/* A list of all of them, or of their ids.  Making it may run the collector; filling it runs
   nothing. */
static PyObject *
list_of_open(bool ids)
{
    PyObject *list;
    for (;;) {
        Py_ssize_t number = number_open;
        list = PyList_New(number);
        if (list == NULL || number == number_open) {
            break;
        }
        Py_DECREF(list);
    }
    Py_ssize_t nth = 0;
    for (RecordedLifetime *each = oldest; list != NULL && each != NULL; each = each->newer) {
        PyObject *item = ids ? PyLong_FromLongLong(each->base.async_id) : Py_NewRef(each);
        if (item == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, nth++, item);
    }
    return list;
}

static PyObject *
open_values(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    return list_of_open(false);
}

static PyObject *
open_keys(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    return list_of_open(true);
}

static PyObject *
open_iter(PyObject *Py_UNUSED(self))
{
    PyObject *ids = list_of_open(true);
    PyObject *iterator = ids == NULL ? NULL : PyObject_GetIter(ids);
    Py_XDECREF(ids);
    return iterator;
}

static Py_ssize_t
open_length(PyObject *Py_UNUSED(self))
{
    return number_open;
}

/* The one with this key, borrowed; NULL if there is none, as of a key that is no int. */
static RecordedLifetime *
open_with(PyObject *key)
{
    if (!PyLong_Check(key)) {
        return NULL;
    }
    int overflow;
    long long async_id = PyLong_AsLongLongAndOverflow(key, &overflow);
    return overflow ? NULL : list_find(async_id);
}

static int
open_contains(PyObject *Py_UNUSED(self), PyObject *key)
{
    return open_with(key) != NULL;
}

static PyObject *
open_getitem(PyObject *Py_UNUSED(self), PyObject *key)
{
    RecordedLifetime *found = open_with(key);
    if (found == NULL) {
        PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    return Py_NewRef(found);
}

static int
open_setitem(PyObject *Py_UNUSED(self), PyObject *key, PyObject *value)
{
    RecordedLifetime *found = open_with(key);
    if (value == NULL && found == NULL) {
        PyErr_SetObject(PyExc_KeyError, key);
        return -1;
    }
    if (value == NULL) {
        list_take(found);
        Py_DECREF((PyObject *)found);
        return 0;
    }
    if (!is_lifetime(value, RecordedLifetime_Type)) {
        return -1;
    }
    if (!((RecordedLifetime *)value)->listed) {
        list_add((RecordedLifetime *)value);
    }
    return 0;
}

static PyObject *
open_get(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *key, *otherwise = Py_None;
    if (!PyArg_ParseTuple(args, "O|O", &key, &otherwise)) {
        return NULL;
    }
    RecordedLifetime *found = open_with(key);
    return Py_NewRef(found == NULL ? otherwise : (PyObject *)found);
}

static PyObject *
open_pop(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *key, *otherwise = NULL;
    if (!PyArg_ParseTuple(args, "O|O", &key, &otherwise)) {
        return NULL;
    }
    RecordedLifetime *found = open_with(key);
    if (found != NULL) {
        list_take(found);
        return (PyObject *)found;
    }
    if (otherwise == NULL) {
        PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    return Py_NewRef(otherwise);
}

/* One at a time: when one goes, any code may run. */
static PyObject *
open_clear(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    for (Py_ssize_t number = number_open; number > 0 && oldest != NULL; number--) {
        RecordedLifetime *gone = oldest;
        list_take(gone);
        Py_DECREF((PyObject *)gone);
    }
    Py_RETURN_NONE;
}

static PyObject *
as_dict(void)
{
    PyObject *values = list_of_open(false);
    PyObject *dict = values == NULL ? NULL : PyDict_New();
    for (Py_ssize_t nth = 0; dict != NULL && nth < PyList_GET_SIZE(values); nth++) {
        PyObject *value = PyList_GET_ITEM(values, nth);
        PyObject *key = PyLong_FromLongLong(((Lifetime *)value)->async_id);
        if (key == NULL || PyDict_SetItem(dict, key, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(key);
    }
    Py_XDECREF(values);
    return dict;
}

static PyObject *
open_compare(PyObject *self, PyObject *other, int operation)
{
    if ((operation != Py_EQ && operation != Py_NE) || !PyDict_Check(other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    (void)self;
    PyObject *dict = as_dict();
    PyObject *answer = dict == NULL ? NULL : PyObject_RichCompare(dict, other, operation);
    Py_XDECREF(dict);
    return answer;
}

static PyObject *
open_repr(PyObject *Py_UNUSED(self))
{
    PyObject *dict = as_dict();
    PyObject *text = dict == NULL ? NULL : PyObject_Repr(dict);
    Py_XDECREF(dict);
    return text;
}

static PyMethodDef open_methods[] = {
    {"clear", open_clear, METH_NOARGS, NULL}, {"get", open_get, METH_VARARGS, NULL},
    {"keys", open_keys, METH_NOARGS, NULL},   {"pop", open_pop, METH_VARARGS, NULL},
    {"values", open_values, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL},
};

static PyType_Slot open_slots[] = {
    {Py_tp_doc, "Every recorded lifetime that is open, by id, oldest first."},
    {Py_tp_methods, open_methods},
    {Py_tp_iter, open_iter},
    {Py_tp_repr, open_repr},
    {Py_tp_richcompare, open_compare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_mp_length, open_length},
    {Py_mp_subscript, open_getitem},
    {Py_mp_ass_subscript, open_setitem},
    {Py_sq_contains, open_contains},
    {0, NULL},
};

static PyType_Spec open_spec = {
    .name = "whence._engine.OpenLifetimes",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = open_slots,
};

/* ------------------------------------------------------------------------------------------- */

/* Its fields by name, as a class with slots in Python has them. */
static int
name_fields(PyTypeObject *type)
{
    PyObject *names = Py_BuildValue("(ssssssss)", "lifetime", "messages", "min_duration", "notable",
                                    "on", "sends", "sites", "slow");
    int failed = names == NULL || PyObject_SetAttrString((PyObject *)type, "__slots__", names) < 0;
    Py_XDECREF(names);
    return failed ? -1 : 0;
}

/* Add an object of this type under this name. */
static PyObject *
add_one(PyObject *module, PyTypeObject *type, const char *name)
{
    PyObject *one = PyObject_CallNoArgs((PyObject *)type);
    if (one != NULL && PyModule_AddObjectRef(module, name, one) < 0) {
        Py_CLEAR(one);
    }
    return one;
}

int
recorder_add(PyObject *module)
{
    PyTypeObject *open_type;
    if (add_type(module, &recorder_spec, NULL, &Recorder_Type) < 0 ||
        name_fields(Recorder_Type) < 0 || add_type(module, &open_spec, NULL, &open_type) < 0) {
        return -1;
    }
    engine.recorder = (Recorder *)add_one(module, Recorder_Type, "recorder");
    PyObject *open_lifetimes = add_one(module, open_type, "open_lifetimes");
    if (engine.recorder == NULL || open_lifetimes == NULL) {
        return -1;
    }
    Py_DECREF(open_lifetimes);
    return PyModule_AddFunctions(module, recorder_functions);
}
