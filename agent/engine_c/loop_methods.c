/* `call_soon`, `call_later` and their kin of asyncio's own loops, and `create_future`, without their
   frames.

   They build the very handles that asyncio's methods would, and put them where those would: into the
   loop's `_ready`, or its heap.  They do so only where all that asyncio's methods look at is as
   asyncio has it (regular_loops.c); else those are called, with the same arguments.  So a loop that
   overrides one of them, a test that replaces another, a loop that is closed or in debug mode: all
   see what they would without us. */

#include "loops.h"

static struct {
    PyObject *context, *write_to_self, *time;
    PyObject *handle, *timer_handle, *future, *events, *futures, *heapq, *heappush;
} names;

/* The namespaces in which asyncio's methods look up what they call, and what is found there. */
static struct {
    PyObject *events, *base_events, *futures, *heapq; /* dicts */
    PyObject *heapq_module, *heappush;
    PyTypeObject *base_event_loop;
} stock;

/* Borrowed; NULL if it is not there. */
static inline PyObject *
lookup(PyObject *dict, PyObject *name)
{
    PyObject *value = PyDict_GetItemWithError(dict, name);
    if (UNLIKELY(value == NULL && PyErr_Occurred())) {
        PyErr_Clear();
    }
    return value;
}

/* Whether these names are `context` alone.  asyncio's C code always passes the same tuple, of a string
   that is not interned: it is remembered. */
static inline bool
is_context_alone(PyObject *kwnames)
{
    static PyObject *remembered;
    if (LIKELY(kwnames == remembered)) {
        return true;
    }
    if (PyTuple_GET_SIZE(kwnames) != 1) {
        return false;
    }
    PyObject *name = PyTuple_GET_ITEM(kwnames, 0);
    if (name == names.context) {
        return true;
    }
    if (PyUnicode_Compare(name, names.context) != 0) {
        return false;
    }
    Py_XSETREF(remembered, Py_NewRef(kwnames));
    return true;
}

/* Sets `*context` to what was given, or None; false if anything else was given by name. */
static inline bool
only_context(PyObject *const *args, Py_ssize_t number, PyObject *kwnames, PyObject **context)
{
    *context = Py_None;
    if (kwnames == NULL || PyTuple_GET_SIZE(kwnames) == 0) {
        return true;
    }
    if (UNLIKELY(!is_context_alone(kwnames))) {
        return false;
    }
    *context = args[number];
    return *context == Py_None || PyContext_CheckExact(*context);
}

/* ---- scheduling ---- */

static PyObject *
pack(PyObject *const *items, Py_ssize_t number)
{
    PyObject *packed = PyTuple_New(number);
    for (Py_ssize_t nth = 0; packed != NULL && nth < number; nth++) {
        PyTuple_SET_ITEM(packed, nth, Py_NewRef(items[nth]));
    }
    return packed;
}

/* Fill a new handle; takes the reference to it, gives one back or NULL. */
static PyObject *
filled(PyObject *handle, PyObject *loop, PyObject *callback, PyObject *const *args,
       Py_ssize_t number, PyObject *context)
{
    if (UNLIKELY(handle == NULL)) {
        return NULL;
    }
    PyObject *packed = pack(args, number);
    int done = packed == NULL ? -1 : handle_fill(handle, callback, packed, loop, context);
    Py_XDECREF(packed);
    PyObject_GC_Track(handle);
    if (UNLIKELY(done < 0)) {
        Py_CLEAR(handle);
    }
    return handle;
}

/* The loop's queue, if callbacks go there as asyncio appends them: borrowed; else NULL. */
static inline PyObject *
regular_queue(PyObject *loop)
{
    if (UNLIKELY(lookup(stock.events, names.handle) != (PyObject *)Handle_Type)) {
        return NULL;
    }
    return regular_loop_queue(loop);
}

/* What asyncio's `_call_soon` does; `*taken` is false if it is to do it. */
static PyObject *
schedule_soon(PyObject *const *args, Py_ssize_t number, PyObject *kwnames, bool *taken)
{
    PyObject *context, *queue;
    *taken = number >= 2 && only_context(args, number, kwnames, &context)
             && (queue = regular_queue(args[0])) != NULL;
    if (UNLIKELY(!*taken)) {
        return NULL;
    }
    Py_INCREF(queue);
    PyObject *handle = filled(handle_new(), args[0], args[1], args + 2, number - 2, context);
    if (LIKELY(handle != NULL)) {
        handle_created(handle, context != Py_None, 0);
        if (UNLIKELY(queue_append(queue, handle) < 0)) {
            Py_CLEAR(handle);
        }
    }
    Py_DECREF(queue);
    return handle;
}

static PyObject *
call_soon(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    bool taken;
    PyObject *handle = schedule_soon(args, PyVectorcall_NARGS(nargsf), kwnames, &taken);
    return LIKELY(taken) ? handle : method_call_original(method, args, nargsf, kwnames);
}

static PyObject *
call_soon_threadsafe(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    bool taken;
    PyObject *handle = schedule_soon(args, PyVectorcall_NARGS(nargsf), kwnames, &taken);
    if (UNLIKELY(!taken)) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    if (LIKELY(handle != NULL)) {
        PyObject *woken = PyObject_CallMethodNoArgs(args[0], names.write_to_self);
        if (UNLIKELY(woken == NULL)) {
            Py_CLEAR(handle);
        }
        Py_XDECREF(woken);
    }
    return handle;
}

/* The heap of the loop, if timers go there as asyncio pushes them: borrowed; else NULL. */
static PyObject *
regular_heap(PyObject *loop)
{
    if (UNLIKELY(lookup(stock.events, names.timer_handle) != (PyObject *)TimerHandle_Type
                 || lookup(stock.base_events, names.heapq) != stock.heapq_module
                 || lookup(stock.heapq, names.heappush) != stock.heappush)) {
        return NULL;
    }
    return regular_loop_heap(loop);
}

/* Put a timer into the heap; takes the reference to it, gives it back or NULL. */
static PyObject *
push(PyObject *heap, PyObject *timer)
{
    PyObject *args[] = {heap, timer};
    PyObject *pushed = PyObject_Vectorcall(stock.heappush, args, 2, NULL);
    if (UNLIKELY(pushed == NULL)) {
        Py_DECREF(timer);
        return NULL;
    }
    Py_DECREF(pushed);
    handle_set(timer, handle_fields.scheduled, Py_True);
    return timer;
}

/* `args` are the loop, a time or delay, the callback and its arguments. */
static PyObject *
schedule_at(PyObject *when, PyObject *const *args, Py_ssize_t number, PyObject *context,
            PyObject *heap)
{
    Py_INCREF(heap);
    PyObject *timer = filled(timer_new(), args[0], args[2], args + 3, number - 3, context);
    if (LIKELY(timer != NULL)) {
        handle_set(timer, handle_fields.when, when);
        handle_set(timer, handle_fields.scheduled, Py_False);
        timer_created(timer, 0);
        timer = push(heap, timer);
    }
    Py_DECREF(heap);
    return timer;
}

static PyObject *
call_at(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t number = PyVectorcall_NARGS(nargsf);
    PyObject *context, *heap;
    if (UNLIKELY(number < 3 || args[1] == Py_None || !only_context(args, number, kwnames, &context)
                 || (heap = regular_heap(args[0])) == NULL)) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    return schedule_at(args[1], args, number, context, heap);
}

/* The loop's time and a delay: NULL, with no exception set, where asyncio is to fail. */
static PyObject *
time_after(PyObject *loop, PyObject *delay)
{
    PyObject *now = PyObject_CallMethodNoArgs(loop, names.time);
    PyObject *when = now == NULL ? NULL : PyNumber_Add(now, delay);
    Py_XDECREF(now);
    if (UNLIKELY(when == NULL)) {
        PyErr_Clear();
    }
    return when;
}

static PyObject *
call_later(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t number = PyVectorcall_NARGS(nargsf);
    PyObject *context, *heap, *when = NULL;
    if (LIKELY(number >= 3 && args[1] != Py_None && only_context(args, number, kwnames, &context)
               && loop_calls_own_call_at(args[0]))) {
        when = time_after(args[0], args[1]);
    }
    /* Asked for last: telling the time runs the program's code if it has a clock of its own. */
    if (UNLIKELY(when == NULL || (heap = regular_heap(args[0])) == NULL)) {
        Py_XDECREF(when);
        return method_call_original(method, args, nargsf, kwnames);
    }
    PyObject *timer = schedule_at(when, args, number, context, heap);
    Py_DECREF(when);
    return timer;
}

static PyObject *
create_future(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    if (UNLIKELY(PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL || !loop_is_plain(args[0])
                 || !future_is_ours(lookup(stock.futures, names.future)))) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    return future_new(args[0]);
}

/* ---- making the methods ---- */

static int
intern_names(void)
{
    const WantedName wanted[] = {
        {&names.context, "context"},
        {&names.write_to_self, "_write_to_self"},
        {&names.handle, "Handle"},
        {&names.timer_handle, "TimerHandle"},
        {&names.future, "Future"},
        {&names.events, "events"},
        {&names.futures, "futures"},
        {&names.time, "time"},
        {&names.heapq, "heapq"},
        {&names.heappush, "heappush"},
    };
    return names_intern(wanted, Py_ARRAY_LENGTH(wanted));
}

/* Of a module that asyncio.base_events has imported: a new reference, or NULL. */
static PyObject *
namespace_of(PyObject *name)
{
    PyObject *module = lookup(stock.base_events, name);
    return module == NULL || !PyModule_Check(module) ? NULL : Py_NewRef(PyModule_GetDict(module));
}

static PyObject *
look_up_modules(PyObject *base_events)
{
    stock.base_events = Py_NewRef(PyModule_GetDict(base_events));
    stock.heapq_module = Py_XNewRef(lookup(stock.base_events, names.heapq));
    stock.events = namespace_of(names.events);
    stock.futures = namespace_of(names.futures);
    stock.heapq = namespace_of(names.heapq);
    PyObject *loop = PyDict_GetItemString(stock.base_events, "BaseEventLoop");
    if (stock.events == NULL || stock.futures == NULL || stock.heapq == NULL || loop == NULL
        || !PyType_Check(loop)) {
        PyErr_SetString(PyExc_TypeError, "expected asyncio.base_events as Python has it");
        return NULL;
    }
    stock.heappush = Py_XNewRef(lookup(stock.heapq, names.heappush));
    stock.base_event_loop = (PyTypeObject *)Py_NewRef(loop);
    return stock.heappush;
}

static int
add_method(PyObject *methods, const char *name, vectorcallfunc call)
{
    PyObject *original = PyObject_GetAttrString((PyObject *)stock.base_event_loop, name);
    PyObject *method = original == NULL ? NULL : method_new(call, original);
    int done = method == NULL ? -1 : PyDict_SetItemString(methods, name, method);
    Py_XDECREF(method);
    Py_XDECREF(original);
    return done;
}

/* make_loop_methods(base_events, deque): name -> what to put in place of asyncio's method; once, when
   the handles are made. */
static PyObject *
make_loop_methods(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *base_events, *deque;
    if (!PyArg_ParseTuple(args, "O!O!:make_loop_methods", &PyModule_Type, &base_events,
                          &PyType_Type, &deque)) {
        return NULL;
    }
    if (Handle_Type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "expected the handles to be made before");
        return NULL;
    }
    if (intern_names() < 0 || queue_know((PyTypeObject *)deque) < 0
        || look_up_modules(base_events) == NULL        || regular_loops_know(stock.base_event_loop) < 0) {
        return NULL;
    }
    PyObject *methods = PyDict_New();
    if (methods == NULL || add_method(methods, "call_soon", call_soon) < 0
        || add_method(methods, "call_soon_threadsafe", call_soon_threadsafe) < 0
        || add_method(methods, "call_at", call_at) < 0
        || add_method(methods, "call_later", call_later) < 0
        || add_method(methods, "create_future", create_future) < 0
        || loop_answers_make(base_events, methods, add_method) < 0) {
        Py_XDECREF(methods);
        return NULL;
    }
    regular_loops_own(methods);
    return methods;
}

static PyMethodDef functions[] = {
    {"make_loop_methods", make_loop_methods, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int
loop_methods_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
