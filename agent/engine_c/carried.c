/* Headers of a request that may name a remote parent.

   Twin of a part of agent/engine/requests.py. */

#include "engine.h"

PyObject *carried_names;

/* A bit for each length that one of their names has. */
static uint64_t lengths;

int
carried_know(PyObject *names)
{
    lengths = 0;
    for (Py_ssize_t nth = 0; nth < PyTuple_GET_SIZE(names); nth++) {
        PyObject *name = PyTuple_GET_ITEM(names, nth);
        if (!PyUnicode_Check(name) || !PyUnicode_IS_COMPACT_ASCII(name)
            || PyUnicode_GET_LENGTH(name) >= 64) {
            PyErr_Format(PyExc_TypeError, "expected the name of a header, not %R", name);
            return -1;
        }
        lengths |= 1ULL << PyUnicode_GET_LENGTH(name);
    }
    Py_XSETREF(carried_names, Py_NewRef(names));
    return 0;
}

/* Put the value of a header under its name, if there is none yet. */
static int
carry(PyObject **carrier, PyObject *name, PyObject *value)
{
    if (*carrier == NULL && (*carrier = PyDict_New()) == NULL) {
        return -1;
    }
    PyObject *text = PyBytes_Check(value)
        ? PyUnicode_DecodeLatin1(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), NULL)
        : Py_NewRef(value);
    bool failed = text == NULL || PyDict_SetDefault(*carrier, name, text) == NULL;
    Py_XDECREF(text);
    return failed ? -1 : 0;
}

int
carried_asked_for(PyObject *header, PyObject *names, PyObject **carrier)
{
    *carrier = NULL;
    for (Py_ssize_t nth = 0; nth < PyTuple_GET_SIZE(carried_names); nth++) {
        PyObject *value = PyObject_CallOneArg(header, PyTuple_GET_ITEM(names, nth));
        bool failed = value == NULL
            || (value != Py_None && carry(carrier, PyTuple_GET_ITEM(carried_names, nth), value) < 0);
        Py_XDECREF(value);
        if (failed) {
            Py_CLEAR(*carrier);
            return -1;
        }
    }
    return 0;
}

static bool
is_named(PyObject *name, const char *bytes, Py_ssize_t length)
{
    const char *wanted = (const char *)PyUnicode_1BYTE_DATA(name);
    if (PyUnicode_GET_LENGTH(name) != length) {
        return false;
    }
    for (Py_ssize_t nth = 0; nth < length; nth++) {
        if (Py_TOLOWER(bytes[nth]) != wanted[nth]) {
            return false;
        }
    }
    return true;
}

/* The one that a header is by its name: borrowed, or NULL. */
static PyObject *
carried_name(PyObject *name)
{
    Py_ssize_t length = PyBytes_GET_SIZE(name);
    if (LIKELY(length >= 64 || !(lengths >> length & 1))) {
        return NULL;
    }
    for (Py_ssize_t nth = 0; nth < PyTuple_GET_SIZE(carried_names); nth++) {
        if (is_named(PyTuple_GET_ITEM(carried_names, nth), PyBytes_AS_STRING(name), length)) {
            return PyTuple_GET_ITEM(carried_names, nth);
        }
    }
    return NULL;
}

static inline bool
is_list(PyObject *value)
{
    return PyTuple_Check(value) || PyList_Check(value);
}

static int
carry_header(PyObject **carrier, PyObject *pair)
{
    if (!is_list(pair) || PySequence_Fast_GET_SIZE(pair) != 2) {
        PyErr_SetString(PyExc_TypeError, "expected the name and the value of a header");
        return -1;
    }
    PyObject *header = PySequence_Fast_GET_ITEM(pair, 0);
    PyObject *name = PyBytes_Check(header) ? carried_name(header) : NULL;
    return LIKELY(name == NULL) ? 0 : carry(carrier, name, PySequence_Fast_GET_ITEM(pair, 1));
}

int
carried_among(PyObject *headers, PyObject **carrier)
{
    *carrier = NULL;
    if (!is_list(headers)) {
        PyErr_SetString(PyExc_TypeError, "expected pairs of names and values");
        return -1;
    }
    for (Py_ssize_t nth = 0; nth < PySequence_Fast_GET_SIZE(headers); nth++) {
        if (carry_header(carrier, PySequence_Fast_GET_ITEM(headers, nth)) < 0) {
            Py_CLEAR(*carrier);
            return -1;
        }
    }
    return 0;
}
