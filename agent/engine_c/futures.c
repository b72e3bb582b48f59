/* Futures: a subclass of asyncio's own in C, under its name, with the lifetime at its end.

   Twin of agent/engine/futures.py.  Settling is seen where it happens: every way of settling a future
   of asyncio goes through these three methods.  What they are given goes on to asyncio's as it is, so
   what is refused is refused in asyncio's words.

   What is not ours is left to asyncio's class, by its slots: how a future is constructed, visited,
   finalized and freed. */

#include "futures.h"
#include "handles.h"

PyTypeObject *Future_Type, *stock_future;
getter stock_future_exception;

static PyObject *stock_set_result, *stock_set_exception, *stock_cancel;
static getter stock_source_traceback;
static PyObject *name_loop;

Lifetime *
future_lifetime(PyObject *future)
{
    if (Future_Type == NULL || !PyObject_TypeCheck(future, Future_Type)) {
        return NULL;
    }
    return future_tracking(future)->lifetime;
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
    future_tracking(self)->has_result = false;
    if (stock_future->tp_init(self, args, keywords) < 0) {
        return -1;
    }
    clean_source_traceback(self);
    ThreadState *state = thread_state();
    Lifetime *lifetime = state == NULL
        ? NULL
        : lifetime_begin(engine.future, state->current, state, 0);
    if (LIKELY(lifetime != NULL)) {
        lifetime->notify = engine.listeners->destroy != NULL;
        Py_XSETREF(future_tracking(self)->lifetime, lifetime);
        emit_init(state, engine.listeners->init, lifetime, self);
    }
    return 0;
}

bool
future_is_ours(PyObject *type)
{
    return type != NULL && type == (PyObject *)Future_Type;
}

bool
future_class_is_made(void)
{
    return Future_Type != NULL;
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
void
future_settled(PyObject *future, PyObject *outcome)
{
    FutureTracking *tracking = future_tracking(future);
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
            PyObject *error = stock_future_exception(future, NULL);
            if (error != NULL) {
                recorder_failed(lifetime, error);
            }
            PyErr_Clear();
            Py_XDECREF(error);
        }
        RecordedLifetime *recorded = (RecordedLifetime *)lifetime;
        /* Only of a span does anybody ask when it has ended. */
        int64_t now = recorded->transparency == TRANSPARENT ? 0 : clock_now();
        recorder_finish_outside(recorded, outcome, now);
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
        future_settled(self, DONE);
    }
    return done;
}

static PyObject *
set_exception(PyObject *self, PyObject *const *args, Py_ssize_t number, PyObject *kwnames)
{
    PyObject *done = call_stock(stock_set_exception, self, args, number, kwnames);
    if (done != NULL) {
        future_settled(self, FAILED);
    }
    return done;
}

static PyObject *
cancel(PyObject *self, PyObject *const *args, Py_ssize_t number, PyObject *kwnames)
{
    PyObject *cancelled = call_stock(stock_cancel, self, args, number, kwnames);
    if (cancelled == Py_True) {
        future_settled(self, CANCELLED);
    }
    return cancelled;
}

/* ---- the end ---- */

static void
future_finalize(PyObject *self)
{
    Lifetime *lifetime = future_tracking(self)->lifetime;
    if (lifetime != NULL && lifetime->open) {
        lifetime_dropped(lifetime);
    }
    stock_future->tp_finalize(self);
}

static bool
stock_counts_its_type(void)
{
    return PyType_HasFeature(stock_future, Py_TPFLAGS_HEAPTYPE);
}

static int
future_traverse(PyObject *self, visitproc visit, void *arg)
{
    if (!stock_counts_its_type()) {
        Py_VISIT(Py_TYPE(self));
    }
    Py_VISIT(future_tracking(self)->lifetime);
    return stock_future->tp_traverse(self, visit, arg);
}

static int
future_clear(PyObject *self)
{
    Py_CLEAR(future_tracking(self)->lifetime);
    return stock_future->tp_clear(self);
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
    Py_CLEAR(future_tracking(self)->lifetime);
    stock_future->tp_dealloc(self);
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
    PyObject *method = PyObject_GetAttrString((PyObject *)stock_future, ours->ml_name);
    if (method != NULL && !Py_IS_TYPE(method, &PyMethodDescr_Type)) {
        PyErr_Format(PyExc_TypeError, "expected Future.%s to be a method in C", ours->ml_name);
        Py_CLEAR(method);
    }
    if (method != NULL) {
        ours->ml_doc = ((PyMethodDescrObject *)method)->d_method->ml_doc;
    }
    return method;
}

static getter
stock_getter(const char *name)
{
    PyObject *property = PyObject_GetAttrString((PyObject *)stock_future, name);
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
    if (stock_future != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the future is made already");
        return NULL;
    }
    stock_future = (PyTypeObject *)Py_NewRef(future);
    stock_set_result = stock_method(&methods[0]);
    stock_set_exception = stock_set_result == NULL ? NULL : stock_method(&methods[1]);
    stock_cancel = stock_set_exception == NULL ? NULL : stock_method(&methods[2]);
    if (stock_cancel == NULL || (stock_future_exception = stock_getter("_exception")) == NULL
        || (stock_source_traceback = stock_getter("_source_traceback")) == NULL
        || (name_loop = PyUnicode_InternFromString("loop")) == NULL) {
        return NULL;
    }
    if (awaited_know(has_result) < 0) {
        return NULL;
    }
    slots[0].pfunc = (void *)stock_future->tp_doc;
    members[0].offset = stock_future->tp_basicsize;
    spec.basicsize = (int)(stock_future->tp_basicsize + (Py_ssize_t)sizeof(FutureTracking));
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
