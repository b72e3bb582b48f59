/* Callbacks, readers, writers and signal handlers: everything asyncio keeps in a Handle.

   Twin of agent/engine/handles.py: subclasses of asyncio's `Handle` and `TimerHandle` under their
   names.  Timers are in timers.c; running both is in running.c, and making them without asyncio's
   code in loop_methods.c.

   The types are made when asyncio has been imported (`make_handles`); before, there are none. */

#include "loops.h"

HandleFields handle_fields;
bool handle_fields_known;
PyTypeObject *Handle_Type, *TimerHandle_Type, *stock_handle, *stock_timer_handle;

static PyObject *stock_init, *stock_cancel;
static FreeHandles free_handles;

/* ---- life and death ---- */

PyObject *
handle_allocate(PyTypeObject *type, FreeHandles *free)
{
    if (LIKELY(free->number > 0)) {
        return PyObject_Init(free->free[--free->number], type);
    }
    PyObject *handle = type->tp_alloc(type, 0);
    if (handle != NULL) {
        PyObject_GC_UnTrack(handle);
    }
    return handle;
}

PyObject *
handle_new(void)
{
    return handle_allocate(Handle_Type, &free_handles);
}

void
handle_release(PyObject *self, PyTypeObject *exact, FreeHandles *free)
{
    PyTypeObject *type = Py_TYPE(self);
    if (LIKELY(type == exact && free->number < (int)Py_ARRAY_LENGTH(free->free))) {
        free->free[free->number++] = self;
    }
    else {
        type->tp_free(self);
    }
    Py_DECREF(type);
}

/* asyncio's object fields of both types, by where their offset is. */
static const size_t object_fields[] = {
    offsetof(HandleFields, callback), offsetof(HandleFields, args),
    offsetof(HandleFields, context),  offsetof(HandleFields, loop),
    offsetof(HandleFields, repr),     offsetof(HandleFields, source_traceback),
    offsetof(HandleFields, cancelled),
};

static inline PyObject **
nth_field(PyObject *handle, size_t nth)
{
    return handle_field(handle, *(Py_ssize_t *)((char *)&handle_fields + object_fields[nth]));
}

int
handle_traverse(PyObject *self, visitproc visit, void *arg)
{
    Tracking *tracking = handle_tracking(self);
    Py_VISIT(Py_TYPE(self));
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(object_fields); nth++) {
        VISIT_CONTAINER(*nth_field(self, nth));
    }
    Py_VISIT(tracking->dict);
    Py_VISIT(tracking->lifetime);
    Py_VISIT(tracking->task);
    return 0;
}

int
handle_clear(PyObject *self)
{
    Tracking *tracking = handle_tracking(self);
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(object_fields); nth++) {
        Py_CLEAR(*nth_field(self, nth));
    }
    Py_CLEAR(tracking->dict);
    Py_CLEAR(tracking->lifetime);
    Py_CLEAR(tracking->task);
    return 0;
}

static void
handle_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, handle_dealloc)
    PyObject_ClearWeakRefs(self);
    handle_clear(self);
    handle_release(self, Handle_Type, &free_handles);
    Py_TRASHCAN_END
}

/* ---- making one ---- */

int
handle_fill(PyObject *handle, PyObject *callback, PyObject *args, PyObject *loop,
            PyObject *context)
{
    PyObject *own = context == Py_None ? PyContext_CopyCurrent() : Py_NewRef(context);
    if (UNLIKELY(own == NULL)) {
        return -1;
    }
    Py_XSETREF(*handle_field(handle, handle_fields.context), own);
    handle_set(handle, handle_fields.loop, loop);
    handle_set(handle, handle_fields.callback, callback);
    handle_set(handle, handle_fields.args, args);
    handle_set(handle, handle_fields.cancelled, Py_False);
    handle_set(handle, handle_fields.repr, Py_None);
    handle_set(handle, handle_fields.source_traceback, Py_None);
    return 0;
}

/* A patched method of the loop is about to build one for a callback, of a type that it knows: a
   reader, a signal handler (`execution.MakingHandle`).  Without memory it is a plain callback. */
static ResourceType *
type_being_made(ThreadState *state, PyObject *handle)
{
    PyObject *making = Py_NewRef(state->making);
    PyObject *callback = PyObject_GetAttrString(making, "callback");
    PyObject *row = NULL;
    if (callback != NULL && callback == *handle_field(handle, handle_fields.callback)) {
        row = PyObject_GetAttrString(making, "type");
        if (row != NULL && PyObject_SetAttrString(making, "made", handle) < 0) {
            Py_CLEAR(row);
        }
    }
    PyErr_Clear();
    Py_XDECREF(callback);
    Py_DECREF(making);
    bool known = row != NULL && PyObject_TypeCheck(row, ResourceType_Type);
    /* Rows are kept by the table of them. */
    Py_XDECREF(row);
    return known ? (ResourceType *)row : engine.handle;
}

static void
begin_callback(PyObject *handle, ThreadState *state, ResourceType *row, Lifetime *trigger, int skip)
{
    Lifetime *lifetime = lifetime_begin(row, trigger, state, skip);
    if (UNLIKELY(lifetime == NULL)) {
        return;
    }
    Py_XSETREF(handle_tracking(handle)->lifetime, lifetime);
    emit_init(state, engine.listeners->init, lifetime, handle);
}

void
handle_created(PyObject *handle, bool context, int skip)
{
    ThreadState *state = thread_state();
    Tracking *tracking = handle_tracking(handle);
    PyObject *args = *handle_field(handle, handle_fields.args);
    if (UNLIKELY(state == NULL)) {
        return;
    }
    Py_CLEAR(tracking->task);
    if (!context) {
        ResourceType *row = engine.handle;
        if (UNLIKELY(state->making != NULL)) {
            row = type_being_made(state, handle);
        }
        begin_callback(handle, state, row, state->current, skip);
        return;
    }
    /* Steps and done callbacks are scheduled with the context they belong to, always. */
    PyObject *task = task_of(*handle_field(handle, handle_fields.callback));
    if (task != NULL) {
        Lifetime *lifetime = task_scheduled(state, task, skip);
        if (LIKELY(lifetime != NULL)) {
            tracking->task = Py_NewRef(task);
            Py_XSETREF(tracking->lifetime, (Lifetime *)Py_NewRef((PyObject *)lifetime));
        }
        return;
    }
    Lifetime *cause = NULL;
    if (args != NULL && PyTuple_CheckExact(args) && PyTuple_GET_SIZE(args) == 1) {
        cause = settled_cause(PyTuple_GET_ITEM(args, 0));
    }
    begin_callback(handle, state, engine.handle, cause == NULL ? state->current : cause, skip);
}

int
handle_needs_stock(PyObject *loop)
{
    if (!handle_fields_known) {
        return 1;
    }
    PyObject *debug = PyObject_CallMethod(loop, "get_debug", NULL);
    int answer = debug == NULL ? -1 : PyObject_IsTrue(debug);
    Py_XDECREF(debug);
    return answer;
}

/* Its place of creation, in debug mode, is as if it were called by what calls ours. */
int
handle_construct_by_stock(PyObject *init, PyObject *self, PyObject *args, PyObject *keywords)
{
    Py_ssize_t given = PyTuple_GET_SIZE(args);
    PyObject *all = PyTuple_New(given + 1);
    if (all == NULL) {
        return -1;
    }
    PyTuple_SET_ITEM(all, 0, Py_NewRef(self));
    for (Py_ssize_t nth = 0; nth < given; nth++) {
        PyTuple_SET_ITEM(all, nth + 1, Py_NewRef(PyTuple_GET_ITEM(args, nth)));
    }
    PyObject *done = PyObject_Call(init, all, keywords);
    Py_DECREF(all);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
handle_init(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"callback", "args", "loop", "context", NULL};
    PyObject *callback, *arguments, *loop, *context = Py_None;
    int stock = 1;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO|O:Handle", names, &callback, &arguments,
                                     &loop, &context)) {
        /* asyncio refuses it in its own words. */
        PyErr_Clear();
    }
    else if ((stock = handle_needs_stock(loop)) < 0) {
        return -1;
    }
    if (stock ? handle_construct_by_stock(stock_init, self, args, keywords) < 0
              : handle_fill(self, callback, arguments, loop, context) < 0) {
        return -1;
    }
    /* Above it are `_call_soon` and `call_soon`. */
    handle_created(self, context != Py_None, 2);
    return 0;
}

/* Have the loop count a timer that is still in its heap. */
static int
tell_loop(PyObject *loop, PyObject *timer)
{
    if (LIKELY(*handle_field(timer, handle_fields.scheduled) == Py_True
               && loop_counts_cancelled(loop, 1))) {
        return 0;
    }
    static PyObject *name;
    if (name == NULL && (name = PyUnicode_InternFromString("_timer_handle_cancelled")) == NULL) {
        return -1;
    }
    PyObject *told = PyObject_CallMethodOneArg(loop, name, timer);
    Py_XDECREF(told);
    return told == NULL ? -1 : 0;
}

PyObject *
handle_cancel_by(PyObject *by_stock, PyObject *self, bool timer)
{
    PyObject *loop = *handle_field(self, handle_fields.loop);
    PyObject *cancelled = *handle_field(self, handle_fields.cancelled);
    if (UNLIKELY(loop == NULL || cancelled == NULL || !PyBool_Check(cancelled)
                 || !loop_is_plain(loop))) {
        return PyObject_CallOneArg(by_stock, self);
    }
    if (cancelled == Py_False) {
        if (timer && *handle_field(self, handle_fields.scheduled) != Py_False
            && tell_loop(loop, self) < 0) {
            return NULL;
        }
        handle_set(self, handle_fields.cancelled, Py_True);
        handle_set(self, handle_fields.callback, Py_None);
        handle_set(self, handle_fields.args, Py_None);
    }
    Py_RETURN_NONE;
}

static PyObject *
handle_cancel(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *cancelled = handle_cancel_by(stock_cancel, self, false);
    if (cancelled == NULL) {
        return NULL;
    }
    Tracking *tracking = handle_tracking(self);
    Lifetime *lifetime = tracking->lifetime;
    ThreadState *state = thread_state();
    if (tracking->task != NULL) {
        /* The task outlives the handle of its step. */
        Py_CLEAR(tracking->task);
    }
    else if (lifetime != NULL && lifetime->open && state != NULL) {
        event_end(state, lifetime, CANCELLED);
    }
    return cancelled;
}

/* ---- the types ---- */

static PyMethodDef methods[] = {
    {"_run", handle_run, METH_NOARGS, "_run($self)\n--\n\n"},
    {"cancel", handle_cancel, METH_NOARGS, "cancel($self)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

PyGetSetDef handle_properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* Their offsets are known when the types are made. */
PyMemberDef handle_members[] = {
    {"__dictoffset__", T_PYSSIZET, 0, READONLY, NULL},
    {"_lifetime", T_OBJECT_EX, 0, READONLY, NULL},
    {"_task", T_OBJECT, 0, READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, handle_init},
    {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, handle_members},
    {Py_tp_getset, handle_properties},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "asyncio.events.Handle",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyTypeObject *
handle_type(PyType_Spec *of, PyTypeObject *base)
{
    Py_ssize_t tracking = handle_fields.tracking;
    handle_members[0].offset = tracking + (Py_ssize_t)offsetof(Tracking, dict);
    handle_members[1].offset = tracking + (Py_ssize_t)offsetof(Tracking, lifetime);
    handle_members[2].offset = tracking + (Py_ssize_t)offsetof(Tracking, task);
    of->basicsize = (int)(tracking + (Py_ssize_t)sizeof(Tracking));
    return (PyTypeObject *)PyType_FromSpecWithBases(of, (PyObject *)base);
}

/* Where a slot of asyncio's class is; -1 with an exception set if it is no slot. */
static Py_ssize_t
slot_offset(PyTypeObject *type, const char *name)
{
    PyObject *slot = PyObject_GetAttrString((PyObject *)type, name);
    Py_ssize_t offset = -1;
    if (slot != NULL && Py_IS_TYPE(slot, &PyMemberDescr_Type)
        && ((PyMemberDescrObject *)slot)->d_member->type == T_OBJECT_EX) {
        offset = ((PyMemberDescrObject *)slot)->d_member->offset;
    }
    else if (slot != NULL) {
        PyErr_Format(PyExc_TypeError, "expected a slot %s in %s", name, type->tp_name);
    }
    Py_XDECREF(slot);
    return offset;
}

static int
find_fields(void)
{
    const struct {
        const char *name;
        PyTypeObject *type;
        Py_ssize_t *offset;
    } slots[] = {
        {"_callback", stock_handle, &handle_fields.callback},
        {"_args", stock_handle, &handle_fields.args},
        {"_context", stock_handle, &handle_fields.context},
        {"_loop", stock_handle, &handle_fields.loop},
        {"_cancelled", stock_handle, &handle_fields.cancelled},
        {"_repr", stock_handle, &handle_fields.repr},
        {"_source_traceback", stock_handle, &handle_fields.source_traceback},
        {"_scheduled", stock_timer_handle, &handle_fields.scheduled},
        {"_when", stock_timer_handle, &handle_fields.when},
    };
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(slots); nth++) {
        *slots[nth].offset = slot_offset(slots[nth].type, slots[nth].name);
        if (*slots[nth].offset < 0) {
            return -1;
        }
    }
    /* A timer is the larger one. */
    handle_fields.tracking = stock_timer_handle->tp_basicsize;
    return 0;
}

/* make_handles(Handle, TimerHandle, fields_known): subclasses of asyncio's; once. */
static PyObject *
make_handles(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *handle, *timer;
    int known;
    if (!PyArg_ParseTuple(args, "O!O!p:make_handles", &PyType_Type, &handle, &PyType_Type, &timer,
                          &known)) {
        return NULL;
    }
    if (Handle_Type != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the handles are made already");
        return NULL;
    }
    stock_handle = (PyTypeObject *)Py_NewRef(handle);
    stock_timer_handle = (PyTypeObject *)Py_NewRef(timer);
    stock_init = PyObject_GetAttrString(handle, "__init__");
    stock_cancel = PyObject_GetAttrString(handle, "cancel");
    handle_fields_known = known != 0;
    if (stock_init == NULL || stock_cancel == NULL || find_fields() < 0) {
        return NULL;
    }
    PyTypeObject *made = handle_type(&spec, stock_handle);
    if (made == NULL || timer_type_make() < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    Handle_Type = made;
    return PyTuple_Pack(2, Handle_Type, TimerHandle_Type);
}

static PyMethodDef functions[] = {
    {"make_handles", make_handles, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int
handles_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
