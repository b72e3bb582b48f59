/* What a loop is given to run: what it is called, and what it is triggered by.

   Twin of agent/engine/scheduled.py. */

#include "engine.h"

static PyTypeObject *future_class, *python_future_class; /* asyncio's own */
static PyObject *name_done, *name_lifetime;
static PyObject *sleeping; /* the name of the callback of the timer of `asyncio.sleep` */

/* ---- what it is triggered by ---- */

/* Whether it is a future or task, by the type alone: an object of the program's is not asked. */
static inline bool
may_settle(PyObject *object)
{
    return future_class != NULL
           && (PyObject_TypeCheck(object, future_class)
               || PyObject_TypeCheck(object, python_future_class));
}

static bool
is_done(PyObject *future)
{
    PyObject *done = PyObject_CallMethodNoArgs(future, name_done);
    int answer = done == NULL ? 0 : PyObject_IsTrue(done);
    PyErr_Clear();
    Py_XDECREF(done);
    return answer > 0;
}

/* Of a class that stands in for one of asyncio's.  Borrowed: the future holds it. */
static Lifetime *
lifetime_attribute(PyObject *future)
{
    PyObject *found = PyObject_GenericGetAttr(future, name_lifetime);
    PyErr_Clear();
    bool is_one = found != NULL && PyObject_TypeCheck(found, Lifetime_Type);
    Py_XDECREF(found);
    return is_one ? (Lifetime *)found : NULL;
}

Lifetime *
settled_cause(PyObject *future)
{
    if (LIKELY(!may_settle(future)) || !is_done(future)) {
        return NULL;
    }
    Lifetime *lifetime = future_lifetime(future);
    if (lifetime == NULL) {
        lifetime = token_lifetime(future);
    }
    return lifetime == NULL ? lifetime_attribute(future) : lifetime;
}

/* ---- what it is called ---- */

/* What the program calls it: a new reference; NULL without memory. */
static PyObject *
callback_name(PyObject *callback)
{
    PyObject *function = PyMethod_Check(callback) ? PyMethod_GET_FUNCTION(callback) : callback;
    if (LIKELY(PyFunction_Check(function))) {
        return Py_NewRef(((PyFunctionObject *)function)->func_qualname);
    }
    PyObject *name = python_function("callback_name");
    PyObject *found = name == NULL ? NULL : PyObject_CallOneArg(name, callback);
    if (found != NULL && !PyUnicode_Check(found)) {
        Py_CLEAR(found);
    }
    PyErr_Clear();
    return found;
}

/* What a function in Python says of one object; false if it fails. */
static bool
python_says(const char *name, PyObject *object)
{
    PyObject *function = python_function(name);
    PyObject *answer = function == NULL ? NULL : PyObject_CallOneArg(function, object);
    int yes = answer == NULL ? 0 : PyObject_IsTrue(answer);
    PyErr_Clear();
    Py_XDECREF(answer);
    return yes > 0;
}

static bool
is_name(PyObject *name, PyObject *expected)
{
    return name == expected
           || (name != NULL && PyUnicode_Check(name) && PyUnicode_Compare(name, expected) == 0);
}

/* A timeout of a task that a library, or asyncio, made for itself. */
static bool
is_of_plumbing(Lifetime *trigger)
{
    return lifetime_transparent(trigger) && trigger->type == engine.task && engine.task->spans
           && !python_says("is_left_out", (PyObject *)trigger);
}

/* One that its own callback arms again is a period, and no descent.

   The place tells so but for the first time, when another place has armed it (parents.c). */
static void
root_if_rearmed(SpanLifetime *timer)
{
    SpanLifetime *ancestor = timer->base.parent;
    for (; ancestor != NULL; ancestor = ancestor->base.parent) {
        if (ancestor->base.base.type == engine.timer_handle && is_name(ancestor->name, timer->name)) {
            python_says("make_root", (PyObject *)timer);
            return;
        }
    }
}

void
describe_timer(Lifetime *lifetime, Lifetime *trigger, PyObject *callback)
{
    if (!is_span(lifetime)) {
        return;
    }
    SpanLifetime *timer = (SpanLifetime *)lifetime;
    PyObject *name = callback_name(callback);
    Py_XSETREF(timer->name, name);
    if (name == NULL) {
        return;
    }
    if (is_of_plumbing(trigger) || is_of_connection(callback)) {
        recorder_hide(lifetime);
    }
    else if (timer->base.parent != NULL && !is_name(name, sleeping)) {
        root_if_rearmed(timer);
    }
}

/* Of what is cancelled, make a timer transparent: a timeout that did not come to pass.

   But not a sleep, which a task has waited for, nor what has spans already. */
void
hide_unfired(Lifetime *lifetime)
{
    if (is_span(lifetime) && lifetime->type == engine.timer_handle && lifetime->resource == NULL
        && !((SpanLifetime *)lifetime)->keep
        && !is_name(((SpanLifetime *)lifetime)->name, sleeping)) {
        recorder_hide(lifetime);
    }
}

/* ---- for Python ---- */

static PyObject *
python_settled_cause(PyObject *Py_UNUSED(module), PyObject *future)
{
    Lifetime *cause = settled_cause(future);
    return Py_NewRef(cause == NULL ? Py_None : (PyObject *)cause);
}

static PyObject *
python_describe_timer(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *timer, *trigger, *callback;
    if (!PyArg_ParseTuple(args, "O!O!O:describe_timer", Lifetime_Type, &timer, Lifetime_Type,
                          &trigger, &callback)) {
        return NULL;
    }
    describe_timer((Lifetime *)timer, (Lifetime *)trigger, callback);
    Py_RETURN_NONE;
}

static PyObject *
python_hide_unfired(PyObject *Py_UNUSED(module), PyObject *lifetime)
{
    if (PyObject_TypeCheck(lifetime, Lifetime_Type)) {
        hide_unfired((Lifetime *)lifetime);
    }
    Py_RETURN_NONE;
}

/* know_futures(Future, _PyFuture): asyncio's own, once. */
static PyObject *
know_futures(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *future, *python_future;
    if (!PyArg_ParseTuple(args, "O!O!:know_futures", &PyType_Type, &future, &PyType_Type,
                          &python_future)) {
        return NULL;
    }
    name_done = PyUnicode_InternFromString("done");
    name_lifetime = PyUnicode_InternFromString("_lifetime");
    sleeping = PyUnicode_InternFromString("_set_result_unless_cancelled");
    if (name_done == NULL || name_lifetime == NULL || sleeping == NULL) {
        return NULL;
    }
    python_future_class = (PyTypeObject *)Py_NewRef(python_future);
    future_class = (PyTypeObject *)Py_NewRef(future);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"know_futures", know_futures, METH_VARARGS, NULL},
    {"settled_cause", python_settled_cause, METH_O, NULL},
    {"describe_timer", python_describe_timer, METH_VARARGS, NULL},
    {"hide_unfired", python_hide_unfired, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

int
scheduled_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
