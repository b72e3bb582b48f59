/* What a loop whose handles are its own is given in place of a callback: a Callback, or a Step.

   Twin of agent/engine/callbacks.py.  How they look is in callback_looks.c.

   - It holds the arguments too: what the loop drops, it drops whole.
   - It is no frame, so the program's errors need nothing taken out of them; where the search for a
     site ends is in `ThreadState.floor`.
   - Where no memory was left for a lifetime, the callback runs and nothing is told. */

#include "callbacks.h"
#include "structmember.h"

#define MAX_FREE 1024 /* as of handles (handles.h) */

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

static PyMemberDef callback_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Bracket, vectorcall), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Callback, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Callback, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot callback_slots[] = {
    {Py_tp_doc, "A callback: once, or again and again for a descriptor or a signal.\n\n"
                "It is the resource that hooks are given, and takes any attribute."},
    {Py_tp_new, construct},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_getattro, bracket_get_attribute},
    {Py_tp_repr, bracket_show},
    {Py_tp_traverse, callback_traverse},
    {Py_tp_clear, callback_clear},
    {Py_tp_dealloc, callback_dealloc},
    {Py_tp_members, callback_members},
    {Py_tp_getset, callback_fields},
    {Py_tp_methods, bracket_methods},
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

static PyType_Slot step_slots[] = {
    {Py_tp_doc, "A step of a task, bracketed as the task."},
    {Py_tp_new, construct},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_getattro, bracket_get_attribute},
    {Py_tp_repr, bracket_show},
    {Py_tp_traverse, step_traverse},
    {Py_tp_clear, step_clear},
    {Py_tp_dealloc, step_dealloc},
    {Py_tp_members, step_members},
    {Py_tp_getset, step_fields},
    {Py_tp_methods, bracket_methods},
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
