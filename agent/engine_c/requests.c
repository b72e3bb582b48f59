/* Requests: what a server does in a task from the head of a request to the end of its answer.

   Twin of agent/engine/requests.py, but for what websockets and mounted routes say.

   - What a server or an application gives is asked here as Python would ask it, and what it raises
     comes out of here: the instrumentation is there to take it. */

#include "engine.h"

#define FAR 100

static ResourceType *request; /* NULL before it is known */
static PyObject *methods;     /* a tuple of str, the first the one that comes most */
static PyObject *mounts;      /* a dict: id of an open request -> a template */

static PyObject *key_method, *key_scheme, *key_carrier, *key_route, *key_status;
static PyObject *name_http, *name_other;

/* ---- its beginning and end ---- */

static void
hide_own_task(Lifetime *task, PyObject *coroutine)
{
    if (!is_span(task) || task->type != engine.task) {
        return;
    }
    PyObject *name = ((SpanLifetime *)task)->name;
    if (name == coroutine
        || (!is_none(name) && PyUnicode_Check(name) && PyUnicode_Compare(name, coroutine) == 0)) {
        recorder_hide(task);
    }
}

/* Whether a link leads to something that is no connection, or to a request before this one. */
static bool
leads_on(PyObject *target)
{
    return target != NULL && PyObject_TypeCheck(target, SpanLifetime_Type)
           && (((Lifetime *)target)->type == request || lifetime_transparent((Lifetime *)target));
}

static void
link_to_connection(Lifetime *lifetime)
{
    if (!is_span(lifetime)) {
        return;
    }
    PyObject *target = ((SpanLifetime *)lifetime)->link;
    while (leads_on(target)) {
        SpanLifetime *parent = ((RecordedLifetime *)target)->parent;
        target = parent != NULL ? (PyObject *)parent : ((SpanLifetime *)target)->link;
    }
    Py_XSETREF(((SpanLifetime *)lifetime)->link, Py_XNewRef(target));
}

/* Open one: a new reference, NULL if there is none, with an exception set if it is the program's. */
static Scope *
open_in_task(PyObject *resource, PyObject *own_coroutine)
{
    ThreadState *state = thread_state();
    Scope *scope = state == NULL ? NULL : scope_open(state, request, resource, 0);
    if (scope != NULL) {
        hide_own_task(scope->task, own_coroutine);
        link_to_connection(scope->lifetime);
    }
    else if (PyErr_ExceptionMatches(PyExc_TypeError)) {
        /* A request of the program's own making that takes no weak references. */
        PyErr_Clear();
    }
    return scope;
}

/* As Python is given it. */
static inline PyObject *
scope_or_none(Scope *scope)
{
    return scope == NULL && !PyErr_Occurred() ? Py_NewRef(Py_None) : (PyObject *)scope;
}

/* open_request(resource, own_coroutine) */
static PyObject *
open_request(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "expected a resource and the name of a coroutine");
        return NULL;
    }
    return scope_or_none(open_in_task(args[0], args[1]));
}

/* Forget what it is mounted under. */
static int
dismount(Lifetime *lifetime)
{
    if (LIKELY(PyDict_GET_SIZE(mounts) == 0)) {
        return 0;
    }
    PyObject *id = PyLong_FromLongLong(lifetime->async_id);
    int found = id == NULL ? -1 : PyDict_Contains(mounts, id);
    if (found > 0) {
        found = PyDict_DelItem(mounts, id);
    }
    Py_XDECREF(id);
    return found;
}

static int
finish(Scope *scope, PyObject *outcome)
{
    ThreadState *state = thread_state();
    if (dismount(scope->lifetime) < 0) {
        return -1;
    }
    if (state != NULL) {
        scope_close(state, scope, outcome);
    }
    return 0;
}

/* close_request(scope, outcome) */
static PyObject *
close_request(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !Py_IS_TYPE(args[0], Scope_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Scope and an outcome");
        return NULL;
    }
    if (finish((Scope *)args[0], args[1]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- what it says ---- */

/* A method that HTTP knows, as the one object that it is for all requests: borrowed; NULL if HTTP does
   not know it. */
static PyObject *
known_method(PyObject *method)
{
    if (!PyUnicode_Check(method) || !PyUnicode_IS_COMPACT_ASCII(method)) {
        return NULL;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(method);
    for (Py_ssize_t nth = 0; nth < PyTuple_GET_SIZE(methods); nth++) {
        PyObject *known = PyTuple_GET_ITEM(methods, nth);
        if (known == method
            || (PyUnicode_GET_LENGTH(known) == length
                && memcmp(PyUnicode_DATA(known), PyUnicode_DATA(method), (size_t)length) == 0)) {
            return known;
        }
    }
    return NULL;
}

/* A text that comes with request after request, as the one object that is known by its identity: takes
   the reference to it, NULL as well. */
static PyObject *
interned(PyObject *text)
{
    if (text != NULL && PyUnicode_CheckExact(text) && !PyUnicode_CHECK_INTERNED(text)) {
        PyUnicode_InternInPlace(&text);
    }
    return text;
}

/* Note what a request asks for, and the headers that it carries, if any. */
static int
ask(SpanLifetime *span, PyObject *method, PyObject *scheme, PyObject *carrier)
{
    PyObject *known = known_method(method);
    Py_XSETREF(span->name, Py_NewRef(known == NULL ? name_http : known));
    Py_CLEAR(span->attributes);
    PyObject **said = &span->attributes;
    scheme = interned(Py_NewRef(scheme));
    int failed = attributes_add(said, key_method, known == NULL ? name_other : known) < 0
        || attributes_add(said, key_scheme, scheme) < 0
        || (carrier != NULL && attributes_add_own(said, key_carrier, carrier) < 0);
    Py_DECREF(scheme);
    return failed ? -1 : 0;
}

/* asked(lifetime, method, scheme, header, names=CARRIED) */
static PyObject *
asked(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    PyObject *names = number == 5 ? args[4] : carried_names, *carrier;
    if (number < 4 || number > 5 || !PyObject_TypeCheck(args[0], Lifetime_Type)
        || !PyTuple_Check(names) || PyTuple_GET_SIZE(names) != PyTuple_GET_SIZE(carried_names)) {
        PyErr_SetString(PyExc_TypeError,
                        "expected a Lifetime, method, scheme, header and as many names as CARRIED");
        return NULL;
    }
    if (!is_span((Lifetime *)args[0])) {
        Py_RETURN_NONE;
    }
    int failed = carried_asked_for(args[3], names, &carrier) < 0
        || ask((SpanLifetime *)args[0], args[1], args[2], carrier) < 0;
    Py_XDECREF(carrier);
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* A server that gives something else than it says: its request has no name. */
static void
drop_what_a_server_raises(void)
{
    if (PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
    }
    else {
        exception_dropped();
    }
}

/* begin_request(resource, own_coroutine, method, scheme, headers) */
static PyObject *
begin_request(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 5 || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "expected a resource, the name of a coroutine, method, "
                                         "scheme and headers");
        return NULL;
    }
    Scope *scope = open_in_task(args[0], args[1]);
    if (LIKELY(scope != NULL) && is_span(scope->lifetime)) {
        PyObject *carrier;
        if (carried_among(args[4], &carrier) < 0
            || ask((SpanLifetime *)scope->lifetime, args[2], args[3], carrier) < 0) {
            drop_what_a_server_raises();
        }
        Py_XDECREF(carrier);
    }
    return scope_or_none(scope);
}

/* ---- its answer ---- */

/* Whether a status is the server's fault; -1 with an exception set. */
static int
is_failure(PyObject *status)
{
    if (!PyLong_CheckExact(status)) {
        PyObject *least = PyLong_FromLong(500);
        int failure = least == NULL ? -1 : PyObject_RichCompareBool(status, least, Py_GE);
        Py_XDECREF(least);
        return failure;
    }
    int overflow;
    long number = PyLong_AsLongAndOverflow(status, &overflow);
    return overflow > 0 || (overflow == 0 && number >= 500);
}

static int
note_failure(SpanLifetime *span, PyObject *status)
{
    PyObject *error_of = python_function("error_of");
    if (error_of == NULL || !is_none(span->base.error)) {
        return 0;
    }
    PyObject *error = PyObject_CallOneArg(error_of, status);
    if (error == NULL) {
        return -1;
    }
    Py_XSETREF(span->base.error, error);
    return 0;
}

/* The outcome that a status means, which is noted: borrowed. */
static PyObject *
answer(Lifetime *lifetime, PyObject *status)
{
    SpanLifetime *span = is_span(lifetime) ? (SpanLifetime *)lifetime : NULL;
    if (span != NULL && attributes_add(&span->attributes, key_status, status) < 0) {
        return NULL;
    }
    int failure = is_failure(status);
    if (failure < 0 || (failure && span != NULL && note_failure(span, status) < 0)) {
        return NULL;
    }
    return failure ? FAILED : DONE;
}

/* answered(lifetime, status) */
static PyObject *
answered(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !PyObject_TypeCheck(args[0], Lifetime_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Lifetime and a status");
        return NULL;
    }
    return Py_XNewRef(answer((Lifetime *)args[0], args[1]));
}

/* end_request(scope, status) */
static PyObject *
end_request(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !Py_IS_TYPE(args[0], Scope_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Scope and a status");
        return NULL;
    }
    PyObject *outcome = answer(((Scope *)args[0])->lifetime, args[1]);
    if (outcome == NULL || finish((Scope *)args[0], outcome) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- its route ---- */

/* The request that the present code is executed for: borrowed, or NULL. */
static SpanLifetime *
served(void)
{
    ThreadState *state = thread_state();
    Lifetime *lifetime = state == NULL ? NULL : state->current;
    for (int nth = 0; nth < FAR && lifetime != NULL && lifetime->type != request; nth++) {
        lifetime = is_recorded(lifetime) ? (Lifetime *)((RecordedLifetime *)lifetime)->parent
                                         : NULL;
    }
    bool is_open = lifetime != NULL && lifetime->type == request && lifetime->open;
    return is_open && is_span(lifetime) ? (SpanLifetime *)lifetime : NULL;
}

static PyObject *
tell_served(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    SpanLifetime *span = served();
    return Py_NewRef(span == NULL ? Py_None : (PyObject *)span);
}

/* A template under what it is mounted: a new reference. */
static PyObject *
whole(SpanLifetime *span, PyObject *template)
{
    if (LIKELY(PyDict_GET_SIZE(mounts) == 0)) {
        return Py_NewRef(template);
    }
    PyObject *id = PyLong_FromLongLong(span->base.base.async_id);
    PyObject *mount = id == NULL ? NULL : PyDict_GetItemWithError(mounts, id);
    Py_XDECREF(id);
    if (mount != NULL) {
        return interned(PyUnicode_Concat(mount, template));
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(template);
}

static int
name_by_route(SpanLifetime *span, PyObject *route)
{
    PyObject *template = whole(span, route);
    PyObject *name = template == NULL ? NULL : route_name(span->name, template);
    int failed = name == NULL ? -1 : attributes_add(&span->attributes, key_route, template);
    if (!failed) {
        Py_SETREF(span->name, Py_NewRef(name));
    }
    Py_XDECREF(name);
    Py_XDECREF(template);
    return failed;
}

/* Where a person looks for it; that a library made it is no news. */
static int
place_at(SpanLifetime *span, PyObject *handler)
{
    PyObject *ask = python_function("code_of"), *code;
    if (PyFunction_Check(handler)) {
        code = Py_NewRef(PyFunction_GET_CODE(handler));
    }
    else if (PyMethod_Check(handler) && PyFunction_Check(PyMethod_GET_FUNCTION(handler))) {
        code = Py_NewRef(PyFunction_GET_CODE(PyMethod_GET_FUNCTION(handler)));
    }
    else if (ask == NULL || (code = PyObject_CallOneArg(ask, handler)) == NULL) {
        return -1;
    }
    if (!PyCode_Check(code)) {
        Py_DECREF(code);
        return 0;
    }
    Py_XSETREF(span->base.code, code);
    span->base.lasti = 0;
    return 0;
}

/* routed(template, handler) */
static PyObject *
routed(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !(args[0] == Py_None || PyUnicode_Check(args[0]))) {
        PyErr_SetString(PyExc_TypeError, "expected a template, or None, and a handler");
        return NULL;
    }
    SpanLifetime *span = served();
    if (span == NULL || is_none(span->name) || !PyUnicode_Check(span->name)) {
        Py_RETURN_NONE;
    }
    Py_INCREF((PyObject *)span);
    bool has_route = args[0] != Py_None && PyUnicode_GET_LENGTH(args[0]) > 0;
    int failed = (has_route && name_by_route(span, args[0]) < 0) || place_at(span, args[1]) < 0;
    Py_DECREF((PyObject *)span);
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- as Python has them ---- */

/* know_requests(row, CARRIED, METHODS, mounts): once. */
static PyObject *
know_requests(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *row, *headers, *known, *mounted;
    if (!PyArg_ParseTuple(args, "O!O!O!O!:know_requests", ResourceType_Type, &row, &PyTuple_Type,
                          &headers, &PyTuple_Type, &known, &PyDict_Type, &mounted)) {
        return NULL;
    }
    if (carried_know(headers) < 0) {
        return NULL;
    }
    Py_XSETREF(request, (ResourceType *)Py_NewRef(row));
    Py_XSETREF(methods, Py_NewRef(known));
    Py_XSETREF(mounts, Py_NewRef(mounted));
    Py_RETURN_NONE;
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef functions[] = {
    {"open_request", FAST(open_request), METH_FASTCALL, "A request begins."},
    {"begin_request", FAST(begin_request), METH_FASTCALL, "A request begins, and says what it asks."},
    {"end_request", FAST(end_request), METH_FASTCALL, "It has been answered with this status."},
    {"close_request", FAST(close_request), METH_FASTCALL, "It has been answered, or never will be."},
    {"asked", FAST(asked), METH_FASTCALL, "Note what a request asks for."},
    {"answered", FAST(answered), METH_FASTCALL, "Note the status; gives the outcome it means."},
    {"routed", FAST(routed), METH_FASTCALL, "Note that the router has found its handler."},
    {"served", tell_served, METH_NOARGS, "The request that the present code is executed for."},
    {"know_requests", know_requests, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int
requests_add(PyObject *module)
{
    const struct {
        PyObject **place;
        const char *text;
    } wanted[] = {
        {&key_method, "http.request.method"}, {&key_scheme, "url.scheme"},
        {&key_carrier, "carrier"},            {&key_route, "http.route"},
        {&key_status, "http.response.status_code"},
        {&name_http, "HTTP"},                 {&name_other, "_OTHER"},
    };
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(wanted); nth++) {
        *wanted[nth].place = PyUnicode_InternFromString(wanted[nth].text);
        if (*wanted[nth].place == NULL) {
            return -1;
        }
    }
    return PyModule_AddFunctions(module, functions);
}
