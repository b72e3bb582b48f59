/* The methods that schedule on a loop whose handles are its own, with the callback bracketed.

   Twin of agent/engine/scheduling.py.  The loop sees the call first: what it refuses has no events,
   and a call that is not understood here is the loop's to refuse. */

#include "engine.h"

#define MOST_NAMED 3 /* self, delay, callback */
#define NANOSECONDS 1e9

static PyObject *string_context, *asyncios_context, *string_is_closed, *string_source_traceback;
static PyObject *only_context; /* the tuple of keywords that the originals are called with */

/* ---- what a method is called with ---- */

typedef struct {
    PyObject *named[MOST_NAMED]; /* self, the delay if it takes one, the callback */
    Py_ssize_t number_named;
    PyObject *const *args;
    Py_ssize_t number;
    PyObject *context; /* or NULL */
} Call;

static inline PyObject *
callback_of(const Call *call)
{
    return call->named[call->number_named - 1];
}

/* Whether this keyword is "context".  asyncio's own string of that is another one, and always the
   same. */
static inline bool
is_context(PyObject *name)
{
    if (LIKELY(name == asyncios_context || name == string_context)) {
        return true;
    }
    if (PyUnicode_Compare(name, string_context) != 0) {
        return false;
    }
    Py_XSETREF(asyncios_context, Py_NewRef(name));
    return true;
}

/* One keyword argument; whether there is one of this name, and it is not given yet. */
static bool
take_keyword(Call *call, const char *const *names, PyObject *name, PyObject *value)
{
    if (LIKELY(is_context(name))) {
        call->context = value == Py_None ? NULL : value;
        return true;
    }
    for (Py_ssize_t nth = 1; nth < call->number_named; nth++) {
        if (PyUnicode_CompareWithASCIIString(name, names[nth]) == 0) {
            bool is_new = call->named[nth] == NULL;
            call->named[nth] = value;
            return is_new;
        }
    }
    return false;
}

/* Whether the call is understood.  `names` are those of the named arguments. */
static inline bool
take_apart(Call *call, const char *const *names, Py_ssize_t number_named, PyObject *const *args,
           size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t number = PyVectorcall_NARGS(nargsf);
    Py_ssize_t positional = number < number_named ? number : number_named;
    Py_ssize_t keywords = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    *call = (Call){.number_named = number_named, .args = args + positional,
                   .number = number - positional};
    for (Py_ssize_t nth = 0; nth < positional; nth++) {
        call->named[nth] = args[nth];
    }
    for (Py_ssize_t nth = 0; nth < keywords; nth++) {
        if (!take_keyword(call, names, PyTuple_GET_ITEM(kwnames, nth), args[number + nth])) {
            return false;
        }
    }
    for (Py_ssize_t nth = positional; nth < number_named; nth++) {
        if (call->named[nth] == NULL) {
            return false;
        }
    }
    return true;
}

/* Have the loop's own method schedule a bracket. */
static PyObject *
call_original(PyObject *method, const Call *call, Bracket *scheduled)
{
    PyObject *args[MOST_NAMED + 2] = {NULL}, **given = args + 1;
    Py_ssize_t number = 0;
    for (; number < call->number_named - 1; number++) {
        given[number] = call->named[number];
    }
    given[number++] = (PyObject *)scheduled;
    given[number] = call->context;
    return method_call_original(method, given, (size_t)number | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                call->context == NULL ? NULL : only_context);
}

/* ---- debug mode ---- */

/* How to read `_source_traceback` of one type of handle, without a look-up for every one. */
typedef struct {
    PyTypeObject *type;
    getter get;
    void *closure;
} Reading;

static Reading readings[2]; /* of handles and of timers */

static const Reading *
reading_of(PyTypeObject *type)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(readings); nth++) {
        Reading *reading = &readings[nth];
        if (LIKELY(reading->type == type)) {
            return reading;
        }
        if (reading->type != NULL) {
            continue;
        }
        PyObject *found = PyObject_GetAttr((PyObject *)type, string_source_traceback);
        if (found != NULL && Py_IS_TYPE(found, &PyGetSetDescr_Type)) {
            PyGetSetDef *definition = ((PyGetSetDescrObject *)found)->d_getset;
            *reading = (Reading){(PyTypeObject *)Py_NewRef((PyObject *)type), definition->get,
                                 definition->closure};
        }
        PyErr_Clear();
        Py_XDECREF(found);
        return reading->type == NULL ? NULL : reading;
    }
    return NULL;
}

/* The place of creation that a handle has noted, in debug mode; else None, or NULL if it knows
   of none.  Never fails. */
static PyObject *
source_traceback(PyObject *handle)
{
    const Reading *reading = reading_of(Py_TYPE(handle));
    PyObject *frames = LIKELY(reading != NULL)
                           ? reading->get(handle, reading->closure)
                           : PyObject_GetAttr(handle, string_source_traceback);
    if (frames == NULL) {
        PyErr_Clear();
    }
    return frames;
}

/* In debug mode: it was scheduled where the program says so.  -1 with an exception set. */
static inline int
leave_out_ours(PyObject *handle)
{
    PyObject *frames = source_traceback(handle), *nothing = Py_None;
    if (UNLIKELY(frames != NULL && frames != Py_None)) {
        PyObject *leave_out = python_function("trace_without_ours");
        PyObject *args[] = {frames, (PyObject *)PyEval_GetFrame()};
        if (leave_out != NULL && args[1] != NULL) {
            nothing = PyObject_Vectorcall(leave_out, args, 2, NULL);
            Py_XDECREF(nothing);
        }
    }
    Py_XDECREF(frames);
    return nothing == NULL ? -1 : 0;
}

/* ---- call_soon ---- */

/* init: the loop has taken it. */
static inline void
begin(ThreadState *state, Bracket *scheduled, Lifetime *lifetime)
{
    if (UNLIKELY(lifetime == NULL)) {
        return;
    }
    Py_XSETREF(scheduled->lifetime, (Lifetime *)Py_NewRef((PyObject *)lifetime));
    emit_init(state, engine.listeners->init, lifetime, (PyObject *)scheduled);
    Py_DECREF((PyObject *)lifetime);
}

static PyObject *
schedule_step(PyObject *method, ThreadState *state, const Call *call, PyObject *task)
{
    Bracket *step = step_new(task, callback_of(call), call->args, call->number);
    if (step == NULL) {
        return NULL;
    }
    PyObject *handle = call_original(method, call, step);
    if (LIKELY(handle != NULL)) {
        Lifetime *lifetime = task_scheduled(state, task, 0);
        Py_XSETREF(step->lifetime, (Lifetime *)Py_XNewRef((PyObject *)lifetime));
        if (UNLIKELY(leave_out_ours(handle) < 0)) {
            Py_CLEAR(handle);
        }
    }
    Py_DECREF((PyObject *)step);
    return handle;
}

static PyObject *
schedule_callback(PyObject *method, ThreadState *state, const Call *call, Lifetime *trigger)
{
    Bracket *scheduled = callback_new(callback_of(call), call->args, call->number);
    if (scheduled == NULL) {
        return NULL;
    }
    Py_INCREF((PyObject *)trigger);
    PyObject *handle = call_original(method, call, scheduled);
    if (LIKELY(handle != NULL)) {
        if (UNLIKELY(leave_out_ours(handle) < 0)) {
            callback_refuse(scheduled);
            Py_CLEAR(handle);
        }
        else {
            begin(state, scheduled, lifetime_begin(engine.handle, trigger, state, 0));
        }
    }
    Py_DECREF((PyObject *)trigger);
    Py_DECREF((PyObject *)scheduled);
    return handle;
}

static const char *const soon_names[] = {"self", "callback"};

/* call_soon(callback, *args, context=None) */
static PyObject *
call_soon(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Call call;
    ThreadState *state = thread_state();
    if (UNLIKELY(state == NULL || !take_apart(&call, soon_names, 2, args, nargsf, kwnames))) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    Lifetime *trigger = state->current;
    /* Steps and done callbacks are scheduled with the context they belong to, always. */
    if (call.context != NULL) {
        PyObject *task = task_of(callback_of(&call));
        if (task != NULL) {
            return schedule_step(method, state, &call, task);
        }
        Lifetime *settled = call.number == 1 ? settled_cause(call.args[0]) : NULL;
        trigger = settled == NULL ? trigger : settled;
    }
    return schedule_callback(method, state, &call, trigger);
}

/* ---- call_later ---- */

/* It is ready when it is due; `sleep(inf)` never becomes ready. */
static void
delay_by(RecordedLifetime *timer, PyObject *delay)
{
    double seconds = PyFloat_AsDouble(delay);
    if (seconds == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        timer->scheduled = INT64_MAX;
    }
    else if (seconds > 0) {
        double due = (double)timer->scheduled + seconds * NANOSECONDS;
        timer->scheduled = due < (double)INT64_MAX
                               ? timer->scheduled + (int64_t)(seconds * NANOSECONDS)
                               : INT64_MAX;
    }
}

static const char *const later_names[] = {"self", "delay", "callback"};

/* call_later(delay, callback, *args, context=None) */
static PyObject *
call_later(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Call call;
    ThreadState *state = thread_state();
    if (UNLIKELY(state == NULL || !take_apart(&call, later_names, 3, args, nargsf, kwnames))) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    Bracket *scheduled = callback_new(callback_of(&call), call.args, call.number);
    if (scheduled == NULL) {
        return NULL;
    }
    PyObject *handle = call_original(method, &call, scheduled);
    if (UNLIKELY(handle != NULL && leave_out_ours(handle) < 0)) {
        callback_refuse(scheduled);
        Py_CLEAR(handle);
    }
    if (LIKELY(handle != NULL)) {
        Lifetime *trigger = state->current;
        Lifetime *lifetime = lifetime_begin(engine.timer_handle, trigger, state, 0);
        if (lifetime != NULL && is_recorded(lifetime)) {
            describe_timer(lifetime, trigger, callback_of(&call));
            delay_by((RecordedLifetime *)lifetime, call.named[1]);
        }
        begin(state, scheduled, lifetime);
    }
    Py_DECREF((PyObject *)scheduled);
    return handle;
}

/* ---- call_soon_threadsafe ---- */

/* 1, 0, or -1 with an exception set. */
static int
is_closed(PyObject *loop)
{
    PyObject *answer = PyObject_CallMethodNoArgs(loop, string_is_closed);
    int closed = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return closed;
}

/* call_soon_threadsafe(callback, *args, context=None) */
static PyObject *
call_soon_threadsafe(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Call call;
    ThreadState *state = thread_state();
    if (UNLIKELY(state == NULL || !take_apart(&call, soon_names, 2, args, nargsf, kwnames))) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    int closed = is_closed(call.named[0]);
    Bracket *scheduled =
        closed < 0 ? NULL : callback_new(callback_of(&call), call.args, call.number);
    if (scheduled == NULL) {
        return NULL;
    }
    /* The loop's thread may run it before this one goes on: its init comes first. */
    Lifetime *lifetime = NULL;
    if (!closed) {
        lifetime = event_create(state, engine.handle, (PyObject *)scheduled, state->current, 0);
        Py_XSETREF(scheduled->lifetime, (Lifetime *)Py_XNewRef((PyObject *)lifetime));
    }
    PyObject *handle = call_original(method, &call, scheduled);
    if (UNLIKELY(handle == NULL && lifetime != NULL)) {
        event_end(state, lifetime, CANCELLED);
    }
    if (UNLIKELY(handle != NULL && leave_out_ours(handle) < 0)) {
        Py_CLEAR(handle);
    }
    Py_XDECREF((PyObject *)lifetime);
    Py_DECREF((PyObject *)scheduled);
    return handle;
}

/* ---- create_future ---- */

/* create_future(), which makes the loop's own of the class that it has kept. */
static PyObject *
create_future(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    if (UNLIKELY(PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL || !future_class_is_made())) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    return future_new(args[0]);
}

/* ---- cancel ---- */

static int
find_callback(PyObject *referent, void *found)
{
    if (!Py_IS_TYPE(referent, Callback_Type)) {
        return 0;
    }
    *(Bracket **)found = (Bracket *)referent;
    return 1;
}

/* What a handle is about to run: a new reference.  NULL if it is no callback of ours, or the loop
   was left while it took it: by Ctrl-C, say. */
static Lifetime *
lifetime_in(PyObject *handle)
{
    Bracket *callback = NULL;
    traverseproc traverse = Py_TYPE(handle)->tp_traverse;
    if (PyObject_IS_GC(handle) && traverse != NULL) {
        traverse(handle, find_callback, &callback);
    }
    return callback == NULL ? NULL : (Lifetime *)Py_XNewRef((PyObject *)callback->lifetime);
}

/* cancel() of a handle */
static PyObject *
cancel(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Lifetime *cancelled = PyVectorcall_NARGS(nargsf) == 1 ? lifetime_in(args[0]) : NULL;
    PyObject *result = method_call_original(method, args, nargsf, kwnames);
    ThreadState *state = thread_state();
    if (result != NULL && cancelled != NULL && state != NULL && cancelled->open) {
        hide_unfired(cancelled);
        event_end(state, cancelled, CANCELLED);
    }
    Py_XDECREF((PyObject *)cancelled);
    return result;
}

/* ---- as Python has them ---- */

static PyObject *
scheduling_soon(PyObject *Py_UNUSED(module), PyObject *original)
{
    return method_new(call_soon, original);
}

static PyObject *
scheduling_later(PyObject *Py_UNUSED(module), PyObject *original)
{
    return method_new(call_later, original);
}

static PyObject *
scheduling_from_thread(PyObject *Py_UNUSED(module), PyObject *original)
{
    return method_new(call_soon_threadsafe, original);
}

static PyObject *
making_futures(PyObject *Py_UNUSED(module), PyObject *original)
{
    return method_new(create_future, original);
}

static PyObject *
cancelling(PyObject *Py_UNUSED(module), PyObject *original)
{
    return method_new(cancel, original);
}

static PyMethodDef functions[] = {
    {"scheduling_soon", scheduling_soon, METH_O,
     "`call_soon(callback, *args, context=None)` of such a loop."},
    {"scheduling_later", scheduling_later, METH_O,
     "`call_later(delay, callback, *args, context=None)` of such a loop."},
    {"scheduling_from_thread", scheduling_from_thread, METH_O,
     "`call_soon_threadsafe(callback, *args, context=None)` of such a loop."},
    {"making_futures", making_futures, METH_O, "`create_future()` of such a loop."},
    {"cancelling", cancelling, METH_O, "`cancel()` of such a loop's handles."},
    {NULL, NULL, 0, NULL},
};

int
scheduling_add(PyObject *module)
{
    string_context = PyUnicode_InternFromString("context");
    string_is_closed = PyUnicode_InternFromString("is_closed");
    string_source_traceback = PyUnicode_InternFromString("_source_traceback");
    if (string_context == NULL || string_is_closed == NULL || string_source_traceback == NULL) {
        return -1;
    }
    only_context = PyTuple_Pack(1, string_context);
    if (only_context == NULL) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
