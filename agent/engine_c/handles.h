/* What a handle of ours consists of, for the files that make handles and run them.

   Handle and TimerHandle are subclasses of asyncio's own, which are written in Python: what asyncio
   keeps in its slots is at offsets that its classes say, and what is ours comes after, in both at
   the same place.  A program may delete any field, and make a handle without its constructor. */

#ifndef WHENCE_HANDLES_H
#define WHENCE_HANDLES_H

#include "engine.h"
#include "structmember.h"

/* Ours, behind the slots of asyncio's class. */
typedef struct {
    PyObject *dict;     /* what the program keeps on it, or NULL */
    Lifetime *lifetime; /* NULL: before its constructor, or without memory */
    PyObject *task;     /* of a step: the task; else NULL */
} Tracking;

/* Where asyncio's slots are, and ours.  `scheduled` and `when` are a TimerHandle's only. */
typedef struct {
    Py_ssize_t callback, args, context, loop, cancelled, repr, source_traceback;
    Py_ssize_t scheduled, when;
    Py_ssize_t tracking;
} HandleFields;

extern HandleFields handle_fields;
/* Whether these are all that asyncio's constructors set. */
extern bool handle_fields_known;

/* NULL until asyncio has been imported, as are asyncio's own. */
extern PyTypeObject *Handle_Type, *TimerHandle_Type;
extern PyTypeObject *stock_handle, *stock_timer_handle;

static inline PyObject **
handle_field(PyObject *handle, Py_ssize_t offset)
{
    return (PyObject **)((char *)handle + offset);
}

static inline void
handle_set(PyObject *handle, Py_ssize_t offset, PyObject *value)
{
    PyObject **field = handle_field(handle, offset);
    Py_XSETREF(*field, Py_NewRef(value));
}

static inline Tracking *
handle_tracking(PyObject *handle)
{
    return (Tracking *)((char *)handle + handle_fields.tracking);
}

/* Py_VISIT of what the collector may have to do with: most fields are None, or true or false. */
#define VISIT_CONTAINER(field)                                                                     \
    do {                                                                                           \
        PyObject *value_ = (field);                                                                \
        if (value_ != NULL && PyType_HasFeature(Py_TYPE(value_), Py_TPFLAGS_HAVE_GC)) {            \
            Py_VISIT(value_);                                                                      \
        }                                                                                          \
    } while (0)

/* Whether somebody looks at frames, so that there have to be those that asyncio has: a debugger, a
   profiler, or who wants to know where coroutines are made. */
static inline bool
frames_are_watched(void)
{
    PyThreadState *thread = PyThreadState_Get();
    return thread->c_tracefunc != NULL || thread->c_profilefunc != NULL
           || thread->coroutine_origin_tracking_depth != 0;
}

/* ---- handles.c ---------------------------------------------------------------------------- */

/* A thousand tasks at a time are no rare sight; and what is not allocated anew brings the next
   collection no nearer. */
#define MOST_FREE_HANDLES 1024

/* Free ones of exactly one type, their fields empty. */
typedef struct {
    PyObject *free[MOST_FREE_HANDLES];
    int number;
} FreeHandles;

/* A new one of exactly this type, with its fields empty and not known to the collector yet; and the
   way back of one whose fields are empty again. */
PyObject *handle_allocate(PyTypeObject *type, FreeHandles *free);
void handle_release(PyObject *handle, PyTypeObject *type, FreeHandles *free);

PyObject *handle_new(void);

/* What both types have. */
int handle_traverse(PyObject *self, visitproc visit, void *arg);
int handle_clear(PyObject *self);

/* The type itself, of `spec`, on top of asyncio's; its basicsize is filled in. */
PyTypeObject *handle_type(PyType_Spec *spec, PyTypeObject *base);

extern PyMemberDef handle_members[];
extern PyGetSetDef handle_properties[];

/* What asyncio's constructor sets where the loop is not in debug mode; a `context` that is None is a
   copy of the current one.  -1 with an exception set. */
int handle_fill(PyObject *handle, PyObject *callback, PyObject *args, PyObject *loop,
                PyObject *context);

/* Whether asyncio's own constructor is to be called: in debug mode, say.  -1 with an exception
   set. */
int handle_needs_stock(PyObject *loop);
int handle_construct_by_stock(PyObject *init, PyObject *self, PyObject *args, PyObject *keywords);

/* What asyncio's `cancel()` does, of both types; `by_stock` is asyncio's, for whatever is not as asyncio
   has it.  A new reference to None, or NULL with an exception set. */
PyObject *handle_cancel_by(PyObject *by_stock, PyObject *handle, bool timer);

/* init of one that is filled: its lifetime, or whose step it is.  `with_context` says that one was
   given, `skip` is as for recorder_begin.  Never fails. */
void handle_created(PyObject *handle, bool with_context, int skip);

/* ---- timers.c ----------------------------------------------------------------------------- */

PyObject *timer_new(void);

/* Make the type; -1 with an exception set. */
int timer_type_make(void);

/* init of one that is filled.  Never fails. */
void timer_created(PyObject *timer, int skip);

/* ---- running.c ---------------------------------------------------------------------------- */

/* Whether a handle is cancelled, whoever made it; -1 with an exception set. */
int handle_is_cancelled(PyObject *handle);

/* `_run()` of both types. */
PyObject *handle_run(PyObject *handle, PyObject *ignored);

/* The turn of one with this lifetime, or of a step of this task; either may be NULL. */
PyObject *handle_run_as(PyObject *handle, Lifetime *lifetime, PyObject *task);

/* ---- futures.c ---------------------------------------------------------------------------- */

/* Whether it is our class of futures; it may be NULL. */
bool future_is_ours(PyObject *type);

#endif
