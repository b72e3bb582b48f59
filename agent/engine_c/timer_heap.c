/* The heap of a loop's timers: how long until the first one is due, which are due, which are cancelled.

   It is asyncio's: what is in it, how it is ordered, and what it counts.  A heap or a clock that a
   program has replaced or patched is for asyncio. */

#include <math.h>

#include "loops.h"

static PyObject *heap_module, *heap_namespace, *heappop;
static PyObject *loop_namespace; /* of asyncio.base_events */
static double longest_wait;      /* seconds */
static long few_timers;          /* of so many all may be cancelled, of more that part */
static double most_cancelled;

static struct {
    PyObject *heapq, *heappop, *scheduled, *when, *cancelled_count;
} names;

/* ---- a timer, whoever's it is ---- */

static inline bool
is_usual_timer(PyObject *timer)
{
    return Py_IS_TYPE(timer, TimerHandle_Type) || Py_IS_TYPE(timer, stock_timer_handle);
}

/* Its time; false, with no exception set, if it is no float. */
static inline bool
time_of(PyObject *timer, double *when)
{
    PyObject *kept = is_usual_timer(timer) ? *handle_field(timer, handle_fields.when) : NULL;
    if (UNLIKELY(kept == NULL || !PyFloat_CheckExact(kept))) {
        return false;
    }
    *when = PyFloat_AS_DOUBLE(kept);
    return true;
}

/* ---- the clock and the heap ---- */

/* Whether what `time()` and the heap are made of is what asyncio finds where nobody has patched it. */
static bool
timers_are_stock(void)
{
    return clock_is_stock() && namespace_has(loop_namespace, names.heapq, heap_module)
           && namespace_has(heap_namespace, names.heappop, heappop);
}

/* Sets the time of the loop; -1 with an exception set. */
static int
tell_time(double *now)
{
    PyObject *told = clock_tell();
    if (UNLIKELY(told == NULL)) {
        return -1;
    }
    *now = PyFloat_AsDouble(told);
    Py_DECREF(told);
    return UNLIKELY(*now == -1.0 && PyErr_Occurred()) ? -1 : 0;
}

/* Take the first timer from the heap: a new reference, or NULL with an exception set. */
static PyObject *
pop_timer(PyObject *heap)
{
    Py_INCREF(heap);
    PyObject *timer = PyObject_CallOneArg(heappop, heap);
    Py_DECREF(heap);
    if (UNLIKELY(timer == NULL)) {
        return NULL;
    }
    if (LIKELY(is_usual_timer(timer))) {
        handle_set(timer, handle_fields.scheduled, Py_False);
    }
    else if (PyObject_SetAttr(timer, names.scheduled, Py_False) < 0) {
        Py_CLEAR(timer);
    }
    return timer;
}

/* ---- how long, and what is due ---- */

/* What epoll is to be asked with, in seconds: a new reference, or NULL with an exception set. */
static PyObject *
wait_until(double when)
{
    double now;
    if (tell_time(&now) < 0) {
        return NULL;
    }
    double wait = when - now;
    if (wait > longest_wait) {
        wait = longest_wait;
    }
    /* epoll counts milliseconds; nothing is to be woken before its time. */
    return wait > 0 ? PyFloat_FromDouble(ceil(wait * 1e3) * 1e-3) : PyLong_FromLong(0);
}

PyObject *
heap_wait(Iteration *now)
{
    if (Py_SIZE(now->ready) > 0 || now->stopping == Py_True) {
        return PyLong_FromLong(0);
    }
    double when = 0;
    if (PyList_GET_SIZE(now->scheduled) == 0
        || !time_of(PyList_GET_ITEM(now->scheduled, 0), &when)) {
        return PyLong_FromLong(-1);
    }
    return wait_until(when);
}

/* Whether a timer is due: -1 with an exception set. */
static int
is_due(PyObject *timer, double end)
{
    double when;
    if (LIKELY(time_of(timer, &when))) {
        return when < end;
    }
    PyObject *kept = PyObject_GetAttr(timer, names.when);
    PyObject *limit = kept == NULL ? NULL : PyFloat_FromDouble(end);
    int later = limit == NULL ? -1 : PyObject_RichCompareBool(kept, limit, Py_GE);
    Py_XDECREF(limit);
    Py_XDECREF(kept);
    return later < 0 ? -1 : !later;
}

int
heap_queue_due(PyObject *loop, double resolution)
{
    PyObject *heap = regular_loop_heap(loop);
    double now;
    if (heap == NULL || PyList_GET_SIZE(heap) == 0) {
        return 0;
    }
    if (tell_time(&now) < 0) {
        return -1;
    }
    while ((heap = regular_loop_heap(loop)) != NULL && PyList_CheckExact(heap)
           && PyList_GET_SIZE(heap) > 0) {
        int due = is_due(PyList_GET_ITEM(heap, 0), now + resolution);
        if (due <= 0) {
            return due;
        }
        PyObject *timer = pop_timer(heap);
        PyObject *queue = timer == NULL ? NULL : loop_queue(loop);
        int queued = queue == NULL ? -1 : queue_append(queue, timer);
        Py_XDECREF(timer);
        if (queued < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- what is cancelled ---- */

/* Whether asyncio is to make its heap anew, of which so much is cancelled. */
static bool
heap_is_stale(Iteration *now)
{
    Py_ssize_t number = PyList_GET_SIZE(now->scheduled);
    if (LIKELY(number <= few_timers)) {
        return false;
    }
    double cancelled = now->cancelled_count == NULL ? -1 : PyLong_AsDouble(now->cancelled_count);
    if (UNLIKELY(cancelled < 0)) {
        PyErr_Clear();
        return true;
    }
    return cancelled / (double)number > most_cancelled;
}

bool
heap_is_for_asyncio(Iteration *now)
{
    double when;
    return PyList_GET_SIZE(now->scheduled) > 0
           && (heap_is_stale(now) || !time_of(PyList_GET_ITEM(now->scheduled, 0), &when)
               || !timers_are_stock());
}

static int
count_down_cancelled(PyObject *loop)
{
    if (LIKELY(loop_counts_cancelled(loop, -1))) {
        return 0;
    }
    PyObject *count = PyObject_GetAttr(loop, names.cancelled_count);
    PyObject *one = count == NULL ? NULL : PyLong_FromLong(1);
    PyObject *less = one == NULL ? NULL : PyNumber_Subtract(count, one);
    int done = less == NULL ? -1 : PyObject_SetAttr(loop, names.cancelled_count, less);
    Py_XDECREF(less);
    Py_XDECREF(one);
    Py_XDECREF(count);
    return done;
}

int
heap_drop_cancelled(PyObject *loop, Iteration *now)
{
    while (PyList_GET_SIZE(now->scheduled) > 0) {
        int cancelled = handle_is_cancelled(PyList_GET_ITEM(now->scheduled, 0));
        if (LIKELY(cancelled == 0)) {
            return 1;
        }
        if (cancelled < 0 || count_down_cancelled(loop) < 0) {
            return -1;
        }
        PyObject *dropped = pop_timer(now->scheduled);
        if (dropped == NULL) {
            return -1;
        }
        Py_DECREF(dropped);
        /* Comparing timers may run code of the program's. */
        if (!iteration_begins(loop, now)) {
            return 0;
        }
    }
    return 1;
}

/* ---- what asyncio has ---- */

static int
intern_names(void)
{
    const WantedName wanted[] = {
        {&names.heapq, "heapq"},
        {&names.heappop, "heappop"},
        {&names.scheduled, "_scheduled"},
        {&names.when, "_when"},
        {&names.cancelled_count, "_timer_cancelled_count"},
    };
    return names_intern(wanted, Py_ARRAY_LENGTH(wanted));
}

/* The module that asyncio.base_events has imported, its namespace and a function of it: -1 with an
   exception set. */
static int
look_up_heap(void)
{
    heap_module = Py_XNewRef(PyDict_GetItemWithError(loop_namespace, names.heapq));
    if (heap_module == NULL || !PyModule_Check(heap_module)) {
        PyErr_SetString(PyExc_TypeError, "expected asyncio to have imported heapq");
        return -1;
    }
    heap_namespace = Py_NewRef(PyModule_GetDict(heap_module));
    heappop = PyObject_GetAttr(heap_module, names.heappop);
    return heappop == NULL ? -1 : 0;
}

static int
look_up_limits(void)
{
    PyObject *wait = PyDict_GetItemString(loop_namespace, "MAXIMUM_SELECT_TIMEOUT");
    PyObject *few = PyDict_GetItemString(loop_namespace, "_MIN_SCHEDULED_TIMER_HANDLES");
    PyObject *most = PyDict_GetItemString(loop_namespace, "_MIN_CANCELLED_TIMER_HANDLES_FRACTION");
    if (wait == NULL || few == NULL || most == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected asyncio.base_events as Python has it");
        return -1;
    }
    longest_wait = PyFloat_AsDouble(wait);
    few_timers = PyLong_AsLong(few);
    most_cancelled = PyFloat_AsDouble(most);
    return PyErr_Occurred() ? -1 : 0;
}

int
heap_know(PyObject *base_events)
{
    loop_namespace = Py_NewRef(PyModule_GetDict(base_events));
    return intern_names() < 0 || look_up_limits() < 0 || look_up_heap() < 0 ? -1 : 0;
}
