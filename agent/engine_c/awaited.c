/* Futures of ours that tasks await: no slower than asyncio's own.

   asyncio's tasks in C have a fast way for what they await, and take it for futures of exactly
   asyncio's class.  So:

   - A pending future that the step of a task awaits is lent: it is of asyncio's class until the step
     has ended, which it does at once, for the future is pending.  If the program has settled it
     meanwhile, which takes calling `__await__` without awaiting, that is told when it comes back.
   - A task that wakes up asks what it has awaited for its exception only.  Of a future that has a result
     it is shown another one that has, of asyncio's class.

   There is no twin: in Python, the class of a future costs what it costs. */

#include "futures.h"

static PyCFunction stock_done, stock_cancelled;
static PyObject *with_result; /* a future of asyncio's class */

static void
lend(ThreadState *state, PyObject *future)
{
    state->lent = Py_NewRef(future);
    Py_INCREF((PyObject *)stock_future);
    Py_SET_TYPE(future, stock_future); /* with its reference to our class, which it has again soon */
}

static PyObject *
outcome_of(PyObject *future)
{
    PyObject *cancelled = stock_cancelled(future, NULL), *error = stock_future_exception(future, NULL);
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
    Py_DECREF((PyObject *)stock_future);
    PyObject *done = stock_done(future, NULL);
    if (UNLIKELY(done == Py_True)) {
        Pending pending;
        pending_save(&pending);
        future_settled(future, outcome_of(future));
        pending_restore(&pending);
    }
    Py_XDECREF(done);
    Py_DECREF(future);
}

PyObject *
future_await(PyObject *self)
{
    ThreadState *state = thread_state();
    Lifetime *lifetime = future_tracking(self)->lifetime;
    if (LIKELY(state != NULL && state->steps && state->lent == NULL && lifetime != NULL
               && lifetime->open && Py_IS_TYPE(self, Future_Type))) {
        lend(state, self);
    }
    return stock_future->tp_as_async->am_await(self);
}

PyObject *
future_step(ThreadState *state, PyObject *callback, PyObject *args)
{
    Py_ssize_t number = PyTuple_GET_SIZE(args);
    PyObject *const *given = &PyTuple_GET_ITEM(args, 0);
    if (number == 1 && Py_IS_TYPE(given[0], Future_Type) && future_tracking(given[0])->has_result
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

/* ---- what is known of asyncio ---- */

/* A method without arguments of asyncio's class, as a function; NULL with an exception set. */
static PyCFunction
stock_function(const char *name)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)stock_future, name);
    PyCFunction found = NULL;
    if (method != NULL && Py_IS_TYPE(method, &PyMethodDescr_Type)
        && ((PyMethodDescrObject *)method)->d_method->ml_flags == METH_NOARGS) {
        found = ((PyMethodDescrObject *)method)->d_method->ml_meth;
    }
    else if (method != NULL) {
        PyErr_Format(PyExc_TypeError, "expected Future.%s to be a method without arguments", name);
    }
    Py_XDECREF(method);
    return found;
}

int
awaited_know(PyObject *future)
{
    if ((stock_done = stock_function("done")) == NULL
        || (stock_cancelled = stock_function("cancelled")) == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(future, stock_future) || stock_future->tp_as_async == NULL
        || stock_future->tp_as_async->am_await == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected a class of what can be awaited, and one of it");
        return -1;
    }
    with_result = Py_NewRef(future);
    return 0;
}
