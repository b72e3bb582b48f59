/* A frame of a function that did not run, in the traceback of an error. */

#include "tracebacks.h"
#include "frameobject.h"

int
place_set(Place *place, PyObject *offset_and_line)
{
    if (!PyTuple_Check(offset_and_line)) {
        PyErr_Format(PyExc_TypeError, "expected an offset and a line, not %R", offset_and_line);
        return -1;
    }
    PyObject *lasti, *line;
    if (!PyArg_ParseTuple(offset_and_line, "O!O!:place", &PyLong_Type, &lasti, &PyLong_Type,
                          &line)) {
        return -1;
    }
    Py_XSETREF(place->lasti, Py_NewRef(lasti));
    Py_XSETREF(place->line, Py_NewRef(line));
    return 0;
}

static PyObject *
traceback_with_frame(PyObject *error, PyObject *function, const Place *place)
{
    PyFrameObject *frame = PyFrame_New(PyThreadState_Get(),
                                       (PyCodeObject *)PyFunction_GetCode(function),
                                       PyFunction_GetGlobals(function), NULL);
    if (frame == NULL) {
        return NULL;
    }
    PyObject *next = PyException_GetTraceback(error);
    PyObject *longer = PyObject_CallFunctionObjArgs((PyObject *)&PyTraceBack_Type,
                                                    next == NULL ? Py_None : next, frame,
                                                    place->lasti, place->line, NULL);
    Py_XDECREF(next);
    Py_DECREF((PyObject *)frame);
    return longer;
}

void
traceback_add_frame(PyObject *error, PyObject *function, const Place *place)
{
    PyObject *traceback = traceback_with_frame(error, function, place);
    if (traceback == NULL || PyException_SetTraceback(error, traceback) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(traceback);
}
