/* How a Callback or a Step looks to the program: it has the attributes and the repr of what it
   brackets, and its own fields by name.

   Twin of the same part of agent/engine/callbacks.py. */

#include "callbacks.h"

static const char *const own_names[] = {"args", "callback", "lifetime"};

static bool
is_own_name(PyObject *name)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(own_names); nth++) {
        if (PyUnicode_CompareWithASCIIString(name, own_names[nth]) == 0) {
            return true;
        }
    }
    return false;
}

/* The callback, a new reference; an AttributeError if it has none. */
static PyObject *
bracketed(PyObject *self)
{
    PyObject *callback = ((Bracket *)self)->callback;
    if (callback == NULL) {
        PyErr_SetString(PyExc_AttributeError, "callback");
    }
    return Py_XNewRef(callback);
}

PyObject *
bracket_get_attribute(PyObject *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr(self, name);
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError) || is_own_name(name)) {
        return value;
    }
    PyErr_Clear();
    PyObject *callback = bracketed(self);
    if (callback == NULL) {
        return NULL;
    }
    value = PyObject_GetAttr(callback, name);
    Py_DECREF(callback);
    return value;
}

PyObject *
bracket_show(PyObject *self)
{
    PyObject *callback = bracketed(self);
    PyObject *text = callback == NULL ? NULL : PyObject_Repr(callback);
    Py_XDECREF(callback);
    return text;
}

/* The failure in this thread will be told to nobody. */
static void
give_up(void)
{
    PyObject *function = python_function("give_up");
    ThreadState *state = thread_state();
    if (function == NULL || state == NULL) {
        return;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *nothing = PyObject_CallOneArg(function, (PyObject *)state);
    if (nothing == NULL && PyErr_Occurred()) {
        exception_dropped();
    }
    Py_XDECREF(nothing);
    pending_restore(&pending);
}

/* The loop asks in order to tell its exception handler, which it never does if this fails. */
static PyObject *
format(PyObject *self, PyObject *spec)
{
    PyObject *callback = bracketed(self);
    PyObject *text = callback == NULL ? NULL : PyObject_Format(callback, spec);
    Py_XDECREF(callback);
    if (text == NULL) {
        give_up();
    }
    return text;
}

/* What copy and pickle keep: the attributes, and the fields that are set. */
static PyObject *
get_state(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Bracket *bracket = (Bracket *)self;
    PyObject *fields = PyDict_New();
    if (fields == NULL) {
        return NULL;
    }
    const struct {
        const char *name;
        PyObject *value;
    } set[] = {
        {"args", bracket->args},
        {"callback", bracket->callback},
        {"lifetime", (PyObject *)bracket->lifetime},
        {"task", Py_IS_TYPE(self, Step_Type) ? ((Step *)self)->task : NULL},
    };
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(set); nth++) {
        if (set[nth].value != NULL
            && PyDict_SetItemString(fields, set[nth].name, set[nth].value) < 0) {
            Py_DECREF(fields);
            return NULL;
        }
    }
    PyObject *dict = Py_IS_TYPE(self, Callback_Type) ? ((Callback *)self)->dict : NULL;
    return Py_BuildValue("ON", dict == NULL ? Py_None : dict, fields);
}

PyMethodDef bracket_methods[] = {
    {"__format__", format, METH_O, NULL},
    {"__getstate__", get_state, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* ---- fields ---- */

/* A field as an attribute; the closure is its offset. */
static PyObject *
get_field(PyObject *self, void *closure)
{
    PyObject *value = *(PyObject **)((char *)self + (size_t)closure);
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "not set yet");
        return NULL;
    }
    return Py_NewRef(value);
}

static int
set_field(PyObject *self, PyObject *value, void *closure)
{
    PyObject **field = (PyObject **)((char *)self + (size_t)closure);
    Py_XSETREF(*field, Py_XNewRef(value));
    return 0;
}

/* The same of one that is of one type only. */
static int
set_args(PyObject *self, PyObject *value, void *closure)
{
    if (value != NULL && !PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError, "expected a tuple, not %R", value);
        return -1;
    }
    return set_field(self, value, closure);
}

static int
set_lifetime(PyObject *self, PyObject *value, void *closure)
{
    if (value != NULL && !PyObject_TypeCheck(value, Lifetime_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a Lifetime, not %R", value);
        return -1;
    }
    return set_field(self, value, closure);
}

PyGetSetDef callback_fields[] = {
    {"args", get_field, set_args, NULL, (void *)offsetof(Bracket, args)},
    {"callback", get_field, set_field, NULL, (void *)offsetof(Bracket, callback)},
    {"lifetime", get_field, set_lifetime, NULL, (void *)offsetof(Bracket, lifetime)},
    {"__wrapped__", get_field, NULL, NULL, (void *)offsetof(Bracket, callback)},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyGetSetDef step_fields[] = {
    {"args", get_field, set_args, NULL, (void *)offsetof(Bracket, args)},
    {"callback", get_field, set_field, NULL, (void *)offsetof(Bracket, callback)},
    {"lifetime", get_field, set_lifetime, NULL, (void *)offsetof(Bracket, lifetime)},
    {"task", get_field, set_field, NULL, (void *)offsetof(Step, task)},
    {"__wrapped__", get_field, NULL, NULL, (void *)offsetof(Bracket, callback)},
    {NULL, NULL, NULL, NULL, NULL},
};
