/* What a Callback and a Step consist of, for the file that runs them and the one that shows them. */

#ifndef WHENCE_CALLBACKS_H
#define WHENCE_CALLBACKS_H

#include "engine.h"

typedef struct {
    Bracket bracket;
    PyObject *dict;
    PyObject *weakrefs;
} Callback;

typedef struct {
    Bracket bracket;
    PyObject *task; /* or NULL */
} Step;

/* ---- callback_looks.c --------------------------------------------------------------------- */

PyObject *bracket_get_attribute(PyObject *self, PyObject *name);
PyObject *bracket_show(PyObject *self);

extern PyMethodDef bracket_methods[];
extern PyGetSetDef callback_fields[], step_fields[];

#endif
