/* Tasks: recognised by the callbacks that asyncio schedules for their steps.

   Twin of agent/engine/tasks.py.  A task holds a token, in its own
   namespace, which knows its lifetime.

   Of a task of exactly asyncio's class in C the getters and methods are called directly, as C
   functions; of all others by name, for their classes may have them otherwise.  Nothing here is ever
   raised into the program. */

#include "engine.h"

static PyTypeObject *task_class; /* asyncio's own, in C or in Python; NULL until it is imported */
static PyTypeObject *step_class; /* of what a C task schedules for its first steps */
static PyObject *python_steps;   /* a frozenset of the functions that a Python task schedules */
static PyMethodDef *wakeup;      /* what a C task schedules when what it waits for is done */

static PyObject *name_token, *name_done, *name_cancelled, *name_exception, *name_get_coro,
    *name_source_traceback;

/* C functions behind attributes of the classes in C; NULL where there is none. */
static getter step_self, task_exception, task_source_traceback;
static PyCFunction task_done, task_cancelled, task_get_coro;

PyTypeObject *
task_type(void)
{
    return task_class;
}

/* ---- whose step a callback is ---- */

static PyObject *
task_of_builtin(PyObject *callback)
{
    PyMethodDef *definition = ((PyCFunctionObject *)callback)->m_ml;
    PyObject *task = ((PyCFunctionObject *)callback)->m_self;
    if (LIKELY(definition == wakeup && wakeup != NULL)) {
        return task;
    }
    if (task == NULL || !PyObject_TypeCheck(task, task_class)
        || strcmp(definition->ml_name, "task_wakeup") != 0) {
        return NULL;
    }
    wakeup = definition;
    return task;
}

static PyObject *
task_of_method(PyObject *callback)
{
    PyObject *function = PyMethod_GET_FUNCTION(callback);
    if (!PyFunction_Check(function) || PySet_Contains(python_steps, function) != 1) {
        PyErr_Clear();
        return NULL;
    }
    return PyMethod_GET_SELF(callback);
}

PyObject *
task_of(PyObject *callback)
{
    PyTypeObject *type = Py_TYPE(callback);
    if (UNLIKELY(task_class == NULL)) {
        return NULL;
    }
    if (type == step_class) {
        PyObject *task = step_self(callback, NULL);
        /* The step holds it. */
        Py_XDECREF(task);
        return task;
    }
    if (type == &PyCFunction_Type) {
        return task_of_builtin(callback);
    }
    return type == &PyMethod_Type ? task_of_method(callback) : NULL;
}

bool
task_wakes_up(PyObject *callback)
{
    return Py_IS_TYPE(callback, &PyCFunction_Type) && wakeup != NULL
           && ((PyCFunctionObject *)callback)->m_ml == wakeup;
}

/* ---- its token ---- */

/* What it holds for us: borrowed, or NULL.  Its class is not asked. */
static Token *
token_of(PyObject *resource)
{
    PyObject **place = _PyObject_GetDictPtr(resource);
    if (place == NULL || *place == NULL) {
        return NULL;
    }
    PyObject *token = PyDict_GetItemWithError(*place, name_token);
    if (UNLIKELY(token == NULL)) {
        PyErr_Clear();
        return NULL;
    }
    return Py_IS_TYPE(token, Token_Type) ? (Token *)token : NULL;
}

Lifetime *
token_lifetime(PyObject *resource)
{
    Token *token = token_of(resource);
    return token == NULL ? NULL : token->lifetime;
}

/* ---- its init ---- */

/* What code is known to be asyncio's own plumbing by its name: `_accept_connection2`, and not
   `sleep`, which the program asked for. */
static bool
is_plumbing(PyCodeObject *code)
{
    if (!site_is_plumbing(code->co_filename)) {
        return false;
    }
    const char *name = PyUnicode_AsUTF8(code->co_name);
    if (name == NULL) {
        PyErr_Clear();
        return false;
    }
    return name[0] == '_' || strncmp(name, "shutdown_", strlen("shutdown_")) == 0;
}

static PyCodeObject *
code_of_coroutine(PyObject *coroutine)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyGen_GetCode((PyGenObject *)coroutine);
#else
    return (PyCodeObject *)Py_NewRef((PyObject *)((PyCoroObject *)coroutine)->cr_code);
#endif
}

static void
name_by_coroutine(SpanLifetime *span, PyObject *coroutine)
{
    PyCodeObject *code = code_of_coroutine(coroutine);
    Py_XSETREF(span->name, Py_NewRef(((PyCoroObject *)coroutine)->cr_qualname));
    if (is_plumbing(code)) {
        recorder_hide((Lifetime *)span);
    }
    Py_DECREF((PyObject *)code);
}

/* Call a method without arguments of a task: by what asyncio has there if the class is its own. */
static PyObject *
call_method(PyObject *task, PyCFunction own, PyObject *name)
{
    if (LIKELY(own != NULL && Py_IS_TYPE(task, task_class))) {
        return own(task, NULL);
    }
    return PyObject_CallMethodNoArgs(task, name);
}

static PyObject *
get_attribute(PyObject *task, getter own, PyObject *name)
{
    if (LIKELY(own != NULL && Py_IS_TYPE(task, task_class))) {
        return own(task, NULL);
    }
    return PyObject_GetAttr(task, name);
}

void
task_name(SpanLifetime *span, PyObject *coroutine)
{
    if (PyCoro_CheckExact(coroutine)) {
        name_by_coroutine(span, coroutine);
        return;
    }
    PyObject *name = python_function("name_task");
    PyObject *named =
        name == NULL ? NULL : PyObject_CallFunctionObjArgs(name, span, coroutine, NULL);
    Py_XDECREF(named);
}

static void
name_by_task(SpanLifetime *span, PyObject *task)
{
    PyObject *coroutine = call_method(task, task_get_coro, name_get_coro);
    if (coroutine != NULL) {
        task_name(span, coroutine);
        Py_DECREF(coroutine);
    }
}

/* In debug mode asyncio has noted where it was created: without our frames. */
void
task_created_elsewhere(PyObject *task)
{
    PyObject *places = get_attribute(task, task_source_traceback, name_source_traceback);
    if (UNLIKELY(places != NULL && places != Py_None)) {
        PyObject *clean = python_function("leave_out_ours");
        PyObject *cleaned = clean == NULL ? NULL : PyObject_CallOneArg(clean, places);
        Py_XDECREF(cleaned);
    }
    Py_XDECREF(places);
}

static Lifetime *
seen_first(ThreadState *state, PyObject *task, int skip)
{
    Lifetime *lifetime = event_create(state, engine.task, task, state->current, skip);
    PyObject *token = lifetime == NULL ? NULL : token_new(lifetime);
    bool kept = token != NULL && PyObject_GenericSetAttr(task, name_token, token) == 0;
    Py_XDECREF(token);
    if (LIKELY(kept)) {
        task_created_elsewhere(task);
        if (is_span(lifetime)) {
            name_by_task((SpanLifetime *)lifetime, task);
        }
    }
    Py_XDECREF((PyObject *)lifetime);
    PyErr_Clear();
    return kept ? lifetime : NULL;
}

Lifetime *
task_scheduled(ThreadState *state, PyObject *task, int skip)
{
    /* Most are scheduled by their own step. */
    Lifetime *executing = state->current;
    Lifetime *lifetime = executing->resource == task && executing->type == engine.task
                             ? executing
                             : token_lifetime(task);
    if (UNLIKELY(lifetime == NULL)) {
        return seen_first(state, task, skip);
    }
    if (is_recorded(lifetime)) {
        ((RecordedLifetime *)lifetime)->scheduled = clock_now();
    }
    return lifetime;
}

/* ---- its end ---- */

/* Whether a method of it without arguments says so. */
static bool
says(PyObject *task, PyCFunction own, PyObject *name)
{
    PyObject *answer = call_method(task, own, name);
    bool yes = answer == Py_True || (answer != NULL && PyObject_IsTrue(answer) > 0);
    Py_XDECREF(answer);
    return yes;
}

static PyObject *
outcome_of(Lifetime *lifetime, PyObject *task)
{
    if (says(task, task_cancelled, name_cancelled)) {
        return CANCELLED;
    }
    /* `exception()` would mark it as retrieved and silence asyncio's own warning. */
    PyObject *error = get_attribute(task, task_exception, name_exception);
    bool has_failed = error != NULL && error != Py_None;
    if (has_failed) {
        recorder_failed(lifetime, error);
    }
    Py_XDECREF(error);
    return has_failed ? FAILED : DONE;
}

static bool
settles(ThreadState *state, Lifetime *lifetime, PyObject *task, PyObject **outcome)
{
    PyObject *done = call_method(task, task_done, name_done);
    bool is_done = done != Py_False && done != NULL && PyObject_IsTrue(done) > 0;
    Py_XDECREF(done);
    if (LIKELY(!is_done)) {
        if (UNLIKELY(done != Py_False)) {
            PyErr_Clear();
        }
        return false;
    }
    event_resolve(state, lifetime);
    *outcome = outcome_of(lifetime, task);
    PyErr_Clear();
    return true;
}

bool
task_settles(ThreadState *state, Lifetime *lifetime, PyObject *task, PyObject **outcome)
{
    if (LIKELY(!PyErr_Occurred())) {
        return settles(state, lifetime, task, outcome);
    }
    Pending pending;
    pending_save(&pending);
    bool settled = settles(state, lifetime, task, outcome);
    pending_restore(&pending);
    return settled;
}

/* ---- what is known of asyncio ---- */

/* The C function behind a property of this class; NULL if it is none in C. */
static getter
getter_of(PyTypeObject *type, const char *name)
{
    PyObject *property = PyObject_GetAttrString((PyObject *)type, name);
    getter found = NULL;
    if (property != NULL && Py_IS_TYPE(property, &PyGetSetDescr_Type)
        && ((PyGetSetDescrObject *)property)->d_getset->closure == NULL) {
        found = ((PyGetSetDescrObject *)property)->d_getset->get;
    }
    PyErr_Clear();
    Py_XDECREF(property);
    return found;
}

/* The same of a method without arguments. */
static PyCFunction
method_of(PyTypeObject *type, const char *name)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)type, name);
    PyCFunction found = NULL;
    if (method != NULL && Py_IS_TYPE(method, &PyMethodDescr_Type)
        && ((PyMethodDescrObject *)method)->d_method->ml_flags == METH_NOARGS) {
        found = ((PyMethodDescrObject *)method)->d_method->ml_meth;
    }
    PyErr_Clear();
    Py_XDECREF(method);
    return found;
}

static int
intern_names(void)
{
    const WantedName wanted[] = {
        {&name_token, "_whence"},
        {&name_done, "done"},
        {&name_cancelled, "cancelled"},
        {&name_exception, "_exception"},
        {&name_get_coro, "get_coro"},
        {&name_source_traceback, "_source_traceback"},
    };
    return names_intern(wanted, Py_ARRAY_LENGTH(wanted));
}

/* know_tasks(Task, type of a C task's step, functions of a Python task's steps): once. */
static PyObject *
know_tasks(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *task, *step, *steps;
    if (!PyArg_ParseTuple(args, "O!O!O!:know_tasks", &PyType_Type, &task, &PyType_Type, &step,
                          &PyFrozenSet_Type, &steps)) {
        return NULL;
    }
    if (intern_names() < 0) {
        return NULL;
    }
    step_self = getter_of((PyTypeObject *)step, "__self__");
    step_class = step_self == NULL ? NULL : (PyTypeObject *)Py_NewRef(step);
    python_steps = Py_NewRef(steps);
    task_exception = getter_of((PyTypeObject *)task, "_exception");
    task_source_traceback = getter_of((PyTypeObject *)task, "_source_traceback");
    task_done = method_of((PyTypeObject *)task, "done");
    task_cancelled = method_of((PyTypeObject *)task, "cancelled");
    task_get_coro = method_of((PyTypeObject *)task, "get_coro");
    task_class = (PyTypeObject *)Py_NewRef(task);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"know_tasks", know_tasks, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int
tasks_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
