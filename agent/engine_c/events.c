/* The five transitions of a resource's life, as patches and AsyncResource make them.

   Twin of agent/engine/events.py, with collected.c.  Each does, in this order: the ids and the
   stack, the recording, the hooks. */

#include "engine.h"

/* ---- the transitions ---------------------------------------------------------------------- */

static Lifetime *
born(ThreadState *state, ResourceType *row, Lifetime *trigger, int skip)
{
    Lifetime *lifetime = lifetime_begin(row, trigger, state, skip);
    if (lifetime != NULL) {
        lifetime->notify = engine.listeners->destroy != NULL;
    }
    return lifetime;
}

Lifetime *
event_create(ThreadState *state, ResourceType *row, PyObject *resource, Lifetime *trigger, int skip)
{
    Lifetime *lifetime = born(state, row, trigger, skip);
    if (lifetime != NULL) {
        emit_init(state, engine.listeners->init, lifetime, resource);
    }
    return lifetime;
}

void
event_enter(ThreadState *state, Lifetime *lifetime, PyObject *resource)
{
    if (UNLIKELY(collected_waits)) {
        drain_between_turns(state);
    }
    Lifetime *previous = execution_swap(state, lifetime);
    if (lifetime->type == engine.task) {
        /* An eager task's first, inside of another's: what it awaits is not the other's. */
        state->steps = false;
    }
    Py_XSETREF(lifetime->resource, Py_XNewRef(resource == Py_None ? NULL : resource));
    if (is_recorded(lifetime)) {
        step_entered(state, (RecordedLifetime *)lifetime, previous);
    }
    Py_DECREF((PyObject *)previous);
    emit(state, engine.listeners->before, lifetime->async_id);
}

void
event_leave(ThreadState *state, Lifetime *lifetime, Lifetime *previous)
{
    Py_INCREF((PyObject *)lifetime);
    Py_INCREF((PyObject *)state);
    emit(state, engine.listeners->after, lifetime->async_id);
    execution_restore(state, (Lifetime *)Py_NewRef((PyObject *)previous));
    if (is_recorded(lifetime)) {
        step_left(state, (RecordedLifetime *)lifetime, previous);
    }
    if (previous != lifetime) {
        Py_CLEAR(lifetime->resource);
    }
    Py_DECREF((PyObject *)state);
    Py_DECREF((PyObject *)lifetime);
}

void
event_resolve(ThreadState *state, Lifetime *lifetime)
{
    emit(state, engine.listeners->promise_resolve, lifetime->async_id);
}

void
event_end(ThreadState *state, Lifetime *lifetime, PyObject *outcome)
{
    if (!lifetime->open) {
        return;
    }
    if (state->finalizing) {
        lifetime->notify = true;
        lifetime_dropped(lifetime);
        return;
    }
    lifetime->open = false;
    if (is_recorded(lifetime)) {
        recorder_finish((RecordedLifetime *)lifetime, outcome, clock_now());
    }
    emit(state, engine.listeners->destroy, lifetime->async_id);
}

/* ---- the transitions as Python calls them ------------------------------------------------- */

/* Whether there are so many arguments, and the first is the state of a thread and the lifetime or
   row after it is of this type. */
static bool
are_fit(const char *function, PyObject *const *args, Py_ssize_t number, Py_ssize_t least,
        Py_ssize_t most, PyTypeObject *second)
{
    if (number < least || number > most) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, not %zd", function, least,
                     most, number);
        return false;
    }
    if (!PyObject_TypeCheck(args[0], ThreadState_Type) || !PyObject_TypeCheck(args[1], second)) {
        PyErr_Format(PyExc_TypeError, "%s() expected a ThreadState and a %s, not %R and %R",
                     function, second->tp_name, args[0], args[1]);
        return false;
    }
    return true;
}

static bool
is_lifetime(PyObject *value)
{
    if (PyObject_TypeCheck(value, Lifetime_Type)) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "expected a Lifetime, not %R", value);
    return false;
}

/* Frames of Python's to skip: its callers count their own, and this function has none. */
static bool
skip_from(PyObject *const *args, Py_ssize_t number, Py_ssize_t index, int *skip)
{
    *skip = 0;
    if (number > index) {
        long depth = PyLong_AsLong(args[index]);
        if (depth == -1 && PyErr_Occurred()) {
            return false;
        }
        *skip = (int)depth - 1;
    }
    return true;
}

static PyObject *
lifetime_or_no_memory(Lifetime *lifetime)
{
    return lifetime == NULL ? PyErr_NoMemory() : (PyObject *)lifetime;
}

static PyObject *
create_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    int skip;
    if (!are_fit("create", args, number, 4, 5, ResourceType_Type) || !is_lifetime(args[3]) ||
        !skip_from(args, number, 4, &skip)) {
        return NULL;
    }
    return lifetime_or_no_memory(event_create((ThreadState *)args[0], (ResourceType *)args[1],
                                              args[2], (Lifetime *)args[3], skip));
}

static PyObject *
born_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    int skip;
    if (!are_fit("born", args, number, 3, 4, ResourceType_Type) || !is_lifetime(args[2]) ||
        !skip_from(args, number, 3, &skip)) {
        return NULL;
    }
    return lifetime_or_no_memory(
        born((ThreadState *)args[0], (ResourceType *)args[1], (Lifetime *)args[2], skip));
}

static PyObject *
announce_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("announce", args, number, 3, 3, Lifetime_Type)) {
        return NULL;
    }
    emit_init((ThreadState *)args[0], engine.listeners->init, (Lifetime *)args[1], args[2]);
    Py_RETURN_NONE;
}

static PyObject *
enter_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("enter", args, number, 3, 3, Lifetime_Type)) {
        return NULL;
    }
    event_enter((ThreadState *)args[0], (Lifetime *)args[1], args[2]);
    Py_RETURN_NONE;
}

static PyObject *
leave_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("leave", args, number, 3, 3, Lifetime_Type) || !is_lifetime(args[2])) {
        return NULL;
    }
    event_leave((ThreadState *)args[0], (Lifetime *)args[1], (Lifetime *)args[2]);
    Py_RETURN_NONE;
}

static PyObject *
resolve_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("resolve", args, number, 2, 2, Lifetime_Type)) {
        return NULL;
    }
    event_resolve((ThreadState *)args[0], (Lifetime *)args[1]);
    Py_RETURN_NONE;
}

static PyObject *
end_method(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (!are_fit("end", args, number, 2, 3, Lifetime_Type)) {
        return NULL;
    }
    event_end((ThreadState *)args[0], (Lifetime *)args[1], number > 2 ? args[2] : DONE);
    Py_RETURN_NONE;
}

#define FASTCALL(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL

static PyMethodDef events_functions[] = {
    {"create", FASTCALL(create_method), "create(state, row, resource, trigger, depth=1): init."},
    {"born", FASTCALL(born_method),
     "born(state, row, trigger, depth=1): what `create` does before it tells the hooks."},
    {"announce", FASTCALL(announce_method), "announce(state, lifetime, resource): tell the hooks."},
    {"enter", FASTCALL(enter_method), "enter(state, lifetime, resource): before."},
    {"leave", FASTCALL(leave_method), "leave(state, lifetime, previous): after."},
    {"resolve", FASTCALL(resolve_method), "resolve(state, lifetime): promise_resolve."},
    {"end", FASTCALL(end_method), "end(state, lifetime, outcome=DONE): destroy, exactly once."},
    {NULL, NULL, 0, NULL},
};

int
events_add(PyObject *module)
{
    return PyModule_AddFunctions(module, events_functions);
}
