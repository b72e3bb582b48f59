/* Scopes: a resource that executes inside a task, across the task's steps; a request.

   Twin of agent/engine/scopes.py, and of the Scope in lifetimes.py. */

#include "free_list.h"
#include "structmember.h"

PyTypeObject *Scope_Type;

static PyObject *scopes_kept[64];
static FreeList free_scopes = FREE_LIST(scopes_kept);

/* ---- one of them ---- */

/* A new reference, NULL with an exception set: to a resource that takes no weak references. */
static Scope *
scope_new(ThreadState *state, ResourceType *row, PyObject *resource, Lifetime *task, int skip)
{
    PyObject *reference = PyWeakref_NewRef(resource, NULL);
    Scope *scope = reference == NULL ? NULL : (Scope *)free_list_take(&free_scopes, Scope_Type);
    if (reference != NULL && scope == NULL) {
        scope = PyObject_GC_New(Scope, Scope_Type);
    }
    if (scope == NULL) {
        Py_XDECREF(reference);
        return NULL;
    }
    scope->resource = reference;
    scope->task = (Lifetime *)Py_NewRef((PyObject *)task);
    scope->lifetime = NULL;
    scope->outer = NULL;
    scope->lifetime = event_create(state, row, resource, state->current, skip);
    /* Whatever a hook has opened meanwhile is around this one. */
    scope->outer = (Scope *)Py_XNewRef(scope_of(task));
    PyObject_GC_Track(scope);
    if (scope->lifetime == NULL) {
        Py_DECREF((PyObject *)scope);
        return (Scope *)PyErr_NoMemory();
    }
    return scope;
}

/* The task that carries what executes: borrowed; NULL if it is none, nor in one. */
static Lifetime *
carrier_of(Lifetime *executing)
{
    if (executing->type == engine.task) {
        return executing;
    }
    Scope *own = scope_of(executing);
    return own == NULL ? NULL : own->task;
}

Scope *
scope_open(ThreadState *state, ResourceType *row, PyObject *resource, int skip)
{
    Lifetime *task = carrier_of(state->current);
    if (task == NULL) {
        return NULL;
    }
    Py_INCREF((PyObject *)task);
    Scope *scope = scope_new(state, row, resource, task, skip);
    if (scope != NULL) {
        Py_XSETREF(task->scope, Py_NewRef((PyObject *)scope));
        Py_XSETREF(scope->lifetime->scope, Py_NewRef((PyObject *)scope));
        event_enter(state, scope->lifetime, resource);
    }
    Py_DECREF((PyObject *)task);
    return scope;
}

/* What executes outside of it, in the same task. */
static inline Lifetime *
around(Scope *scope)
{
    return scope->outer == NULL ? scope->task : scope->outer->lifetime;
}

void
scope_close(ThreadState *state, Scope *scope, PyObject *outcome)
{
    Py_INCREF((PyObject *)scope);
    Lifetime *lifetime = scope->lifetime;
    if (state->current == lifetime) {
        event_leave(state, lifetime, around(scope));
    }
    Py_XSETREF(scope->task->scope, Py_XNewRef((PyObject *)scope->outer));
    Py_CLEAR(lifetime->scope);
    event_end(state, lifetime, outcome);
    Py_DECREF((PyObject *)scope);
}

/* ---- with each step of the task ---- */

static void
enter(ThreadState *state, Scope *scope)
{
    if (scope->outer != NULL) {
        enter(state, scope->outer);
    }
    Lifetime *lifetime = scope->lifetime;
    if (is_recorded(lifetime) && is_recorded(scope->task)) {
        ((RecordedLifetime *)lifetime)->scheduled = ((RecordedLifetime *)scope->task)->scheduled;
    }
    PyObject *resource = weak_referent(scope->resource);
    event_enter(state, lifetime, resource);
    Py_XDECREF(resource);
}

void
scopes_enter(ThreadState *state, Lifetime *task)
{
    Scope *scope = scope_of(task);
    if (scope != NULL) {
        Py_INCREF((PyObject *)scope);
        enter(state, scope);
        Py_DECREF((PyObject *)scope);
    }
}

void
scopes_leave(ThreadState *state, Lifetime *task)
{
    Scope *scope = (Scope *)Py_XNewRef((PyObject *)scope_of(task));
    while (scope != NULL) {
        event_leave(state, scope->lifetime, around(scope));
        Scope *outer = (Scope *)Py_XNewRef((PyObject *)scope->outer);
        Py_DECREF((PyObject *)scope);
        scope = outer;
    }
}

/* ---- the type ---- */

static int
scope_traverse(PyObject *self, visitproc visit, void *arg)
{
    Scope *scope = (Scope *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(scope->lifetime);
    Py_VISIT(scope->resource);
    Py_VISIT(scope->task);
    Py_VISIT(scope->outer);
    return 0;
}

static void
scope_dealloc(PyObject *self)
{
    Scope *scope = (Scope *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)scope->lifetime);
    Py_XDECREF(scope->resource);
    Py_XDECREF((PyObject *)scope->task);
    Py_XDECREF((PyObject *)scope->outer);
    if (!free_list_keep(&free_scopes, self)) {
        PyObject_GC_Del(self);
    }
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"lifetime", T_OBJECT_EX, offsetof(Scope, lifetime), READONLY, NULL},
    {"resource", T_OBJECT_EX, offsetof(Scope, resource), READONLY, NULL},
    {"task", T_OBJECT_EX, offsetof(Scope, task), READONLY, NULL},
    {"outer", T_OBJECT, offsetof(Scope, outer), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Without tp_clear, as a tuple: the lifetimes in a circle with it have one. */
static PyType_Slot slots[] = {
    {Py_tp_doc, "A lifetime that executes inside a task: entered and left with each of its steps."},
    {Py_tp_traverse, scope_traverse},
    {Py_tp_dealloc, scope_dealloc},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "whence._engine.Scope",
    .basicsize = sizeof(Scope),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

/* ---- as Python has them ---- */

/* open_scope(state, row, resource) */
static PyObject *
open_scope(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 3 || !PyObject_TypeCheck(args[0], ThreadState_Type)
        || !PyObject_TypeCheck(args[1], ResourceType_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a ThreadState, a ResourceType and a resource");
        return NULL;
    }
    Scope *scope = scope_open((ThreadState *)args[0], (ResourceType *)args[1], args[2], 0);
    if (scope == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return (PyObject *)scope;
}

/* close_scope(state, scope, outcome=DONE) */
static PyObject *
close_scope(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number < 2 || number > 3 || !PyObject_TypeCheck(args[0], ThreadState_Type)
        || !Py_IS_TYPE(args[1], Scope_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a ThreadState, a Scope and an outcome");
        return NULL;
    }
    scope_close((ThreadState *)args[0], (Scope *)args[1], number == 3 ? args[2] : DONE);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"open_scope", (PyCFunction)(void (*)(void))open_scope, METH_FASTCALL,
     "Create a resource that executes inside the current task from here on; None if there is none."},
    {"close_scope", (PyCFunction)(void (*)(void))close_scope, METH_FASTCALL,
     "End the resource; its task goes on without it."},
    {NULL, NULL, 0, NULL},
};

int
scopes_add(PyObject *module)
{
    if (add_type(module, &spec, NULL, &Scope_Type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
