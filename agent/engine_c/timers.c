/* Timers: the handles of `call_at` and `call_later`.

   Twin of the TimerHandle in agent/engine/handles.py.  Comparing is left to asyncio's functions, but
   for `<` of two timers, by which the loop keeps its heap. */

#include "loops.h"

#include <math.h>

static PyObject *stock_init, *stock_cancel, *stock_hash;
static PyObject *stock_compare[6]; /* by Py_LT and its kin; NULL for `!=`, which asyncio has not */
static FreeHandles free_timers;

PyObject *
timer_new(void)
{
    return handle_allocate(TimerHandle_Type, &free_timers);
}

/* ---- when it is due ---- */

/* In nanoseconds; INT64_MAX of what is too much, or no number that asyncio could wait for. */
static int64_t
nanoseconds_of(double seconds)
{
    double nanoseconds = seconds * 1e9;
    if (!(fabs(nanoseconds) < 9.2e18)) {
        return nanoseconds < 0 && !isinf(nanoseconds) ? INT64_MIN : INT64_MAX;
    }
    return (int64_t)nanoseconds;
}

/* The same of any number of the program's. */
static int64_t
nanoseconds_of_number(PyObject *seconds)
{
    if (PyFloat_CheckExact(seconds)) {
        return nanoseconds_of(PyFloat_AS_DOUBLE(seconds));
    }
    PyObject *billion = PyFloat_FromDouble(1e9);
    PyObject *product = billion == NULL ? NULL : PyNumber_Multiply(seconds, billion);
    PyObject *whole = product == NULL ? NULL : PyNumber_Long(product);
    int overflow = 1;
    int64_t nanoseconds = -1;
    if (whole != NULL) {
        nanoseconds = PyLong_AsLongLongAndOverflow(whole, &overflow);
    }
    PyErr_Clear();
    Py_XDECREF(whole);
    Py_XDECREF(product);
    Py_XDECREF(billion);
    if (overflow != 0) {
        return overflow < 0 ? INT64_MIN : INT64_MAX;
    }
    return nanoseconds;
}

/* By the monotonic clock, of a loop that may have a time of its own. */
static int64_t
due(PyObject *loop, PyObject *when, int64_t created)
{
    if (LIKELY(loop_has_stock_time(loop))) {
        return nanoseconds_of_number(when);
    }
    PyObject *now = PyObject_CallMethod(loop, "time", NULL);
    PyObject *delay = now == NULL ? NULL : PyNumber_Subtract(when, now);
    int64_t nanoseconds = delay == NULL ? INT64_MAX : nanoseconds_of_number(delay);
    PyErr_Clear();
    Py_XDECREF(delay);
    Py_XDECREF(now);
    return nanoseconds > INT64_MAX - created ? INT64_MAX : created + nanoseconds;
}

/* ---- making one ---- */

void
timer_created(PyObject *timer, int skip)
{
    ThreadState *state = thread_state();
    Tracking *tracking = handle_tracking(timer);
    if (UNLIKELY(state == NULL)) {
        return;
    }
    Lifetime *trigger = (Lifetime *)Py_NewRef((PyObject *)state->current);
    Lifetime *lifetime = lifetime_begin(engine.timer_handle, trigger, state, skip);
    if (LIKELY(lifetime != NULL)) {
        Py_CLEAR(tracking->task);
        Py_XSETREF(tracking->lifetime, lifetime);
        if (is_recorded(lifetime)) {
            int64_t at = due(*handle_field(timer, handle_fields.loop),
                             *handle_field(timer, handle_fields.when), lifetime->created);
            describe_timer(lifetime, trigger, *handle_field(timer, handle_fields.callback));
            if (at > lifetime->created) {
                ((RecordedLifetime *)lifetime)->scheduled = at;
            }
        }
        emit_init(state, engine.listeners->init, lifetime, timer);
    }
    Py_DECREF((PyObject *)trigger);
}

static int
timer_init(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"when", "callback", "args", "loop", "context", NULL};
    PyObject *when, *callback, *arguments, *loop, *context = Py_None;
    int stock = 1;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOO|O:TimerHandle", names, &when, &callback,
                                     &arguments, &loop, &context)) {
        /* asyncio refuses it in its own words. */
        PyErr_Clear();
    }
    else if ((stock = handle_needs_stock(loop)) < 0) {
        return -1;
    }
    if (stock) {
        if (handle_construct_by_stock(stock_init, self, args, keywords) < 0) {
            return -1;
        }
    }
    else {
        if (handle_fill(self, callback, arguments, loop, context) < 0) {
            return -1;
        }
        handle_set(self, handle_fields.when, when);
        handle_set(self, handle_fields.scheduled, Py_False);
    }
    /* Above it is `call_at`. */
    timer_created(self, 1);
    return 0;
}

static PyObject *
timer_cancel(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *cancelled = handle_cancel_by(stock_cancel, self, true);
    if (cancelled == NULL) {
        return NULL;
    }
    Lifetime *lifetime = handle_tracking(self)->lifetime;
    ThreadState *state = thread_state();
    if (lifetime != NULL && lifetime->open && state != NULL) {
        Py_INCREF((PyObject *)lifetime);
        hide_unfired(lifetime);
        event_end(state, lifetime, CANCELLED);
        Py_DECREF((PyObject *)lifetime);
    }
    return cancelled;
}

/* ---- comparing ---- */

/* If it is a float, as the loop's own times are: borrowed; else NULL. */
static inline PyObject *
time_of(PyObject *timer)
{
    PyObject *when = *handle_field(timer, handle_fields.when);
    return when != NULL && PyFloat_CheckExact(when) ? when : NULL;
}

static PyObject *
timer_compare(PyObject *self, PyObject *other, int operation)
{
    if (LIKELY(operation == Py_LT && PyObject_TypeCheck(other, TimerHandle_Type))) {
        PyObject *when = time_of(self), *other_when = time_of(other);
        if (LIKELY(when != NULL && other_when != NULL)) {
            return PyBool_FromLong(PyFloat_AS_DOUBLE(when) < PyFloat_AS_DOUBLE(other_when));
        }
    }
    if (stock_compare[operation] == NULL) {
        return PyBaseObject_Type.tp_richcompare(self, other, operation);
    }
    return PyObject_CallFunctionObjArgs(stock_compare[operation], self, other, NULL);
}

static Py_hash_t
timer_hash(PyObject *self)
{
    PyObject *hash = PyObject_CallOneArg(stock_hash, self);
    Py_hash_t value = hash == NULL ? -1 : PyObject_Hash(hash);
    Py_XDECREF(hash);
    return value;
}

/* ---- the type ---- */

static int
timer_traverse(PyObject *self, visitproc visit, void *arg)
{
    VISIT_CONTAINER(*handle_field(self, handle_fields.scheduled));
    VISIT_CONTAINER(*handle_field(self, handle_fields.when));
    return handle_traverse(self, visit, arg);
}

static int
timer_clear(PyObject *self)
{
    Py_CLEAR(*handle_field(self, handle_fields.scheduled));
    Py_CLEAR(*handle_field(self, handle_fields.when));
    return handle_clear(self);
}

static void
timer_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, timer_dealloc)
    PyObject_ClearWeakRefs(self);
    timer_clear(self);
    handle_release(self, TimerHandle_Type, &free_timers);
    Py_TRASHCAN_END
}

static PyMethodDef methods[] = {
    {"_run", handle_run, METH_NOARGS, "_run($self)\n--\n\n"},
    {"cancel", timer_cancel, METH_NOARGS, "cancel($self)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, timer_init},
    {Py_tp_traverse, timer_traverse},
    {Py_tp_clear, timer_clear},
    {Py_tp_dealloc, timer_dealloc},
    {Py_tp_richcompare, timer_compare},
    {Py_tp_hash, timer_hash},
    {Py_tp_methods, methods},
    {Py_tp_members, handle_members},
    {Py_tp_getset, handle_properties},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "asyncio.events.TimerHandle",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

static const struct {
    const char *name;
    PyObject **function;
} wanted[] = {
    {"__init__", &stock_init},
    {"cancel", &stock_cancel},
    {"__hash__", &stock_hash},
    {"__lt__", &stock_compare[Py_LT]},
    {"__le__", &stock_compare[Py_LE]},
    {"__eq__", &stock_compare[Py_EQ]},
    {"__gt__", &stock_compare[Py_GT]},
    {"__ge__", &stock_compare[Py_GE]},
};

int
timer_type_make(void)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(wanted); nth++) {
        PyObject *stock = (PyObject *)stock_timer_handle;
        *wanted[nth].function = PyObject_GetAttrString(stock, wanted[nth].name);
        if (*wanted[nth].function == NULL) {
            return -1;
        }
    }
    TimerHandle_Type = handle_type(&spec, stock_timer_handle);
    return TimerHandle_Type == NULL ? -1 : 0;
}
