/* Requests: what a server does in a task from the head of a request to the end of its answer.

   Twin of agent/engine/requests.py, but for what websockets and mounted routes say.

   - What a server or an application gives is asked here as Python would ask it, and what it raises
     comes out of here: the instrumentation is there to take it. */

#include "engine.h"

#define FAR 100

static ResourceType *request; /* NULL before it is known */
static PyObject *carried;     /* a tuple: headers that may name a remote parent */
static PyObject *methods;     /* a frozenset */
static PyObject *mounts;      /* a dict: id of an open request -> a template */

static PyObject *key_method, *key_scheme, *key_carrier, *key_route, *key_status;
static PyObject *name_http, *name_other, *space;

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

/* open_request(resource, own_coroutine) */
static PyObject *
open_request(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "expected a resource and the name of a coroutine");
        return NULL;
    }
    ThreadState *state = thread_state();
    Scope *scope = state == NULL ? NULL : scope_open(state, request, args[0], 0);
    if (scope == NULL) {
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) {
            return NULL;
        }
        /* A request of the program's own making that takes no weak references. */
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    hide_own_task(scope->task, args[1]);
    link_to_connection(scope->lifetime);
    return (PyObject *)scope;
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

/* close_request(scope, outcome) */
static PyObject *
close_request(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !Py_IS_TYPE(args[0], Scope_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Scope and an outcome");
        return NULL;
    }
    Scope *scope = (Scope *)args[0];
    ThreadState *state = thread_state();
    if (dismount(scope->lifetime) < 0) {
        return NULL;
    }
    if (state != NULL) {
        scope_close(state, scope, args[1]);
    }
    Py_RETURN_NONE;
}

/* ---- what it says ---- */

/* Set one of its attributes, in another dictionary if somebody has this one: the sender thread may be
   reading it. */
static int
say(SpanLifetime *span, PyObject *key, PyObject *value)
{
    if (LIKELY(!is_none(span->attributes) && Py_REFCNT(span->attributes) == 1)) {
        return PyDict_SetItem(span->attributes, key, value);
    }
    PyObject *said = is_none(span->attributes) ? PyDict_New() : PyDict_Copy(span->attributes);
    if (said == NULL || PyDict_SetItem(said, key, value) < 0) {
        Py_XDECREF(said);
        return -1;
    }
    Py_XSETREF(span->attributes, said);
    return 0;
}

/* Put the value of a header, if it has one, under the name. */
static int
carry(PyObject **carrier, PyObject *name, PyObject *header, PyObject *asked_for)
{
    PyObject *value = PyObject_CallOneArg(header, asked_for);
    if (LIKELY(value == Py_None)) {
        Py_DECREF(value);
        return 0;
    }
    if (value != NULL && PyBytes_Check(value)) {
        Py_SETREF(value, PyUnicode_DecodeLatin1(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value),
                                                NULL));
    }
    if (value != NULL && *carrier == NULL) {
        *carrier = PyDict_New();
    }
    int failed = value == NULL || *carrier == NULL ? -1 : PyDict_SetItem(*carrier, name, value);
    Py_XDECREF(value);
    return failed;
}

/* Put those that there are into a dict of their own among the attributes. */
static int
carry_all(PyObject *said, PyObject *header, PyObject *names)
{
    PyObject *carrier = NULL;
    int failed = 0;
    for (Py_ssize_t nth = 0; !failed && nth < PyTuple_GET_SIZE(carried); nth++) {
        failed = carry(&carrier, PyTuple_GET_ITEM(carried, nth), header,
                       PyTuple_GET_ITEM(names, nth));
    }
    if (!failed && carrier != NULL) {
        failed = PyDict_SetItem(said, key_carrier, carrier);
    }
    Py_XDECREF(carrier);
    return failed;
}

static int
ask(SpanLifetime *span, PyObject *method, PyObject *scheme, PyObject *header, PyObject *names)
{
    int known = PySet_Contains(methods, method);
    if (known < 0) {
        return -1;
    }
    Py_XSETREF(span->name, Py_NewRef(known ? method : name_http));
    PyObject *said = PyDict_New();
    if (said == NULL || PyDict_SetItem(said, key_method, known ? method : name_other) < 0
        || PyDict_SetItem(said, key_scheme, scheme) < 0 || carry_all(said, header, names) < 0) {
        Py_XDECREF(said);
        return -1;
    }
    Py_XSETREF(span->attributes, said);
    return 0;
}

/* asked(lifetime, method, scheme, header, names=CARRIED) */
static PyObject *
asked(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    PyObject *names = number == 5 ? args[4] : carried;
    if (number < 4 || number > 5 || !PyObject_TypeCheck(args[0], Lifetime_Type)
        || !PyTuple_Check(names) || PyTuple_GET_SIZE(names) != PyTuple_GET_SIZE(carried)) {
        PyErr_SetString(PyExc_TypeError,
                        "expected a Lifetime, method, scheme, header and as many names as CARRIED");
        return NULL;
    }
    if (is_span((Lifetime *)args[0])
        && ask((SpanLifetime *)args[0], args[1], args[2], args[3], names) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
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

/* answered(lifetime, status) */
static PyObject *
answered(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !PyObject_TypeCheck(args[0], Lifetime_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Lifetime and a status");
        return NULL;
    }
    SpanLifetime *span = is_span((Lifetime *)args[0]) ? (SpanLifetime *)args[0] : NULL;
    int failure = span != NULL && say(span, key_status, args[1]) < 0 ? -1 : is_failure(args[1]);
    if (failure < 0 || (failure && span != NULL && note_failure(span, args[1]) < 0)) {
        return NULL;
    }
    return Py_NewRef(failure ? FAILED : DONE);
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
        return PyUnicode_Concat(mount, template);
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(template);
}

/* What a name was made of, and the name: a server has few of them, and each is one object. */
typedef struct {
    PyObject *method, *template, *name; /* owned, or NULL */
} Named;

#define REMEMBERED 256 /* a power of 2 */

static Named names[REMEMBERED];

static inline Named *
place_of(PyObject *method, PyObject *template)
{
    uintptr_t mixed = (uintptr_t)method >> 4 ^ (uintptr_t)template >> 5 ^ (uintptr_t)template >> 13;
    return &names[mixed & (REMEMBERED - 1)];
}

/* "METHOD template": a new reference. */
static PyObject *
joined(PyObject *method, PyObject *template)
{
    Named *known = place_of(method, template);
    if (LIKELY(known->method == method && known->template == template && known->name != NULL)) {
        return Py_NewRef(known->name);
    }
    PyObject *head = PyUnicode_Concat(method, space);
    PyObject *name = head == NULL ? NULL : PyUnicode_Concat(head, template);
    Py_XDECREF(head);
    if (name != NULL && PyUnicode_CheckExact(method) && PyUnicode_CheckExact(template)) {
        Py_XSETREF(known->method, Py_NewRef(method));
        Py_XSETREF(known->template, Py_NewRef(template));
        Py_XSETREF(known->name, Py_NewRef(name));
    }
    return name;
}

/* The name up to its first space: a new reference. */
static PyObject *
method_in(PyObject *name)
{
    Py_ssize_t end = PyUnicode_FindChar(name, ' ', 0, PyUnicode_GET_LENGTH(name), 1);
    if (end == -2) {
        return NULL;
    }
    return end == -1 ? Py_NewRef(name) : PyUnicode_Substring(name, 0, end);
}

static int
name_by_route(SpanLifetime *span, PyObject *route)
{
    PyObject *template = whole(span, route), *method = NULL, *name = NULL;
    if (template != NULL && (method = method_in(span->name)) != NULL
        && (name = joined(method, template)) != NULL && say(span, key_route, template) == 0) {
        Py_SETREF(span->name, Py_NewRef(name));
    }
    Py_XDECREF(name);
    Py_XDECREF(method);
    Py_XDECREF(template);
    return PyErr_Occurred() ? -1 : 0;
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
                          &headers, &PyFrozenSet_Type, &known, &PyDict_Type, &mounted)) {
        return NULL;
    }
    Py_XSETREF(request, (ResourceType *)Py_NewRef(row));
    Py_XSETREF(carried, Py_NewRef(headers));
    Py_XSETREF(methods, Py_NewRef(known));
    Py_XSETREF(mounts, Py_NewRef(mounted));
    Py_RETURN_NONE;
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef functions[] = {
    {"open_request", FAST(open_request), METH_FASTCALL, "A request begins."},
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
        {&space, " "},
    };
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(wanted); nth++) {
        *wanted[nth].place = PyUnicode_InternFromString(wanted[nth].text);
        if (*wanted[nth].place == NULL) {
            return -1;
        }
    }
    return PyModule_AddFunctions(module, functions);
}
