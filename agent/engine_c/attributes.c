/* Attributes of spans: what comes with request after request is said in dicts that are shared.

   There is no twin: in Python each span has a dict of its own.

   - A dict that a table here has is never changed again; nor is one that anybody else has, for the
     sender thread may be reading it.
   - What follows on a shared dict with the next attribute is found by the identity of the three. */

#include "engine.h"

/* `after` is `before`, or nothing, with `key: value`. */
typedef struct {
    PyObject *before, *key, *value, *after; /* owned; the first may be NULL */
} Step;

#define REMEMBERED 256 /* a power of 2 */

static Step steps[REMEMBERED];

static inline Step *
place_of(PyObject *before, PyObject *key, PyObject *value)
{
    uintptr_t mixed = (uintptr_t)before >> 5 ^ (uintptr_t)key >> 4 ^ (uintptr_t)value >> 4
                      ^ (uintptr_t)value >> 13;
    return &steps[mixed & (REMEMBERED - 1)];
}

static bool
is_shared(PyObject *attributes)
{
    for (int nth = 0; nth < REMEMBERED; nth++) {
        if (steps[nth].after == attributes) {
            return true;
        }
    }
    return false;
}

static void
remember(Step *step, PyObject *before, PyObject *key, PyObject *value, PyObject *after)
{
    Step gone = *step;
    *step = (Step){Py_XNewRef(before), Py_NewRef(key), Py_NewRef(value), Py_NewRef(after)};
    Py_XDECREF(gone.before);
    Py_XDECREF(gone.key);
    Py_XDECREF(gone.value);
    Py_XDECREF(gone.after);
}

/* Another dict with one attribute more: a new reference. */
static PyObject *
with_one_more(PyObject *before, PyObject *key, PyObject *value)
{
    PyObject *after = before == NULL ? PyDict_New() : PyDict_Copy(before);
    if (after != NULL && PyDict_SetItem(after, key, value) < 0) {
        Py_CLEAR(after);
    }
    return after;
}

static inline bool
is_constant(PyObject *value)
{
    return PyUnicode_CheckExact(value) || PyLong_CheckExact(value);
}

int
attributes_add(PyObject **attributes, PyObject *key, PyObject *value)
{
    PyObject *before = is_none(*attributes) ? NULL : *attributes;
    Step *step = place_of(before, key, value);
    if (LIKELY(step->after != NULL && step->before == before && step->key == key
               && step->value == value)) {
        Py_XSETREF(*attributes, Py_NewRef(step->after));
        return 0;
    }
    if (before != NULL && Py_REFCNT(before) == 1) {
        return PyDict_SetItem(before, key, value);
    }
    PyObject *after = with_one_more(before, key, value);
    if (after == NULL) {
        return -1;
    }
    if (is_constant(value) && (before == NULL || is_shared(before))) {
        remember(step, before, key, value, after);
    }
    Py_XSETREF(*attributes, after);
    return 0;
}

int
attributes_add_own(PyObject **attributes, PyObject *key, PyObject *value)
{
    PyObject *after = with_one_more(is_none(*attributes) ? NULL : *attributes, key, value);
    if (after == NULL) {
        return -1;
    }
    Py_XSETREF(*attributes, after);
    return 0;
}
