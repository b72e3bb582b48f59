/* Futures: a subclass of asyncio's own in C, under its name, with the lifetime at its end.

   Twin of agent/engine/futures.py.  Settling is seen where it happens: every way of settling a future
   of asyncio goes through these three methods.  What they are given goes on to asyncio's as it is, so
   what is refused is refused in asyncio's words.

   What is not ours is left to asyncio's class, by its slots: how a future is constructed, visited,
   finalized and freed.

   asyncio's tasks in C have a fast way for what they await, and take it for futures of exactly
   asyncio's class.  So that awaiting is no slower with us:

   - A pending future that the step of a task awaits is lent: it is of asyncio's class until the step
     has ended, which it does at once, for the future is pending.  If the program has settled it
     meanwhile, which takes calling `__await__` without awaiting, that is told when it comes back.
   - A task that wakes up asks what it has awaited for its exception only.  Of a future that has a result
     it is shown another one that has, of asyncio's class. */

#include "handles.h"

static PyTypeObject *Future_Type; /* NULL until asyncio has been imported */
static PyTypeObject *stock;       /* asyncio's */
static PyObject *stock_set_result, *stock_set_exception, *stock_cancel;
static PyCFunction stock_done, stock_cancelled;
static getter stock_exception, stock_source_traceback;
static PyObject *with_result; /* a future of asyncio's class */
static PyObject *name_loop;

/* Ours, behind the fields of asyncio's class. */
typedef struct {
    Lifetime *lifetime; /* NULL if asyncio has refused to make it, or without memory */
    bool has_result;
} FutureTracking;

static inline FutureTracking *
tracking_of(PyObject *future)
{
    return (FutureTracking *)((char *)future + stock->tp_basicsize);
}

Lifetime *
future_lifetime(PyObject *future)
{
    if (Future_Type == NULL || !PyObject_TypeCheck(future, Future_Type)) {
        return NULL;
    }
    return tracking_of(future)->lifetime;
}

/* ---- init ---- */

/* In debug mode asyncio has noted where it was created: without our frames. */
static void
clean_source_traceback(PyObject *future)
{
    PyObject *places = stock_source_traceback(future, NULL);
    if (UNLIKELY(places != NULL && places != Py_None)) {
        PyObject *clean = python_function("leave_out_ours");
        PyObject *cleaned = clean == NULL ? NULL : PyObject_CallOneArg(clean, places);
        Py_XDECREF(cleaned);
        PyErr_Clear();
    }
    Py_XDECREF(places);
}

static int
future_init(PyObject *self, PyObject *args, PyObject *keywords)
{
    tracking_of(self)->has_result = false;
    if (stock->tp_init(self, args, keywords) < 0) {
        return -1;
    }
    clean_source_traceback(self);
    ThreadState *state = thread_state();
    Lifetime *lifetime = state == NULL
        ? NULL
        : lifetime_begin(engine.future, state->current, state, 0);
    if (LIKELY(lifetime != NULL)) {
        lifetime->notify = engine.listeners->destroy != NULL;
        Py_XSETREF(tracking_of(self)->lifetime, lifetime);
        emit_init(state, engine.listeners->init, lifetime, self);
    }
    return 0;
}

bool
future_is_ours(PyObject *type)
{
    return type != NULL && type == (PyObject *)Future_Type;
}

/* The keywords of the constructor: the same dictionary again, but while a constructor has it. */
static PyObject *spare_keywords;

static PyObject *
take_keywords(PyObject *loop)
{
    PyObject *keywords = spare_keywords != NULL ? spare_keywords : PyDict_New();
    spare_keywords = NULL;
    if (keywords != NULL && PyDict_SetItem(keywords, name_loop, loop) < 0) {
        Py_CLEAR(keywords);
    }
    return keywords;
}

static void
give_back_keywords(PyObject *keywords)
{
    if (LIKELY(spare_keywords == NULL && Py_REFCNT(keywords) == 1
               && PyDict_SetItem(keywords, name_loop, Py_None) == 0)) {
        spare_keywords = keywords;
    }
    else {
        Py_DECREF(keywords);
    }
}

PyObject *
future_new(PyObject *loop)
{
    static PyObject *no_arguments;
    if (no_arguments == NULL && (no_arguments = PyTuple_New(0)) == NULL) {
        return NULL;
    }
    PyObject *keywords = take_keywords(loop);
    if (keywords == NULL) {
        return NULL;
    }
    PyObject *future = Future_Type->tp_new(Future_Type, no_arguments, keywords);
    if (LIKELY(future != NULL && future_init(future, no_arguments, keywords) == 0)) {
        give_back_keywords(keywords);
        return future;
    }
    Py_DECREF(keywords);
    Py_XDECREF(future);
    return NULL;
}

/* ---- settling ---- */

/* promise_resolve and destroy, in the context of whoever settles. */
static void
settled(PyObject *future, PyObject *outcome)
{
    FutureTracking *tracking = tracking_of(future);
    Lifetime *lifetime = tracking->lifetime;
    ThreadState *state = thread_state();
    tracking->has_result = outcome == DONE;
    if (lifetime == NULL || !lifetime->open || state == NULL) {
        return;
    }
    Py_INCREF((PyObject *)lifetime);
    event_resolve(state, lifetime);
    lifetime->open = false;
    if (is_recorded(lifetime)) {
        if (outcome == FAILED) {
            PyObject *error = stock_exception(future, NULL);
            if (error != NULL) {
                recorder_failed(lifetime, error);
            }
            PyErr_Clear();
            Py_XDECREF(error);
        }
        recorder_finish_outside((RecordedLifetime *)lifetime, outcome, clock_now());
    }
    emit(state, engine.listeners->destroy, lifetime->async_id);
    Py_DECREF((PyObject *)lifetime);
}

/* Call asyncio's method with arguments that it may well refuse. */
static PyObject *
call_with_any(PyObject *method, PyObject *self, PyObject *const *args, Py_ssize_t number,
              PyObject *kwnames)
{
    Py_ssize_t total = number + (kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames));
    PyObject **given = PyMem_New(PyObject *, total + 1);
    if (given == NULL) {
        return PyErr_NoMemory();
    }
    given[0] = self;
    for (Py_ssize_t nth = 0; nth < total; nth++) {
        given[nth + 1] = args[nth];
    }
    PyObject *result = PyObject_Vectorcall(method, given, (size_t)(number + 1), kwnames);
    PyMem_Free(given);
    return result;
}

static inline PyObject *
call_stock(PyObject *method, PyObject *self, PyObject *const *args, Py_ssize_t number,
           PyObject *kwnames)
{
    if (UNLIKELY(number > 1 || kwnames != NULL)) {
        return call_with_any(method, self, args, number, kwnames);
    }
    PyObject *given[] = {self, number == 0 ? NULL : args[0]};
    return PyObject_Vectorcall(method, given, (size_t)(number + 1), NULL);
}

static PyObject *
set_result(PyObject *self, PyObject *const *args, Py_ssize_t number, PyObject *kwnames)
{
    PyObject *done = call_stock(stock_set_result, self, args, number, kwnames);
    if (LIKELY(done != NULL)) {
        settled(self, DONE);
    }
    return done;
}

static PyObject *
set_exception(PyObject *self, PyObject *const *args, Py_ssize_t number, PyObject *kwnames)
{
    PyObject *done = call_stock(stock_set_exception, self, args, number, kwnames);
    if (done != NULL) {
        settled(self, FAILED);
    }
    return done;
}

static PyObject *
cancel(PyObject *self, PyObject *const *args, Py_ssize_t number, PyObject *kwnames)
{
    PyObject *cancelled = call_stock(stock_cancel, self, args, number, kwnames);
    if (cancelled == Py_True) {
        settled(self, CANCELLED);
    }
    return cancelled;
}

/* ---- what a task awaits ---- */

static void
lend(ThreadState *state, PyObject *future)
{
    state->lent = Py_NewRef(future);
    Py_INCREF((PyObject *)stock);
    Py_SET_TYPE(future, stock); /* with its reference to our class, which it has again soon */
}

static PyObject *
outcome_of(PyObject *future)
{
    PyObject *cancelled = stock_cancelled(future, NULL), *error = stock_exception(future, NULL);
    PyObject *outcome = cancelled == Py_True ? CANCELLED : is_none(error) ? DONE : FAILED;
    Py_XDECREF(error);
    Py_XDECREF(cancelled);
    return outcome;
}

static void
take_back(ThreadState *state)
{
    PyObject *future = state->lent;
    state->lent = NULL;
    Py_SET_TYPE(future, Future_Type);
    Py_DECREF((PyObject *)stock);
    PyObject *done = stock_done(future, NULL);
    if (UNLIKELY(done == Py_True)) {
        Pending pending;
        pending_save(&pending);
        settled(future, outcome_of(future));
        pending_restore(&pending);
    }
    Py_XDECREF(done);
    Py_DECREF(future);
}

static PyObject *
future_await(PyObject *self)
{
    ThreadState *state = thread_state();
    Lifetime *lifetime = tracking_of(self)->lifetime;
    if (LIKELY(state != NULL && state->steps && state->lent == NULL && lifetime != NULL
               && lifetime->open && Py_IS_TYPE(self, Future_Type))) {
        lend(state, self);
    }
    return stock->tp_as_async->am_await(self);
}

PyObject *
future_step(ThreadState *state, PyObject *callback, PyObject *args)
{
    Py_ssize_t number = PyTuple_GET_SIZE(args);
    PyObject *const *given = &PyTuple_GET_ITEM(args, 0);
    if (number == 1 && Py_IS_TYPE(given[0], Future_Type) && tracking_of(given[0])->has_result
        && task_wakes_up(callback)) {
        given = &with_result;
    }
    bool outer = state->steps;
    state->steps = !PyMethod_Check(callback);
    PyObject *result = PyObject_Vectorcall(callback, given, (size_t)number, NULL);
    state->steps = outer;
    if (state->lent != NULL) {
        take_back(state);
    }
    return result;
}

/* ---- the end ---- */

static void
future_finalize(PyObject *self)
{
    Lifetime *lifetime = tracking_of(self)->lifetime;
    if (lifetime != NULL && lifetime->open) {
        lifetime_dropped(lifetime);
    }
    stock->tp_finalize(self);
}

static bool
stock_counts_its_type(void)
{
    return PyType_HasFeature(stock, Py_TPFLAGS_HEAPTYPE);
}

static int
future_traverse(PyObject *self, visitproc visit, void *arg)
{
    if (!stock_counts_its_type()) {
        Py_VISIT(Py_TYPE(self));
    }
    Py_VISIT(tracking_of(self)->lifetime);
    return stock->tp_traverse(self, visit, arg);
}

static int
future_clear(PyObject *self)
{
    Py_CLEAR(tracking_of(self)->lifetime);
    return stock->tp_clear(self);
}

static void
future_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    /* asyncio's finalizes what is exactly its own; Python, what is of a class in Python. */
    if (type == Future_Type && PyObject_CallFinalizerFromDealloc(self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    Py_CLEAR(tracking_of(self)->lifetime);
    stock->tp_dealloc(self);
    if (!stock_counts_its_type()) {
        Py_DECREF(type);
    }
}

/* ---- the type ---- */

#define AS_METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* With the documentation that asyncio's have, which says their signatures. */
static PyMethodDef methods[] = {
    {"set_result", AS_METHOD(set_result), METH_FASTCALL | METH_KEYWORDS, NULL},
    {"set_exception", AS_METHOD(set_exception), METH_FASTCALL | METH_KEYWORDS, NULL},
    {"cancel", AS_METHOD(cancel), METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"_lifetime", T_OBJECT_EX, 0, READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, NULL},
    {Py_tp_init, future_init},
    {Py_am_await, future_await},
    {Py_tp_finalize, future_finalize},
    {Py_tp_traverse, future_traverse},
    {Py_tp_clear, future_clear},
    {Py_tp_dealloc, future_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "_asyncio.Future",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

/* A method in C of asyncio's class, and its documentation; NULL with an exception set. */
static PyObject *
stock_method(PyMethodDef *ours)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)stock, ours->ml_name);
    if (method != NULL && !Py_IS_TYPE(method, &PyMethodDescr_Type)) {
        PyErr_Format(PyExc_TypeError, "expected Future.%s to be a method in C", ours->ml_name);
        Py_CLEAR(method);
    }
    if (method != NULL) {
        ours->ml_doc = ((PyMethodDescrObject *)method)->d_method->ml_doc;
    }
    return method;
}

/* One of those without arguments, as a function; NULL with an exception set. */
static PyCFunction
stock_function(const char *name)
{
    PyMethodDef wanted = {.ml_name = name};
    PyObject *method = stock_method(&wanted);
    PyCFunction found = NULL;
    if (method != NULL && ((PyMethodDescrObject *)method)->d_method->ml_flags == METH_NOARGS) {
        found = ((PyMethodDescrObject *)method)->d_method->ml_meth;
    }
    else if (method != NULL) {
        PyErr_Format(PyExc_TypeError, "expected Future.%s to take no arguments", name);
    }
    Py_XDECREF(method);
    return found;
}

static getter
stock_getter(const char *name)
{
    PyObject *property = PyObject_GetAttrString((PyObject *)stock, name);
    getter found = NULL;
    if (property != NULL && Py_IS_TYPE(property, &PyGetSetDescr_Type)) {
        found = ((PyGetSetDescrObject *)property)->d_getset->get;
    }
    else if (property != NULL) {
        PyErr_Format(PyExc_TypeError, "expected Future.%s to be a property in C", name);
    }
    Py_XDECREF(property);
    return found;
}

/* make_future(Future, with_result): a subclass of asyncio's in C; once.  `with_result` is a future of
   asyncio's class that has a result. */
static PyObject *
make_future(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *future, *has_result;
    if (!PyArg_ParseTuple(args, "O!O:make_future", &PyType_Type, &future, &has_result)) {
        return NULL;
    }
    if (stock != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the future is made already");
        return NULL;
    }
    stock = (PyTypeObject *)Py_NewRef(future);
    stock_set_result = stock_method(&methods[0]);
    stock_set_exception = stock_set_result == NULL ? NULL : stock_method(&methods[1]);
    stock_cancel = stock_set_exception == NULL ? NULL : stock_method(&methods[2]);
    if (stock_cancel == NULL || (stock_exception = stock_getter("_exception")) == NULL
        || (stock_source_traceback = stock_getter("_source_traceback")) == NULL
        || (stock_done = stock_function("done")) == NULL
        || (stock_cancelled = stock_function("cancelled")) == NULL
        || (name_loop = PyUnicode_InternFromString("loop")) == NULL) {
        return NULL;
    }
    if (!Py_IS_TYPE(has_result, stock) || stock->tp_as_async == NULL
        || stock->tp_as_async->am_await == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected a class of futures, and one of them");
        return NULL;
    }
    with_result = Py_NewRef(has_result);
    slots[0].pfunc = (void *)stock->tp_doc;
    members[0].offset = stock->tp_basicsize;
    spec.basicsize = (int)(stock->tp_basicsize + (Py_ssize_t)sizeof(FutureTracking));
    Future_Type = (PyTypeObject *)PyType_FromSpecWithBases(&spec, future);
    return Py_XNewRef((PyObject *)Future_Type);
}

static PyMethodDef functions[] = {
    {"make_future", make_future, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int
futures_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
