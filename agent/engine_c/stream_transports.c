/* Reading and writing of asyncio's socket transports: what the reader's handle calls, and `write`,
   without their frames.

   They do what asyncio's do, to the same socket and in the same order, and only where all that those
   look at is as asyncio has it (regular_transports.c); else those are called, before anything is done.
   So a socket that a test has mocked, a method that somebody replaces, a transport in debug mode: all
   see what they would without us.  What is rare, the end of the stream and errors, goes to the
   transport's own methods by their names.

   No twin: with the engine in Python asyncio's own methods stay. */

#include "stream_transports.h"
#include "handles.h"
#include "tracebacks.h"

/* A call in a function of asyncio's, and what is done where it fails. */
typedef struct {
    PyObject *function;
    Place calling;
    Place reporting;   /* where `_fatal_error` is called; unset if it is not */
    PyObject *message; /* what that is told */
} Call;

/* The calls of the three functions. */
typedef enum { READING, RECEIVING, TELLING, ENDING, SENDING, CALLS } CallName;

static const char *const call_names[CALLS] = {
    [READING] = "reading", [RECEIVING] = "receiving", [TELLING] = "telling",
    [ENDING] = "ending",   [SENDING] = "sending",
};
static Call calls[CALLS];

static PyTypeObject *buffer_type; /* of what waits to be sent */
static PyObject *string_fatal_error, *string_data_received, *string_on_eof;
static PyObject *zero;

/* ---- what fails ---- */

/* The exception that is raised is raised by this call; NULL. */
static PyObject *
passes(Call *call)
{
    PyObject *error = raised_take();
    traceback_add_frame(error, call->function, &call->calling);
    raised_again(error);
    return NULL;
}

/* What `except BaseException` does: `_fatal_error`, while the error is being handled.  A new reference to
   None, or NULL with an exception set. */
static PyObject *
report(PyObject *transport, Call *call, PyObject *error)
{
    PyObject *handled = PyErr_GetHandledException(), *another = NULL;
    PyErr_SetHandledException(error);
    PyObject *reported = PyObject_CallMethodObjArgs(transport, string_fatal_error, error,
                                                    call->message, NULL);
    if (UNLIKELY(reported == NULL)) {
        another = raised_take();
        traceback_add_frame(another, call->function, &call->reporting);
    }
    PyErr_SetHandledException(handled);
    Py_XDECREF(handled);
    if (UNLIKELY(another != NULL)) {
        raised_again(another);
        return NULL;
    }
    Py_DECREF(reported);
    Py_RETURN_NONE;
}

static PyObject *
failed(PyObject *transport, Call *call)
{
    PyObject *error = raised_take();
    traceback_add_frame(error, call->function, &call->calling);
    if (ends_the_loop(error)) {
        raised_again(error);
        return NULL;
    }
    PyObject *result = report(transport, call, error);
    Py_DECREF(error);
    return result;
}

/* Whether it is no error that a socket was not ready after all; it is cleared then. */
static bool
was_not_ready(void)
{
    if (PyErr_ExceptionMatches(PyExc_BlockingIOError)
        || PyErr_ExceptionMatches(PyExc_InterruptedError)) {
        PyErr_Clear();
        return true;
    }
    return false;
}

/* ---- reading ---- */

static PyObject *
tell(PyObject *transport, PyObject *data)
{
    PyObject *protocol = transport_attribute(transport, PROTOCOL), *told = NULL;
    if (LIKELY(protocol != NULL)) {
        PyObject *given[] = {protocol, data};
        told = PyObject_VectorcallMethod(string_data_received, given, 2, NULL);
        Py_DECREF(protocol);
    }
    if (UNLIKELY(told == NULL)) {
        return failed(transport, &calls[TELLING]);
    }
    Py_DECREF(told);
    Py_RETURN_NONE;
}

static PyObject *
end(PyObject *transport)
{
    PyObject *ended = PyObject_CallMethodNoArgs(transport, string_on_eof);
    if (UNLIKELY(ended == NULL)) {
        return passes(&calls[ENDING]);
    }
    Py_DECREF(ended);
    Py_RETURN_NONE;
}

/* What `_read_ready__data_received` does. */
static PyObject *
receive(PyObject *transport, PyObject *socket)
{
    Py_INCREF(socket);
    PyObject *data = socket_receive(socket);
    Py_DECREF(socket);
    if (UNLIKELY(data == NULL)) {
        return was_not_ready() ? Py_NewRef(Py_None) : failed(transport, &calls[RECEIVING]);
    }
    PyObject *result = LIKELY(PyBytes_GET_SIZE(data) != 0) ? tell(transport, data)
                                                           : end(transport);
    Py_DECREF(data);
    return result;
}

/* Whether what `_read_ready` calls is asyncio's own method of this transport. */
static inline bool
receives_by_stock(PyObject *transport, TransportValues values)
{
    PyObject *callback = transport_value(values, READ_READY_CB);
    return callback != NULL && Py_IS_TYPE(callback, &PyMethod_Type)
           && PyMethod_GET_FUNCTION(callback) == calls[RECEIVING].function
           && PyMethod_GET_SELF(callback) == transport;
}

/* The socket of a transport that is read from as asyncio does: borrowed; else NULL. */
static inline PyObject *
readable(PyObject *transport)
{
    if (UNLIKELY(!transport_is_on_plain_loop(transport))) {
        return NULL;
    }
    TransportValues values = regular_transport(transport);
    return LIKELY(values != NULL && receives_by_stock(transport, values)
                  && transport_value(values, CONN_LOST) == zero
                  && transport_value(values, MAX_SIZE) == NULL)
               ? regular_socket(values)
               : NULL;
}

static PyObject *
read_ready(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *socket;
    if (UNLIKELY(PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL || frames_are_watched()
                 || (socket = readable(args[0])) == NULL)) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    PyObject *result = receive(args[0], socket);
    return LIKELY(result != NULL) ? result : passes(&calls[READING]);
}

/* ---- writing ---- */

/* The socket of a transport that sends at once: borrowed; else NULL. */
static inline PyObject *
writable(PyObject *transport)
{
    TransportValues values = regular_transport(transport);
    if (UNLIKELY(values == NULL || transport_value(values, WRITTEN_EOF) != Py_False
                 || transport_value(values, EMPTY_WAITER) != Py_None
                 || transport_value(values, CONN_LOST) != zero)) {
        return NULL;
    }
    PyObject *waiting = transport_value(values, BUFFER);
    return LIKELY(waiting != NULL && Py_IS_TYPE(waiting, buffer_type)
                  && PyObject_Size(waiting) == 0)
               ? regular_socket(values)
               : NULL;
}

/* Have asyncio keep what was not sent: it tries once more, and sees to it that the loop goes on. */
static PyObject *
write_rest(PyObject *method, PyObject *transport, PyObject *data, Py_ssize_t sent)
{
    PyObject *view = PyMemoryView_FromObject(data);
    PyObject *rest = view == NULL
        ? NULL
        : PySequence_GetSlice(view, sent, PyBytes_GET_SIZE(data));
    Py_XDECREF(view);
    if (UNLIKELY(rest == NULL)) {
        return NULL;
    }
    PyObject *given[] = {transport, rest};
    PyObject *result = method_call_original(method, given, 2, NULL);
    Py_DECREF(rest);
    return result;
}

static PyObject *
write_data(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *socket;
    if (UNLIKELY(PyVectorcall_NARGS(nargsf) != 2 || kwnames != NULL
                 || !PyBytes_CheckExact(args[1]) || PyBytes_GET_SIZE(args[1]) == 0
                 || frames_are_watched() || (socket = writable(args[0])) == NULL)) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    Py_INCREF(socket);
    PyObject *number = socket_send(socket, args[1]);
    Py_DECREF(socket);
    if (UNLIKELY(number == NULL)) {
        return was_not_ready() ? method_call_original(method, args, nargsf, kwnames)
                               : failed(args[0], &calls[SENDING]);
    }
    Py_ssize_t sent = PyLong_AsSsize_t(number);
    Py_DECREF(number);
    if (UNLIKELY(sent < PyBytes_GET_SIZE(args[1]))) {
        return write_rest(method, args[0], args[1], sent);
    }
    Py_RETURN_NONE;
}

/* ---- making the methods ---- */

/* `(function, place of the call, None or (place of the report, message))` */
static int
know_call(Call *call, PyObject *known)
{
    PyObject *function, *calling, *failing;
    if (!PyTuple_Check(known)) {
        PyErr_Format(PyExc_TypeError, "expected a tuple, not %R", known);
        return -1;
    }
    if (!PyArg_ParseTuple(known, "O!OO", &PyFunction_Type, &function, &calling, &failing)
        || place_set(&call->calling, calling) < 0) {
        return -1;
    }
    Py_XSETREF(call->function, Py_NewRef(function));
    if (failing == Py_None) {
        return 0;
    }
    PyObject *reporting, *message;
    if (!PyArg_Parse(failing, "(OU)", &reporting, &message)
        || place_set(&call->reporting, reporting) < 0) {
        return -1;
    }
    Py_XSETREF(call->message, Py_NewRef(message));
    return 0;
}

static int
know_calls(PyObject *known)
{
    for (int name = 0; name < CALLS; name++) {
        PyObject *call = PyDict_GetItemString(known, call_names[name]);
        if (call == NULL) {
            PyErr_Format(PyExc_TypeError, "expected to know of %s", call_names[name]);
            return -1;
        }
        if (know_call(&calls[name], call) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
intern_names(void)
{
    string_fatal_error = PyUnicode_InternFromString("_fatal_error");
    string_data_received = PyUnicode_InternFromString("data_received");
    string_on_eof = PyUnicode_InternFromString("_read_ready__on_eof");
    zero = PyLong_FromLong(0);
    return string_fatal_error == NULL || string_data_received == NULL || string_on_eof == NULL
                   || zero == NULL
               ? -1
               : 0;
}

/* know_stream_transports(transport, socket, buffer, calls): the three classes, and what may fail in
   asyncio's functions; once, before a method is made. */
static PyObject *
know_stream_transports(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *transport, *socket, *buffer, *known;
    if (!PyArg_ParseTuple(args, "O!O!O!O!:know_stream_transports", &PyType_Type, &transport,
                          &PyType_Type, &socket, &PyType_Type, &buffer, &PyDict_Type, &known)) {
        return NULL;
    }
    if (intern_names() < 0 || know_calls(known) < 0
        || regular_transports_know((PyTypeObject *)transport, (PyTypeObject *)socket) < 0) {
        return NULL;
    }
    buffer_type = (PyTypeObject *)Py_NewRef(buffer);
    Py_RETURN_NONE;
}

static PyObject *
make(vectorcallfunc call, PyObject *original)
{
    if (buffer_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "expected the transports to be known before");
        return NULL;
    }
    return method_new(call, original);
}

static PyObject *
make_read_ready(PyObject *Py_UNUSED(module), PyObject *original)
{
    return make(read_ready, original);
}

static PyObject *
make_write(PyObject *Py_UNUSED(module), PyObject *original)
{
    return make(write_data, original);
}

static PyMethodDef functions[] = {
    {"know_stream_transports", know_stream_transports, METH_VARARGS, NULL},
    {"make_read_ready", make_read_ready, METH_O,
     "What to put in place of asyncio's `_SelectorSocketTransport._read_ready`."},
    {"make_write", make_write, METH_O, "And of its `write`."},
    {NULL, NULL, 0, NULL},
};

int
stream_transports_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
