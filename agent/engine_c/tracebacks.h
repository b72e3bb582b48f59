/* Lines of asyncio's own functions in the tracebacks that the program sees, where C does what those do
   without a frame.

   tracebacks.c */

#ifndef WHENCE_TRACEBACKS_H
#define WHENCE_TRACEBACKS_H

#include "engine.h"

/* A line of a function in Python. */
typedef struct {
    PyObject *lasti; /* both integers, or NULL */
    PyObject *line;
} Place;

/* Of `(offset of the instruction, line)`; -1 with an exception set. */
int place_set(Place *place, PyObject *offset_and_line);

/* As if the error had come through that line of the function.  Without memory it has not. */
void traceback_add_frame(PyObject *error, PyObject *function, const Place *place);

/* Whether no `except Exception` nor asyncio stops it. */
static inline bool
ends_the_loop(PyObject *error)
{
    return PyErr_GivenExceptionMatches(error, PyExc_SystemExit)
           || PyErr_GivenExceptionMatches(error, PyExc_KeyboardInterrupt);
}

#endif
