/* Where are we: ids, and the stack of what is executing in each thread.

   Twin of agent/engine/execution.py, which keeps the states of all threads; here is the way to that
   of the calling one.  A state belongs to its thread for as long as that lives, so a thread may
   remember its own without owning it. */

#include "engine.h"
#include "structmember.h"

PyTypeObject *ThreadState_Type;

/* With glibc a library that is loaded late has room for a few such bytes where one load reads them;
   else each look is a call. */
#if defined(__GLIBC__)
#define OF_THREAD _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define OF_THREAD _Thread_local
#endif

static OF_THREAD ThreadState *own_state;
static OF_THREAD unsigned own_generation;
/* Other than `own_generation` in a thread that has to ask again: a forked child begins anew. */
static unsigned generation = 1;

enum { FIRST_ASYNC_ID = 2 };

static int64_t next_async_id = FIRST_ASYNC_ID;

int64_t
new_async_id(void)
{
    return next_async_id++;
}

/* Ask Python, which makes one if this thread has none yet. */
static ThreadState *
ask_for_state(void)
{
    PyObject *ask = python_function("thread_state");
    Pending pending;
    pending_save(&pending);
    PyObject *state = ask == NULL ? NULL : PyObject_CallNoArgs(ask);
    if (state != NULL && PyObject_TypeCheck(state, ThreadState_Type)) {
        own_state = (ThreadState *)state;
        own_generation = generation;
    }
    else {
        PyErr_Clear();
        own_state = NULL;
    }
    Py_XDECREF(state);
    pending_restore(&pending);
    return own_state;
}

ThreadState *
thread_state(void)
{
    if (LIKELY(own_state != NULL && own_generation == generation)) {
        return own_state;
    }
    return ask_for_state();
}

static PyObject *
state_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords))
{
    ThreadState *state = (ThreadState *)type->tp_alloc(type, 0);
    if (state == NULL) {
        return NULL;
    }
    state->current = (Lifetime *)Py_NewRef((PyObject *)engine.outside);
    state->samples = PyTuple_New(0);
    state->blamed = PyTuple_New(0);
    if (state->samples == NULL || state->blamed == NULL) {
        Py_DECREF((PyObject *)state);
        return NULL;
    }
    return (PyObject *)state;
}

static int
state_traverse(PyObject *self, visitproc visit, void *arg)
{
    ThreadState *state = (ThreadState *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(state->current);
    Py_VISIT(state->making);
    Py_VISIT(state->beyond);
    Py_VISIT(state->lent);
    Py_VISIT(state->samples);
    Py_VISIT(state->blamed);
    return 0;
}

static int
state_clear(PyObject *self)
{
    ThreadState *state = (ThreadState *)self;
    Py_CLEAR(state->making);
    Py_CLEAR(state->beyond);
    return 0;
}

static void
state_dealloc(PyObject *self)
{
    ThreadState *state = (ThreadState *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (own_state == state) {
        own_state = NULL;
    }
    state_clear(self);
    Py_CLEAR(state->current);
    Py_CLEAR(state->samples);
    Py_CLEAR(state->blamed);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
get_lifetime(PyObject *self, void *closure)
{
    PyObject *value = *(PyObject **)((char *)self + (size_t)closure);
    return Py_NewRef(value == NULL ? Py_None : value);
}

static int
set_current(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyObject_TypeCheck(value, Lifetime_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Lifetime");
        return -1;
    }
    Py_SETREF(((ThreadState *)self)->current, (Lifetime *)Py_NewRef(value));
    return 0;
}

static int
set_beyond(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == Py_None) {
        value = NULL;
    }
    if (value != NULL && !PyObject_TypeCheck(value, Lifetime_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Lifetime or None");
        return -1;
    }
    Py_XSETREF(((ThreadState *)self)->beyond, (Lifetime *)Py_XNewRef(value));
    return 0;
}

static PyObject *
get_making(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *making = ((ThreadState *)self)->making;
    return Py_NewRef(making == NULL ? Py_None : making);
}

static int
set_making(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(((ThreadState *)self)->making, value == Py_None ? NULL : Py_XNewRef(value));
    return 0;
}

static PyMemberDef state_members[] = {
    {"samples", T_OBJECT_EX, offsetof(ThreadState, samples), 0, NULL},
    {"blamed", T_OBJECT_EX, offsetof(ThreadState, blamed), 0, NULL},
    {"busy", T_LONGLONG, offsetof(ThreadState, busy), 0, NULL},
    {"entered", T_LONGLONG, offsetof(ThreadState, entered), 0, NULL},
    {"thread_id", T_ULONGLONG, offsetof(ThreadState, thread_id), 0, NULL},
    {"depth", T_INT, offsetof(ThreadState, depth), 0, NULL},
    {"changed", T_BOOL, offsetof(ThreadState, changed), 0, NULL},
    {"muted", T_BOOL, offsetof(ThreadState, muted), 0, NULL},
    {"finalizing", T_BOOL, offsetof(ThreadState, finalizing), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef state_getset[] = {
    {"current", get_lifetime, set_current, NULL, (void *)offsetof(ThreadState, current)},
    {"beyond", get_lifetime, set_beyond, NULL, (void *)offsetof(ThreadState, beyond)},
    {"making", get_making, set_making, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot state_slots[] = {
    {Py_tp_doc, "The fields of whence.engine.execution.ThreadState."},
    {Py_tp_new, state_new},
    {Py_tp_traverse, state_traverse},
    {Py_tp_clear, state_clear},
    {Py_tp_dealloc, state_dealloc},
    {Py_tp_members, state_members},
    {Py_tp_getset, state_getset},
    {0, NULL},
};

static PyType_Spec state_spec = {
    .name = "whence._engine.ThreadState",
    .basicsize = sizeof(ThreadState),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = state_slots,
};

static PyObject *
no_state(void)
{
    PyErr_SetString(PyExc_RuntimeError, "whence has no state of this thread");
    return NULL;
}

static PyObject *
execution_async_id(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    ThreadState *state = thread_state();
    return state == NULL ? no_state() : PyLong_FromLongLong(state->current->async_id);
}

static PyObject *
trigger_async_id(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    ThreadState *state = thread_state();
    return state == NULL ? no_state() : PyLong_FromLongLong(state->current->trigger_async_id);
}

static PyObject *
execution_async_resource(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    ThreadState *state = thread_state();
    if (state == NULL) {
        return no_state();
    }
    PyObject *resource = state->current->resource;
    return Py_NewRef(resource == NULL ? Py_None : resource);
}

static PyObject *
make_async_id(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLongLong(new_async_id());
}

static PyObject *
forget_thread_states(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    generation++;
    Py_RETURN_NONE;
}

/* return_async_ids(first, last): unless somebody has had another since. */
static PyObject *
return_async_ids(PyObject *Py_UNUSED(module), PyObject *args)
{
    long long first, last;
    if (!PyArg_ParseTuple(args, "LL:return_async_ids", &first, &last)) {
        return NULL;
    }
    if (FIRST_ASYNC_ID <= first && first <= last && last + 1 == next_async_id) {
        next_async_id = first;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"execution_async_id", execution_async_id, METH_NOARGS,
     "The id of the resource that is executing in this thread: 1 at the top level of the main\n"
     "thread, 0 in a thread that whence did not see start (Node's `executionAsyncId`)."},
    {"trigger_async_id", trigger_async_id, METH_NOARGS,
     "The id of what triggered the executing resource, as its `init` said."},
    {"execution_async_resource", execution_async_resource, METH_NOARGS,
     "The object that the executing resource's `init` was given; at the top level always the\n"
     "same object, which takes attributes."},
    {"new_async_id", make_async_id, METH_NOARGS, NULL},
    {"return_async_ids", return_async_ids, METH_VARARGS,
     "Have the ids from the first to the last, of a self-test, given once more."},
    {"forget_thread_states", forget_thread_states, METH_NOARGS,
     "After a fork: let every thread ask anew which is its state."},
    {NULL, NULL, 0, NULL},
};

int
execution_add(PyObject *module)
{
    if (add_type(module, &state_spec, NULL, &ThreadState_Type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
