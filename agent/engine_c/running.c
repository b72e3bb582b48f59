/* A callback's turn: what asyncio's `Handle._run` does, without its frame, and what its lifetime is
   told.

   The program sees of it what it sees of asyncio's: the callback runs in its context, what it raises
   goes to the loop's exception handler with the same words and the same line of `_run` in its
   traceback, and KeyboardInterrupt and SystemExit go on.  Where a field is not what asyncio makes it,
   or a frame of `_run` would be noticed, asyncio's own `_run` is called. */

#include "handles.h"
#include "tracebacks.h"

static PyObject *stock_run;  /* asyncio's function */
static PyObject *stock_code; /* and its code; NULL if it is not what is written out here */
static PyObject *stock_globals;
static Place calling, reporting;
static bool shows_debug; /* whether it tells `_format_callback_source` if the loop is in debug mode */

/* ---- telling the loop that a callback has failed ---- */

/* What asyncio calls the callback. */
static PyObject *
callback_source(PyObject *handle, PyObject *loop)
{
    PyObject *helpers = PyDict_GetItemString(stock_globals, "format_helpers");
    PyObject *callback = PyObject_GetAttrString(handle, "_callback");
    PyObject *args = callback == NULL ? NULL : PyObject_GetAttrString(handle, "_args");
    PyObject *source = NULL, *format = NULL;
    if (args != NULL && helpers != NULL) {
        format = PyObject_GetAttrString(helpers, "_format_callback_source");
    }
    if (format != NULL && shows_debug) {
        PyObject *debug = PyObject_CallMethod(loop, "get_debug", NULL);
        PyObject *keyword = debug == NULL ? NULL : Py_BuildValue("(s)", "debug");
        if (keyword != NULL) {
            PyObject *given[] = {callback, args, debug};
            source = PyObject_Vectorcall(format, given, 2, keyword);
        }
        Py_XDECREF(keyword);
        Py_XDECREF(debug);
    }
    else if (format != NULL) {
        source = PyObject_CallFunctionObjArgs(format, callback, args, NULL);
    }
    Py_XDECREF(format);
    Py_XDECREF(args);
    Py_XDECREF(callback);
    return source;
}

static PyObject *
exception_context(PyObject *handle, PyObject *loop, PyObject *error)
{
    PyObject *source = callback_source(handle, loop);
    if (source == NULL) {
        return NULL;
    }
    PyObject *message = PyUnicode_FromFormat("Exception in callback %S", source);
    Py_DECREF(source);
    PyObject *context = message == NULL
        ? NULL
        : Py_BuildValue("{sNsOsO}", "message", message, "exception", error, "handle", handle);
    if (context == NULL) {
        return NULL;
    }
    PyObject *created = PyObject_GetAttrString(handle, "_source_traceback");
    int known = created == NULL ? -1 : PyObject_IsTrue(created);
    if (known > 0) {
        known = PyDict_SetItemString(context, "source_traceback", created);
    }
    Py_XDECREF(created);
    if (known < 0) {
        Py_CLEAR(context);
    }
    return context;
}

/* What `except BaseException` does in asyncio's `_run`: while `error` is being handled. */
static PyObject *
report(PyObject *handle, PyObject *error)
{
    PyObject *loop = PyObject_GetAttrString(handle, "_loop");
    PyObject *context = loop == NULL ? NULL : exception_context(handle, loop, error);
    PyObject *reported = NULL;
    if (context != NULL) {
        PyObject *name = PyUnicode_InternFromString("call_exception_handler");
        if (name != NULL) {
            reported = PyObject_CallMethodOneArg(loop, name, context);
            Py_DECREF(name);
        }
        Py_DECREF(context);
    }
    Py_XDECREF(loop);
    return reported;
}

/* Of a callback that has raised: NULL if it is for whoever runs the loop. */
static PyObject *
failed(PyObject *handle)
{
    PyObject *error = raised_take();
    traceback_add_frame(error, stock_run, &calling);
    if (ends_the_loop(error)) {
        raised_again(error);
        return NULL;
    }
    PyObject *handled = PyErr_GetHandledException();
    PyErr_SetHandledException(error);
    PyObject *reported = report(handle, error);
    if (reported == NULL) {
        PyObject *another = raised_take();
        traceback_add_frame(another, stock_run, &reporting);
        PyErr_SetHandledException(handled);
        raised_again(another);
    }
    else {
        PyErr_SetHandledException(handled);
        Py_SETREF(reported, Py_NewRef(Py_None));
    }
    Py_XDECREF(handled);
    Py_DECREF(error);
    return reported;
}

/* ---- the turn ---- */

/* Whether its fields are what asyncio's constructor makes them, and not in debug mode, in which the
   frame of `_run` is among those that are noted: programs may set and delete any of them. */
static inline bool
is_regular(PyObject *handle, PyObject *callback, PyObject *args, PyObject *context)
{
    return stock_code != NULL && callback != NULL && args != NULL && context != NULL
           && PyTuple_CheckExact(args) && PyContext_CheckExact(context)
           && *handle_field(handle, handle_fields.source_traceback) == Py_None
           && !frames_are_watched();
}

/* Run the callback, which may well cancel the handle; `of_task` is the state of the thread if it is the
   step of a task. */
static PyObject *
call_back(PyObject *handle, ThreadState *of_task)
{
    PyObject *callback = *handle_field(handle, handle_fields.callback);
    PyObject *args = *handle_field(handle, handle_fields.args);
    PyObject *context = *handle_field(handle, handle_fields.context);
    if (UNLIKELY(!is_regular(handle, callback, args, context))) {
        return PyObject_CallOneArg(stock_run, handle);
    }
    Py_INCREF(callback);
    Py_INCREF(args);
    Py_INCREF(context);
    PyObject *result = NULL;
    if (LIKELY(PyContext_Enter(context) == 0)) {
        result = of_task != NULL ? future_step(of_task, callback, args)
                                 : PyObject_Vectorcall(callback, &PyTuple_GET_ITEM(args, 0),
                                                       (size_t)PyTuple_GET_SIZE(args), NULL);
        if (UNLIKELY(PyContext_Exit(context) < 0)) {
            Py_CLEAR(result);
        }
    }
    if (LIKELY(result != NULL)) {
        Py_SETREF(result, Py_NewRef(Py_None));
    }
    else {
        result = failed(handle);
    }
    Py_DECREF(context);
    Py_DECREF(args);
    Py_DECREF(callback);
    return result;
}

/* What ends with the step of a task; the task may have settled in it. */
static bool
step_ends(ThreadState *state, Lifetime *lifetime, PyObject *task, PyObject **outcome)
{
    if (UNLIKELY(state->current != lifetime)) {
        scopes_leave(state, lifetime);
    }
    return task_settles(state, lifetime, task, outcome);
}

static PyObject *
run_followed(PyObject *handle, ThreadState *state, Lifetime *lifetime, PyObject *task)
{
    PyObject *outcome = DONE;
    Turn turn;
    turn_begin(state, lifetime, task != NULL ? task : handle, &turn);
    if (UNLIKELY(task != NULL && lifetime->scope != NULL)) {
        scopes_enter(state, lifetime);
    }
    const void *floor = floor_enter(state);
    PyObject *result = call_back(handle, task != NULL ? state : NULL);
    floor_leave(state, floor);
    bool ends = task != NULL ? step_ends(state, lifetime, task, &outcome) : lifetime->type->once;
    turn_end(state, lifetime, &turn, ends, outcome);
    return result;
}

PyObject *
handle_run_as(PyObject *handle, Lifetime *lifetime, PyObject *task)
{
    ThreadState *state = thread_state();
    if (UNLIKELY(lifetime == NULL || state == NULL)) {
        return call_back(handle, NULL);
    }
    Py_XINCREF(task);
    Py_INCREF((PyObject *)lifetime);
    Py_INCREF((PyObject *)state);
    PyObject *result = run_followed(handle, state, lifetime, task);
    Py_DECREF((PyObject *)state);
    Py_DECREF((PyObject *)lifetime);
    Py_XDECREF(task);
    return result;
}

int
handle_is_cancelled(PyObject *handle)
{
    if (LIKELY(PyObject_TypeCheck(handle, stock_handle))) {
        PyObject *cancelled = *handle_field(handle, handle_fields.cancelled);
        if (LIKELY(cancelled == Py_False)) {
            return 0;
        }
        if (cancelled == Py_True) {
            return 1;
        }
    }
    PyObject *cancelled = PyObject_GetAttrString(handle, "_cancelled");
    int is = cancelled == NULL ? -1 : PyObject_IsTrue(cancelled);
    Py_XDECREF(cancelled);
    return is;
}

PyObject *
handle_run(PyObject *handle, PyObject *Py_UNUSED(ignored))
{
    Tracking *tracking = handle_tracking(handle);
    return handle_run_as(handle, tracking->lifetime, tracking->task);
}

/* ---- what is known of asyncio's `_run` ---- */

/* know_run(run, calling, reporting, shows_debug): the last one counts.  Offset and line of the two calls in it; None
   for them if it is not the function that is written out here. */
static PyObject *
know_run(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *run, *calls, *reports;
    int debug;
    if (!PyArg_ParseTuple(args, "OOOp:know_run", &run, &calls, &reports, &debug)) {
        return NULL;
    }
    Py_XSETREF(stock_run, Py_NewRef(run));
    Py_CLEAR(stock_code);
    shows_debug = debug != 0;
    if (!PyFunction_Check(run) || !PyTuple_Check(calls) || !PyTuple_Check(reports)) {
        Py_RETURN_NONE;
    }
    if (place_set(&calling, calls) < 0 || place_set(&reporting, reports) < 0) {
        return NULL;
    }
    Py_XSETREF(stock_globals, Py_NewRef(PyFunction_GetGlobals(run)));
    stock_code = Py_NewRef(PyFunction_GetCode(run));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"know_run", know_run, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int
running_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
