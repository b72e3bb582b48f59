/* The built-in hook, first in the order: it turns events into Lifetimes.

   Twin of agent/engine/recorder.py; `describe`, `end_span` and `failed` are there. */

#include "engine.h"

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
    /* Asked once: what is called below may let another thread choose other types. */
    bool spans = row->spans;
    RecordedLifetime *lifetime = spans ? new_span(state) : new_transparent(trigger);
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
    if (spans) {
        parents_adopt((SpanLifetime *)lifetime, trigger, state->current);
    }
    row->created++;
    open_lifetime(lifetime);
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
    close_lifetime(lifetime);
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
    {NULL, NULL, 0, NULL},
};

int
recorder_add(PyObject *module)
{
    return PyModule_AddFunctions(module, recorder_functions);
}
