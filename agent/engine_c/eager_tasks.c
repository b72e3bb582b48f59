/* Eager tasks, of Python 3.12 and later: the first step runs inside the constructor.

   Twin of agent/engine/eager_tasks.py.  There the metaclass of what is called `asyncio.Task` has the
   call; here the class itself has it, as what the interpreter looks for first in any callable. */

#include "engine.h"

static PyObject *get_running_loop; /* asyncio's, or NULL before it is known */
static PyObject *name_loop, *name_eager_start, *name_is_running, *name_new, *name_init, *name_token;

/* ---- whether ---- */

/* 1 or 0; -1 with an exception set, which is the program's: it asks its own objects. */
static int
is_true_in(PyObject *keywords, PyObject *name)
{
    PyObject *value = PyDict_GetItemWithError(keywords, name);
    if (value == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return PyObject_IsTrue(value);
}

/* The loop that a task with these arguments belongs to: a new reference. */
static PyObject *
loop_of(PyObject *keywords)
{
    PyObject *loop = PyDict_GetItemWithError(keywords, name_loop);
    int given = loop == NULL ? (PyErr_Occurred() ? -1 : 0) : PyObject_IsTrue(loop);
    if (given != 0) {
        return given < 0 ? NULL : Py_NewRef(loop);
    }
    return PyObject_CallNoArgs(get_running_loop);
}

static int
starts_eagerly(PyObject *keywords)
{
    PyObject *loop = loop_of(keywords);
    if (loop == NULL) {
        return -1;
    }
    int eager = is_true_in(keywords, name_eager_start);
    if (eager > 0) {
        PyObject *running = loop == Py_None ? Py_NewRef(Py_False)
                                            : PyObject_CallMethodNoArgs(loop, name_is_running);
        eager = running == NULL ? -1 : PyObject_IsTrue(running);
        Py_XDECREF(running);
    }
    Py_DECREF(loop);
    return eager;
}

/* ---- the first step ---- */

/* Its lifetime, after its init: a new reference, NULL without memory. */
static Lifetime *
seen(ThreadState *state, PyObject *task, PyObject *coroutine)
{
    Lifetime *lifetime = event_create(state, engine.task, task, state->current, 0);
    PyObject *token = lifetime == NULL ? NULL : token_new(lifetime);
    if (token == NULL || PyObject_GenericSetAttr(task, name_token, token) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(token);
    if (lifetime != NULL && is_span(lifetime)) {
        task_name((SpanLifetime *)lifetime, coroutine);
    }
    PyErr_Clear();
    return lifetime;
}

/* How the step has left it: OPEN while it is not done. */
static PyObject *
outcome_after(ThreadState *state, Lifetime *lifetime, PyObject *task, int failed)
{
    PyObject *outcome = OPEN;
    if (failed) {
        return CANCELLED;
    }
    task_settles(state, lifetime, task, &outcome);
    return outcome;
}

static void
step_over(ThreadState *state, Lifetime *lifetime, Lifetime *previous, PyObject *outcome)
{
    if (state->current != lifetime) {
        scopes_leave(state, lifetime);
    }
    event_leave(state, lifetime, previous);
    if (outcome != OPEN) {
        event_end(state, lifetime, outcome);
    }
    else if (is_recorded(lifetime)) {
        /* As after any step: its next one may have been scheduled inside of this one. */
        ((RecordedLifetime *)lifetime)->scheduled = clock_now();
    }
}

/* Call the constructor: that of the task's class, or `init`, which is bound to the task already. */
static int
construct(PyObject *task, PyObject *init, PyObject *coroutine, PyObject *keywords)
{
    PyObject *args = PyTuple_Pack(1, coroutine);
    if (args == NULL) {
        return -1;
    }
    int failed;
    if (init == NULL) {
        failed = Py_TYPE(task)->tp_init(task, args, keywords);
    }
    else {
        PyObject *nothing = PyObject_Call(init, args, keywords);
        failed = nothing == NULL ? -1 : 0;
        Py_XDECREF(nothing);
    }
    Py_DECREF(args);
    return failed;
}

static int
init_bracketed(PyObject *task, PyObject *init, PyObject *coroutine, PyObject *keywords)
{
    ThreadState *state = thread_state();
    Lifetime *lifetime = state == NULL ? NULL : seen(state, task, coroutine);
    if (lifetime == NULL) {
        return construct(task, init, coroutine, keywords);
    }
    Lifetime *previous = (Lifetime *)Py_NewRef((PyObject *)state->current);
    Py_INCREF((PyObject *)state);
    bool outer = state->steps;
    event_enter(state, lifetime, task);
    int failed = construct(task, init, coroutine, keywords);
    step_over(state, lifetime, previous, outcome_after(state, lifetime, task, failed));
    /* What is awaited from here on is what the outer step awaits again. */
    state->steps = outer;
    Py_DECREF((PyObject *)state);
    Py_DECREF((PyObject *)previous);
    Py_DECREF((PyObject *)lifetime);
    return failed;
}

/* ---- construction ---- */

/* Takes the reference to the task, and gives it back. */
static PyObject *
created_elsewhere(PyObject *task)
{
    if (task != NULL) {
        task_created_elsewhere(task);
    }
    return task;
}

/* A new instance, of which no constructor has run. */
static PyObject *
allocated(PyTypeObject *cls)
{
    if (cls == task_type()) {
        PyObject *nothing = PyTuple_New(0);
        PyObject *task = nothing == NULL ? NULL : cls->tp_new(cls, nothing, NULL);
        Py_XDECREF(nothing);
        return task;
    }
    return PyObject_CallMethodOneArg((PyObject *)cls, name_new, (PyObject *)cls);
}

static PyObject *
started(PyObject *cls, PyObject *coroutine, PyObject *keywords)
{
    PyObject *task = allocated((PyTypeObject *)cls);
    if (task == NULL) {
        return NULL;
    }
    bool is_own = Py_IS_TYPE(task, task_type());
    PyObject *init = is_own ? NULL : PyObject_GetAttr(task, name_init);
    if ((init == NULL && !is_own) || init_bracketed(task, init, coroutine, keywords) < 0) {
        Py_CLEAR(task);
    }
    Py_XDECREF(init);
    return created_elsewhere(task);
}

static PyObject *
start(PyObject *cls, PyObject *coroutine, PyObject *keywords)
{
    int eager = starts_eagerly(keywords);
    if (eager > 0) {
        return started(cls, coroutine, keywords);
    }
    return eager < 0
        ? NULL
        : created_elsewhere(PyObject_VectorcallDict(cls, &coroutine, 1, keywords));
}

/* The keyword arguments of a call as a dict: a new reference. */
static PyObject *
keywords_of(PyObject *const *values, PyObject *names)
{
    PyObject *keywords = PyDict_New();
    for (Py_ssize_t nth = 0; keywords != NULL && nth < PyTuple_GET_SIZE(names); nth++) {
        if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, nth), values[nth]) < 0) {
            Py_CLEAR(keywords);
        }
    }
    return keywords;
}

/* What `asyncio.Task(...)` does: the instance is of asyncio's own class. */
static PyObject *
call_stand_in(PyObject *Py_UNUSED(stand_in), PyObject *const *args, size_t nargsf, PyObject *names)
{
    PyObject *own = (PyObject *)task_type();
    Py_ssize_t number = PyVectorcall_NARGS(nargsf);
    if (names == NULL || number != 1) {
        return created_elsewhere(PyObject_Vectorcall(own, args, (size_t)number, names));
    }
    PyObject *keywords = keywords_of(args + number, names), *task = NULL;
    int eager = keywords == NULL ? -1 : is_true_in(keywords, name_eager_start);
    if (eager > 0) {
        task = start(own, args[0], keywords);
    }
    else if (eager == 0) {
        task = created_elsewhere(PyObject_Vectorcall(own, args, (size_t)number, names));
    }
    Py_XDECREF(keywords);
    return task;
}

/* ---- as Python has them ---- */

static bool
is_dict(PyObject *value)
{
    if (PyDict_CheckExact(value)) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "expected a dict of keyword arguments, not %R", value);
    return false;
}

/* start_eagerly(class, coroutine, keywords) */
static PyObject *
start_eagerly(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 3 || !PyType_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "expected a class, a coroutine and keyword arguments");
        return NULL;
    }
    return is_dict(args[2]) ? start(args[0], args[1], args[2]) : NULL;
}

/* init_eagerly(task, init, coroutine, keywords) */
static PyObject *
init_eagerly(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 4) {
        PyErr_Format(PyExc_TypeError, "init_eagerly() takes 4 arguments, not %zd", number);
        return NULL;
    }
    if (!is_dict(args[3]) || init_bracketed(args[0], args[1], args[2], args[3]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* construct_eagerly(class): have the class construct eager tasks where it is called. */
static PyObject *
construct_eagerly(PyObject *Py_UNUSED(module), PyObject *cls)
{
    if (!PyType_Check(cls) || !PyType_HasFeature((PyTypeObject *)cls, Py_TPFLAGS_HEAPTYPE)
        || !PyType_HasFeature(Py_TYPE(cls), Py_TPFLAGS_HAVE_VECTORCALL)) {
        PyErr_Format(PyExc_TypeError, "expected a class of Python's, not %R", cls);
        return NULL;
    }
    ((PyTypeObject *)cls)->tp_vectorcall = call_stand_in;
    Py_RETURN_NONE;
}

/* know_eager_tasks(asyncio._get_running_loop) */
static PyObject *
know_eager_tasks(PyObject *Py_UNUSED(module), PyObject *get_loop)
{
    Py_XSETREF(get_running_loop, Py_NewRef(get_loop));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"start_eagerly", (PyCFunction)(void (*)(void))start_eagerly, METH_FASTCALL,
     "Construct a task whose first step may run inside its constructor, as that step's bracket."},
    {"init_eagerly", (PyCFunction)(void (*)(void))init_eagerly, METH_FASTCALL,
     "Call the `__init__` of a task that starts eagerly."},
    {"construct_eagerly", construct_eagerly, METH_O, NULL},
    {"know_eager_tasks", know_eager_tasks, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

int
eager_tasks_add(PyObject *module)
{
    const WantedName wanted[] = {
        {&name_loop, "loop"},
        {&name_eager_start, "eager_start"},
        {&name_is_running, "is_running"},
        {&name_new, "__new__"},
        {&name_init, "__init__"},
        {&name_token, "_whence"},
    };
    return names_intern(wanted, Py_ARRAY_LENGTH(wanted)) < 0
               ? -1
               : PyModule_AddFunctions(module, functions);
}
