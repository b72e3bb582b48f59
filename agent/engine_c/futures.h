/* What a future of ours consists of, for the files that make it and that have it awaited. */

#ifndef WHENCE_FUTURES_H
#define WHENCE_FUTURES_H

#include "engine.h"

/* Ours, behind the fields of asyncio's class. */
typedef struct {
    Lifetime *lifetime; /* NULL if asyncio has refused to make it, or without memory */
    bool has_result;
} FutureTracking;

/* NULL until asyncio has been imported. */
extern PyTypeObject *Future_Type, *stock_future;
extern getter stock_future_exception;

static inline FutureTracking *
future_tracking(PyObject *future)
{
    return (FutureTracking *)((char *)future + stock_future->tp_basicsize);
}

/* promise_resolve and destroy, in the context of whoever settles. */
void future_settled(PyObject *future, PyObject *outcome);

/* ---- awaited.c ---------------------------------------------------------------------------- */

/* `__await__` of our class. */
PyObject *future_await(PyObject *future);

/* Look at asyncio's class; `with_result` is a future of it that has a result.  -1 with an exception
   set. */
int awaited_know(PyObject *with_result);

#endif
