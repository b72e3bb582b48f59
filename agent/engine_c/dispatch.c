/* Who hears the events, and how each is told.

   Twin of `emit` and `emit_init` in agent/engine/dispatch.py, whose rules hold; which hooks are
   enabled is kept there.  An event is delivered whatever exception the program has pending, which is
   pending again afterwards. */

#include "engine.h"

PyTypeObject *Listeners_Type;

/* What a hook callback has raised where there was no stack left, or no memory, to deal with it: it
   is dealt with where there is, further out.  Or NULL. */
static PyObject *untold;

/* Deal with what a hook callback has raised, as the policy says; takes the reference. */
static void
tell_failure(PyObject *error)
{
    static PyObject *hook_failed;
    if (hook_failed == NULL) {
        hook_failed = python_function("hook_failed");
    }
    PyObject *told = hook_failed == NULL ? NULL : PyObject_CallOneArg(hook_failed, error);
    if (told == NULL && untold == NULL &&
        (PyErr_ExceptionMatches(PyExc_RecursionError) ||
         PyErr_ExceptionMatches(PyExc_MemoryError))) {
        untold = Py_NewRef(error);
    }
    if (PyErr_Occurred()) {
        exception_dropped();
    }
    Py_XDECREF(told);
    Py_DECREF(error);
}

/* A hook callback enabled or disabled a hook: publish that once the outermost event is over. */
static void
hooks_changed(ThreadState *state)
{
    if (state->depth > 0) {
        return;
    }
    PyObject *publish = python_function("hooks_changed");
    PyObject *done = publish == NULL ? NULL : PyObject_CallOneArg(publish, (PyObject *)state);
    if (done == NULL && PyErr_Occurred()) {
        exception_dropped();
    }
    Py_XDECREF(done);
}

static void
call_listener(ThreadState *state, PyObject *listener, PyObject *const *args, size_t number)
{
    /* It may be replaced, or this thread's state be forgotten, while it runs. */
    Py_INCREF(listener);
    Py_INCREF((PyObject *)state);
    state->depth += 1;
    PyObject *answer = PyObject_Vectorcall(listener, args, number | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                           NULL);
    if (UNLIKELY(answer == NULL)) {
        tell_failure(raised_take());
    }
    else if (UNLIKELY(untold != NULL)) {
        PyObject *error = untold;
        untold = NULL;
        tell_failure(error);
    }
    Py_XDECREF(answer);
    state->depth -= 1;
    if (state->depth == 0) {
        interrupts_go_on();
    }
    if (UNLIKELY(state->changed)) {
        hooks_changed(state);
    }
    Py_DECREF((PyObject *)state);
    Py_DECREF(listener);
}

void
emit_slow(ThreadState *state, PyObject *listener, int64_t async_id)
{
    Pending pending;
    pending_save(&pending);
    PyObject *id = PyLong_FromLongLong(async_id);
    if (id != NULL) {
        PyObject *args[] = {NULL, id};
        call_listener(state, listener, args + 1, 1);
        Py_DECREF(id);
    }
    else {
        PyErr_Clear();
    }
    pending_restore(&pending);
}

void
emit_init_slow(ThreadState *state, PyObject *listener, Lifetime *lifetime, PyObject *resource)
{
    Pending pending;
    pending_save(&pending);
    PyObject *id = PyLong_FromLongLong(lifetime->async_id);
    PyObject *trigger = PyLong_FromLongLong(lifetime->trigger_async_id);
    if (id != NULL && trigger != NULL) {
        PyObject *name = Py_NewRef(lifetime->type->name);
        PyObject *args[] = {NULL, id, name, trigger, resource == NULL ? Py_None : resource};
        call_listener(state, listener, args + 1, 4);
        Py_DECREF(name);
    }
    else {
        PyErr_Clear();
    }
    Py_XDECREF(id);
    Py_XDECREF(trigger);
    pending_restore(&pending);
}

static int
listeners_traverse(PyObject *self, visitproc visit, void *arg)
{
    Listeners *listeners = (Listeners *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(listeners->init);
    Py_VISIT(listeners->before);
    Py_VISIT(listeners->after);
    Py_VISIT(listeners->destroy);
    Py_VISIT(listeners->promise_resolve);
    return 0;
}

static int
listeners_clear(PyObject *self)
{
    Listeners *listeners = (Listeners *)self;
    Py_CLEAR(listeners->init);
    Py_CLEAR(listeners->before);
    Py_CLEAR(listeners->after);
    Py_CLEAR(listeners->destroy);
    Py_CLEAR(listeners->promise_resolve);
    return 0;
}

static void
listeners_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    listeners_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The closure is the offset of the field. */
static PyObject *
get_listener(PyObject *self, void *closure)
{
    PyObject *listener = *(PyObject **)((char *)self + (size_t)closure);
    return Py_NewRef(listener == NULL ? Py_None : listener);
}

static int
set_listener(PyObject *self, PyObject *value, void *closure)
{
    PyObject **field = (PyObject **)((char *)self + (size_t)closure);
    Py_XSETREF(*field, value == Py_None ? NULL : Py_XNewRef(value));
    return 0;
}

#define LISTENER(event)                                                                            \
    {                                                                                              \
        #event, get_listener, set_listener, NULL, (void *)offsetof(Listeners, event)               \
    }

static PyGetSetDef listeners_getset[] = {
    LISTENER(init),
    LISTENER(before),
    LISTENER(after),
    LISTENER(destroy),
    LISTENER(promise_resolve),
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot listeners_slots[] = {
    {Py_tp_doc, "The fields of whence.engine.dispatch.Listeners."},
    {Py_tp_traverse, listeners_traverse},
    {Py_tp_clear, listeners_clear},
    {Py_tp_dealloc, listeners_dealloc},
    {Py_tp_getset, listeners_getset},
    {0, NULL},
};

static PyType_Spec listeners_spec = {
    .name = "whence._engine.Listeners",
    .basicsize = sizeof(Listeners),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = listeners_slots,
};

/* emit(state, listener, async_id) */
static PyObject *
python_emit(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *state, *listener;
    long long async_id;
    if (!PyArg_ParseTuple(args, "O!OL:emit", ThreadState_Type, &state, &listener, &async_id)) {
        return NULL;
    }
    emit_slow((ThreadState *)state, listener, async_id);
    Py_RETURN_NONE;
}

/* emit_init(state, listener, lifetime, resource) */
static PyObject *
python_emit_init(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *state, *listener, *lifetime, *resource;
    if (!PyArg_ParseTuple(args, "O!OO!O:emit_init", ThreadState_Type, &state, &listener,
                          Lifetime_Type, &lifetime, &resource)) {
        return NULL;
    }
    emit_init_slow((ThreadState *)state, listener, (Lifetime *)lifetime, resource);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"emit", python_emit, METH_VARARGS, "Deliver before, after, destroy or promise_resolve."},
    {"emit_init", python_emit_init, METH_VARARGS, "Deliver init."},
    {NULL, NULL, 0, NULL},
};

int
dispatch_add(PyObject *module)
{
    if (add_type(module, &listeners_spec, NULL, &Listeners_Type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
