/* Names of requests: a server has few of them, and each is one object.

   Twin of a part of `routed` in agent/engine/requests.py. */

#include "engine.h"

/* What a name was made of, and the name: owned, or NULL. */
typedef struct {
    PyObject *before, *template, *name;
} Named;

#define REMEMBERED 256 /* a power of 2 */

static Named names[REMEMBERED];

static inline Named *
place_of(PyObject *before, PyObject *template)
{
    uintptr_t mixed = (uintptr_t)before >> 4 ^ (uintptr_t)template >> 5 ^ (uintptr_t)template >> 13;
    return &names[mixed & (REMEMBERED - 1)];
}

/* The name up to its first space: a new reference. */
static PyObject *
method_in(PyObject *name)
{
    Py_ssize_t end = PyUnicode_FindChar(name, ' ', 0, PyUnicode_GET_LENGTH(name), 1);
    if (end == -2) {
        return NULL;
    }
    return end == -1 ? Py_NewRef(name) : PyUnicode_Substring(name, 0, end);
}

static PyObject *
joined(PyObject *before, PyObject *template)
{
    static PyObject *space;
    if (space == NULL && (space = PyUnicode_InternFromString(" ")) == NULL) {
        return NULL;
    }
    PyObject *method = method_in(before);
    PyObject *head = method == NULL ? NULL : PyUnicode_Concat(method, space);
    PyObject *name = head == NULL ? NULL : PyUnicode_Concat(head, template);
    Py_XDECREF(head);
    Py_XDECREF(method);
    return name;
}

static void
remember(Named *known, PyObject *before, PyObject *template, PyObject *name)
{
    Named gone = *known;
    *known = (Named){Py_NewRef(before), Py_NewRef(template), Py_NewRef(name)};
    Py_XDECREF(gone.before);
    Py_XDECREF(gone.template);
    Py_XDECREF(gone.name);
}

PyObject *
route_name(PyObject *before, PyObject *template)
{
    Named *known = place_of(before, template);
    if (LIKELY(known->before == before && known->template == template)) {
        return Py_NewRef(known->name);
    }
    PyObject *name = joined(before, template);
    if (name != NULL && PyUnicode_CheckExact(before) && PyUnicode_CheckExact(template)) {
        remember(known, before, template, name);
    }
    return name;
}
