/* An iteration of a loop: what asyncio's `_run_once` does on its selector loops, without its frame.

   Cancelled timers leave the heap (timer_heap.c), the selector is asked (polling.c), what is due joins
   the queue (ready_queue.c), and every callback that is in the queue by then has its turn.  What the
   program can see of it is as asyncio has it: so is what it may replace or patch, and then asyncio's
   own `_run_once` is called; and the lines of asyncio in the traceback of what comes through.  A
   callback may change any of it: the rest of the queue waits for the next iteration then. */

#include "loops.h"
#include "tracebacks.h"

/* A handle that does not enter the interpreter does not let it look for signals, nor for threads that
   want to run: after so many at most, it is entered. */
#define CALLBACKS_WITHOUT_A_LOOK 64

static PyObject *look_around; /* a function in Python that does nothing */
static PyObject *stock_run_once, *stock_select;
static Place selecting, polling, running; /* `poll` is called in `select` */
static PyObject *name_run;

/* ---- what is ready ---- */

/* As if what is raised had come through that line; -1. */
static int
through(PyObject *function, const Place *place)
{
    PyObject *error = raised_take();
    traceback_add_frame(error, function, place);
    raised_again(error);
    return -1;
}

static PyObject *
run(PyObject *handle)
{
    if (LIKELY(Py_IS_TYPE(handle, Handle_Type) || Py_IS_TYPE(handle, TimerHandle_Type))) {
        return handle_run(handle, NULL);
    }
    return PyObject_CallMethodNoArgs(handle, name_run);
}

/* Run the first one of the queue, unless it is cancelled. */
static int
run_next(PyObject *queue)
{
    PyObject *handle = queue_pop(queue);
    if (UNLIKELY(handle == NULL)) {
        return -1;
    }
    int cancelled = handle_is_cancelled(handle);
    if (LIKELY(cancelled == 0)) {
        PyObject *result = run(handle);
        Py_XDECREF(result);
        cancelled = result == NULL ? -1 : 0;
    }
    Py_DECREF(handle);
    return cancelled < 0 ? -1 : 0;
}

/* Let the interpreter look for signals, and for threads that want to run. */
static int
enter_interpreter(void)
{
    PyObject *nothing = PyObject_CallNoArgs(look_around);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

/* Run what is in the queue now, and nothing that joins it meanwhile. */
static int
run_ready(PyObject *loop)
{
    PyObject *queue = loop_queue(loop);
    Py_ssize_t number = queue == NULL ? 0 : PyObject_Size(queue);
    if (UNLIKELY(number < 0)) {
        return -1;
    }
    for (Py_ssize_t nth = 1; nth <= number; nth++) {
        if (UNLIKELY((queue = plain_loop_queue(loop)) == NULL)) {
            return 0;
        }
        if (UNLIKELY(run_next(queue) < 0
                     || (nth % CALLBACKS_WITHOUT_A_LOOK == 0 && enter_interpreter() < 0))) {
            return through(stock_run_once, &running);
        }
    }
    return 0;
}

/* ---- the whole ---- */

bool
iteration_begins(PyObject *loop, Iteration *now)
{
    return loop_iterates_as_stock(loop, now) && now->ready != NULL && queue_is_usual(now->ready)
           && now->scheduled != NULL && PyList_CheckExact(now->scheduled)
           && now->clock_resolution != NULL && PyFloat_CheckExact(now->clock_resolution)
           && now->stopping != NULL && PyBool_Check(now->stopping)
           && selector_is_stock(now->selector) && !heap_is_for_asyncio(now)
           && !frames_are_watched();
}

/* Ask the selector for so long, and queue what is ready: -1 with an exception set. */
static int
ask_selector(PyObject *loop, PyObject *selector, PyObject *timeout)
{
    PyObject *events = selector_poll(selector, timeout);
    if (UNLIKELY(events == NULL)) {
        through(stock_select, &polling);
        return through(stock_run_once, &selecting);
    }
    int queued = selector_queue(loop, selector, events);
    Py_DECREF(events);
    return queued;
}

static int
iterate(PyObject *loop, Iteration *now)
{
    double resolution = PyFloat_AS_DOUBLE(now->clock_resolution);
    PyObject *selector = Py_NewRef(now->selector);
    PyObject *timeout = heap_wait(now);
    int done = timeout == NULL ? -1 : ask_selector(loop, selector, timeout);
    Py_XDECREF(timeout);
    Py_DECREF(selector);
    if (UNLIKELY(done < 0 || heap_queue_due(loop, resolution) < 0)) {
        return -1;
    }
    return run_ready(loop);
}

static PyObject *
run_once(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Iteration now;
    int mine = PyVectorcall_NARGS(nargsf) == 1 && kwnames == NULL && iteration_begins(args[0], &now);
    if (LIKELY(mine)) {
        mine = heap_drop_cancelled(args[0], &now);
    }
    if (UNLIKELY(mine == 0)) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    return mine < 0 || iterate(args[0], &now) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- what asyncio has ---- */

/* Where the calls are whose errors come through; -1 with an exception set. */
static int
know_places(PyObject *places)
{
    PyObject *in_select, *select, *run;
    if (!PyArg_ParseTuple(places, "OOO:make_run_once", &select, &in_select, &run)) {
        return -1;
    }
    return place_set(&selecting, select) < 0 || place_set(&polling, in_select) < 0
                   || place_set(&running, run) < 0
               ? -1
               : 0;
}

static int
know_names(void)
{
    name_run = PyUnicode_InternFromString("_run");
    return name_run == NULL ? -1 : 0;
}

/* make_run_once(base_events, loop, selector, key, places, look_around): what to put in place of
   `_run_once`.  `loop` and `selector` are the classes whose methods are written out here, `key` that of
   what the selector keeps; `places` are where `_run_once` calls `select`, `select` calls `poll`, and
   `_run_once` calls `_run`. */
static PyObject *
make_run_once(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *base_events, *loop, *selector, *key, *places, *look;
    if (!PyArg_ParseTuple(args, "O!O!O!O!O!O!:make_run_once", &PyModule_Type, &base_events,
                          &PyType_Type, &loop, &PyType_Type, &selector, &PyType_Type, &key,
                          &PyTuple_Type, &places, &PyFunction_Type, &look)) {
        return NULL;
    }
    look_around = Py_NewRef(look);
    stock_run_once = PyObject_GetAttrString(loop, "_run_once");
    stock_select = PyObject_GetAttrString(selector, "select");
    if (stock_run_once == NULL || stock_select == NULL || know_places(places) < 0
        || know_names() < 0 || heap_know(base_events) < 0
        || polling_know((PyTypeObject *)selector, (PyTypeObject *)key) < 0
        || regular_loops_know_iteration((PyTypeObject *)loop) < 0) {
        return NULL;
    }
    return method_new(run_once, stock_run_once);
}

static PyMethodDef functions[] = {
    {"make_run_once", make_run_once, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int
iterations_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
