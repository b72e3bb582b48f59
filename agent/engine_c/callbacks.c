/* What a loop whose handles are its own is given in place of a callback: a Callback, or a Step.

   Twin of agent/engine/callbacks.py.

   - It has the attributes and the repr of what it brackets, and holds the arguments too: what the
     loop drops, it drops whole.
   - It is no frame, so the program's errors need nothing taken out of them; where the search for a
     site ends is in `ThreadState.floor`.
   - Where no memory was left for a lifetime, the callback runs and nothing is told. */

#include "engine.h"
#include "structmember.h"

#define MAX_FREE 1024 /* as of handles (handles.h) */

typedef struct {
    Bracket bracket;
    PyObject *dict;
    PyObject *weakrefs;
} Callback;

typedef struct {
    Bracket bracket;
    PyObject *task; /* or NULL */
} Step;

PyTypeObject *Callback_Type, *Step_Type;

/* Free ones of one type, their fields empty. */
typedef struct {
    PyObject *free[MAX_FREE];
    int number;
} FreeList;

static FreeList free_callbacks, free_steps;

static PyObject *callback_call(PyObject *, PyObject *const *, size_t, PyObject *);
static PyObject *step_call(PyObject *, PyObject *const *, size_t, PyObject *);

/* ---- making them ---- */

/* An empty one, of which the collector has still to be told. */
static inline Bracket *
bracket_new(PyTypeObject *type, FreeList *list, size_t size, vectorcallfunc call)
{
    PyObject *self;
    if (LIKELY(list->number > 0)) {
        self = PyObject_Init(list->free[--list->number], type);
    }
    else {
        self = _PyObject_GC_New(type);
        if (self == NULL) {
            return NULL;
        }
        memset((char *)self + sizeof(PyObject), 0, size - sizeof(PyObject));
    }
    ((Bracket *)self)->vectorcall = call;
    return (Bracket *)self;
}

/* Give it what to call.  The reference to the bracket is lost without memory. */
static inline Bracket *
bracket_fill(Bracket *bracket, PyObject *callback, PyObject *const *args, Py_ssize_t number)
{
    PyObject *given = PyTuple_New(number);
    if (given == NULL) {
        PyObject_GC_Track(bracket);
        Py_DECREF((PyObject *)bracket);
        return NULL;
    }
    for (Py_ssize_t nth = 0; nth < number; nth++) {
        PyTuple_SET_ITEM(given, nth, Py_NewRef(args[nth]));
    }
    bracket->args = given;
    bracket->callback = Py_NewRef(callback);
    PyObject_GC_Track(bracket);
    return bracket;
}

Bracket *
callback_new(PyObject *callback, PyObject *const *args, Py_ssize_t number)
{
    Bracket *made = bracket_new(Callback_Type, &free_callbacks, sizeof(Callback), callback_call);
    return made == NULL ? NULL : bracket_fill(made, callback, args, number);
}

Bracket *
step_new(PyObject *task, PyObject *callback, PyObject *const *args, Py_ssize_t number)
{
    Bracket *made = bracket_new(Step_Type, &free_steps, sizeof(Step), step_call);
    if (made == NULL) {
        return NULL;
    }
    ((Step *)made)->task = Py_NewRef(task);
    return bracket_fill(made, callback, args, number);
}

static PyObject *
construct(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    if (PyTuple_GET_SIZE(args) != 0 || (keywords != NULL && PyDict_GET_SIZE(keywords) != 0)) {
        PyErr_Format(PyExc_TypeError, "%s() takes no arguments", type->tp_name);
        return NULL;
    }
    Bracket *made = type == Step_Type
                        ? bracket_new(type, &free_steps, sizeof(Step), step_call)
                        : bracket_new(type, &free_callbacks, sizeof(Callback), callback_call);
    if (made != NULL) {
        PyObject_GC_Track(made);
    }
    return (PyObject *)made;
}

static PyObject *
refused_call(PyObject *Py_UNUSED(self), PyObject *const *Py_UNUSED(args),
             size_t Py_UNUSED(nargsf), PyObject *Py_UNUSED(kwnames))
{
    Py_RETURN_NONE;
}

void
callback_refuse(Bracket *callback)
{
    callback->vectorcall = refused_call;
}

/* ---- running them ---- */

static bool
takes_none(PyObject *self, size_t nargsf, PyObject *kwnames)
{
    if (LIKELY(PyVectorcall_NARGS(nargsf) == 0 && kwnames == NULL)) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "%s() takes no arguments", Py_TYPE(self)->tp_name);
    return false;
}

/* Call what the program has given: None, for the loop wants no result.  `of_task` is the state of the
   thread if it is the step of a task. */
static PyObject *
run(Bracket *bracket, ThreadState *of_task)
{
    if (UNLIKELY(bracket->callback == NULL || bracket->args == NULL)) {
        PyErr_SetString(PyExc_AttributeError, bracket->callback == NULL ? "callback" : "args");
        return NULL;
    }
    /* A hook may have other ideas of its fields, which are attributes. */
    PyObject *callback = Py_NewRef(bracket->callback), *args = Py_NewRef(bracket->args);
    PyObject *result = of_task != NULL
                           ? future_step(of_task, callback, args)
                           : PyObject_Vectorcall(callback, &PyTuple_GET_ITEM(args, 0),
                                                 (size_t)PyTuple_GET_SIZE(args), NULL);
    Py_DECREF(callback);
    Py_DECREF(args);
    if (result == NULL) {
        return NULL;
    }
    Py_DECREF(result);
    Py_RETURN_NONE;
}

/* It has failed: it goes on executing if its loop is going to tell of it, which Python sees to. */
static void
callback_failed(ThreadState *state, Lifetime *lifetime, Turn *turn)
{
    PyObject *error = raised_take(), *left_by = python_function("left_by");
    PyObject *args[] = {error, (PyObject *)state, (PyObject *)lifetime,
                        (PyObject *)turn->previous};
    PyObject *nothing = left_by == NULL ? NULL : PyObject_Vectorcall(left_by, args, 4, NULL);
    if (nothing == NULL && PyErr_Occurred()) {
        exception_dropped();
    }
    if (nothing == NULL && state->current == lifetime) {
        turn_end(state, lifetime, turn, lifetime->type->once, FAILED);
    }
    else {
        Py_DECREF((PyObject *)turn->previous);
    }
    Py_XDECREF(nothing);
    raised_again(error);
}

static PyObject *
callback_call(PyObject *self, PyObject *const *Py_UNUSED(args), size_t nargsf, PyObject *kwnames)
{
    if (!takes_none(self, nargsf, kwnames)) {
        return NULL;
    }
    Bracket *callback = (Bracket *)self;
    ThreadState *state = thread_state();
    if (UNLIKELY(callback->lifetime == NULL || state == NULL)) {
        return run(callback, NULL);
    }
    /* A fork inside of it gives the thread another state. */
    Py_INCREF((PyObject *)state);
    Lifetime *lifetime = (Lifetime *)Py_NewRef((PyObject *)callback->lifetime);
    const void *floor = floor_enter(state);
    Turn turn;
    turn_begin(state, lifetime, self, &turn);
    PyObject *result = run(callback, NULL);
    if (LIKELY(result != NULL)) {
        turn_end(state, lifetime, &turn, lifetime->type->once, DONE);
    }
    else {
        callback_failed(state, lifetime, &turn);
    }
    floor_leave(state, floor);
    Py_DECREF((PyObject *)lifetime);
    Py_DECREF((PyObject *)state);
    return result;
}

static PyObject *
step_call(PyObject *self, PyObject *const *Py_UNUSED(args), size_t nargsf, PyObject *kwnames)
{
    if (!takes_none(self, nargsf, kwnames)) {
        return NULL;
    }
    Bracket *step = (Bracket *)self;
    ThreadState *state = thread_state();
    if (UNLIKELY(step->lifetime == NULL || ((Step *)step)->task == NULL || state == NULL)) {
        return run(step, NULL);
    }
    Py_INCREF((PyObject *)state);
    PyObject *task = Py_NewRef(((Step *)step)->task), *outcome = DONE;
    Lifetime *lifetime = (Lifetime *)Py_NewRef((PyObject *)step->lifetime);
    const void *floor = floor_enter(state);
    Turn turn;
    turn_begin(state, lifetime, task, &turn);
    if (UNLIKELY(lifetime->scope != NULL)) {
        scopes_enter(state, lifetime);
    }
    PyObject *result = run(step, state);
    if (UNLIKELY(state->current != lifetime)) {
        scopes_leave(state, lifetime);
    }
    bool ends = task_settles(state, lifetime, task, &outcome);
    turn_end(state, lifetime, &turn, ends, outcome);
    floor_leave(state, floor);
    Py_DECREF(task);
    Py_DECREF((PyObject *)lifetime);
    Py_DECREF((PyObject *)state);
    return result;
}

/* ---- how they look ---- */

static const char *const own_names[] = {"args", "callback", "lifetime"};

static bool
is_own_name(PyObject *name)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(own_names); nth++) {
        if (PyUnicode_CompareWithASCIIString(name, own_names[nth]) == 0) {
            return true;
        }
    }
    return false;
}

/* The callback, a new reference; an AttributeError if it has none. */
static PyObject *
bracketed(PyObject *self)
{
    PyObject *callback = ((Bracket *)self)->callback;
    if (callback == NULL) {
        PyErr_SetString(PyExc_AttributeError, "callback");
    }
    return Py_XNewRef(callback);
}

static PyObject *
get_attribute(PyObject *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr(self, name);
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError) || is_own_name(name)) {
        return value;
    }
    PyErr_Clear();
    PyObject *callback = bracketed(self);
    if (callback == NULL) {
        return NULL;
    }
    value = PyObject_GetAttr(callback, name);
    Py_DECREF(callback);
    return value;
}

static PyObject *
show(PyObject *self)
{
    PyObject *callback = bracketed(self);
    PyObject *text = callback == NULL ? NULL : PyObject_Repr(callback);
    Py_XDECREF(callback);
    return text;
}

/* The failure in this thread will be told to nobody. */
static void
give_up(void)
{
    PyObject *function = python_function("give_up");
    ThreadState *state = thread_state();
    if (function == NULL || state == NULL) {
        return;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *nothing = PyObject_CallOneArg(function, (PyObject *)state);
    if (nothing == NULL && PyErr_Occurred()) {
        exception_dropped();
    }
    Py_XDECREF(nothing);
    pending_restore(&pending);
}

/* The loop asks in order to tell its exception handler, which it never does if this fails. */
static PyObject *
format(PyObject *self, PyObject *spec)
{
    PyObject *callback = bracketed(self);
    PyObject *text = callback == NULL ? NULL : PyObject_Format(callback, spec);
    Py_XDECREF(callback);
    if (text == NULL) {
        give_up();
    }
    return text;
}

/* What copy and pickle keep: the attributes, and the fields that are set. */
static PyObject *
get_state(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Bracket *bracket = (Bracket *)self;
    PyObject *fields = PyDict_New();
    if (fields == NULL) {
        return NULL;
    }
    const struct {
        const char *name;
        PyObject *value;
    } set[] = {
        {"args", bracket->args},
        {"callback", bracket->callback},
        {"lifetime", (PyObject *)bracket->lifetime},
        {"task", Py_IS_TYPE(self, Step_Type) ? ((Step *)self)->task : NULL},
    };
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(set); nth++) {
        if (set[nth].value != NULL
            && PyDict_SetItemString(fields, set[nth].name, set[nth].value) < 0) {
            Py_DECREF(fields);
            return NULL;
        }
    }
    PyObject *dict = Py_IS_TYPE(self, Callback_Type) ? ((Callback *)self)->dict : NULL;
    return Py_BuildValue("ON", dict == NULL ? Py_None : dict, fields);
}

/* A field as an attribute; the closure is its offset. */
static PyObject *
get_field(PyObject *self, void *closure)
{
    PyObject *value = *(PyObject **)((char *)self + (size_t)closure);
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "not set yet");
        return NULL;
    }
    return Py_NewRef(value);
}

static int
set_field(PyObject *self, PyObject *value, void *closure)
{
    PyObject **field = (PyObject **)((char *)self + (size_t)closure);
    Py_XSETREF(*field, Py_XNewRef(value));
    return 0;
}

/* The same of one that is of one type only. */
static int
set_args(PyObject *self, PyObject *value, void *closure)
{
    if (value != NULL && !PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError, "expected a tuple, not %R", value);
        return -1;
    }
    return set_field(self, value, closure);
}

static int
set_lifetime(PyObject *self, PyObject *value, void *closure)
{
    if (value != NULL && !PyObject_TypeCheck(value, Lifetime_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a Lifetime, not %R", value);
        return -1;
    }
    return set_field(self, value, closure);
}

/* ---- what the collector and the end ask ---- */

static int
bracket_traverse(PyObject *self, visitproc visit, void *arg)
{
    Bracket *bracket = (Bracket *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(bracket->callback);
    Py_VISIT(bracket->args);
    Py_VISIT(bracket->lifetime);
    return 0;
}

static int
bracket_clear(PyObject *self)
{
    Bracket *bracket = (Bracket *)self;
    Py_CLEAR(bracket->callback);
    Py_CLEAR(bracket->args);
    Py_CLEAR(bracket->lifetime);
    return 0;
}

/* Keep it for the next one, or free it; its fields are empty. */
static void
bracket_release(PyObject *self, FreeList *list)
{
    PyTypeObject *type = Py_TYPE(self);
    if (list->number < MAX_FREE) {
        list->free[list->number++] = self;
    }
    else {
        PyObject_GC_Del(self);
    }
    Py_DECREF(type);
}

static int
callback_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Callback *)self)->dict);
    return bracket_traverse(self, visit, arg);
}

static int
callback_clear(PyObject *self)
{
    Py_CLEAR(((Callback *)self)->dict);
    return bracket_clear(self);
}

static void
callback_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    if (((Callback *)self)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    callback_clear(self);
    bracket_release(self, &free_callbacks);
}

static int
step_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Step *)self)->task);
    return bracket_traverse(self, visit, arg);
}

static int
step_clear(PyObject *self)
{
    Py_CLEAR(((Step *)self)->task);
    return bracket_clear(self);
}

static void
step_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    step_clear(self);
    bracket_release(self, &free_steps);
}

/* ---- the types ---- */

static PyMethodDef methods[] = {
    {"__format__", format, METH_O, NULL},
    {"__getstate__", get_state, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef callback_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Bracket, vectorcall), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Callback, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Callback, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef callback_fields[] = {
    {"args", get_field, set_args, NULL, (void *)offsetof(Bracket, args)},
    {"callback", get_field, set_field, NULL, (void *)offsetof(Bracket, callback)},
    {"lifetime", get_field, set_lifetime, NULL, (void *)offsetof(Bracket, lifetime)},
    {"__wrapped__", get_field, NULL, NULL, (void *)offsetof(Bracket, callback)},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot callback_slots[] = {
    {Py_tp_doc, "A callback: once, or again and again for a descriptor or a signal.\n\n"
                "It is the resource that hooks are given, and takes any attribute."},
    {Py_tp_new, construct},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_getattro, get_attribute},
    {Py_tp_repr, show},
    {Py_tp_traverse, callback_traverse},
    {Py_tp_clear, callback_clear},
    {Py_tp_dealloc, callback_dealloc},
    {Py_tp_members, callback_members},
    {Py_tp_getset, callback_fields},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec callback_spec = {
    .name = "whence._engine.Callback",
    .basicsize = sizeof(Callback),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = callback_slots,
};

static PyMemberDef step_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Bracket, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef step_fields[] = {
    {"args", get_field, set_args, NULL, (void *)offsetof(Bracket, args)},
    {"callback", get_field, set_field, NULL, (void *)offsetof(Bracket, callback)},
    {"lifetime", get_field, set_lifetime, NULL, (void *)offsetof(Bracket, lifetime)},
    {"task", get_field, set_field, NULL, (void *)offsetof(Step, task)},
    {"__wrapped__", get_field, NULL, NULL, (void *)offsetof(Bracket, callback)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot step_slots[] = {
    {Py_tp_doc, "A step of a task, bracketed as the task."},
    {Py_tp_new, construct},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_getattro, get_attribute},
    {Py_tp_repr, show},
    {Py_tp_traverse, step_traverse},
    {Py_tp_clear, step_clear},
    {Py_tp_dealloc, step_dealloc},
    {Py_tp_members, step_members},
    {Py_tp_getset, step_fields},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec step_spec = {
    .name = "whence._engine.Step",
    .basicsize = sizeof(Step),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = step_slots,
};

int
callbacks_add(PyObject *module)
{
    if (add_type(module, &callback_spec, NULL, &Callback_Type) < 0) {
        return -1;
    }
    return add_type(module, &step_spec, NULL, &Step_Type);
}
