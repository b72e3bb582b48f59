/* The module `whence._engine`: the types and functions of all files here, and what they share.

   Loaded once, by the main interpreter: what is static here belongs to that. */

#include "engine.h"

Engine engine;

int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **type)
{
    PyObject *made = PyType_FromSpecWithBases(spec, (PyObject *)base);
    if (made == NULL) {
        return -1;
    }
    *type = (PyTypeObject *)made;
    return PyModule_AddObjectRef(module, strrchr(spec->name, '.') + 1, made);
}

/* What was found for a name, by its address: names are literals.  Emptied by `tell`. */
#define REMEMBERED 64 /* a power of 2 */

static struct {
    const char *name;
    PyObject *function; /* borrowed from `engine.python` */
} found[REMEMBERED];

static PyObject *
look_up(const char *name)
{
    Pending pending;
    pending_save(&pending);
    PyObject *key = PyUnicode_FromString(name);
    PyObject *function = key == NULL ? NULL : PyDict_GetItemWithError(engine.python, key);
    Py_XDECREF(key);
    PyErr_Clear();
    pending_restore(&pending);
    return function;
}

PyObject *
python_function(const char *name)
{
    size_t nth = ((uintptr_t)name ^ (uintptr_t)name >> 6) & (REMEMBERED - 1);
    if (LIKELY(found[nth].name == name)) {
        return found[nth].function;
    }
    PyObject *function = engine.python == NULL ? NULL : look_up(name);
    if (function != NULL) {
        found[nth].name = name;
        found[nth].function = function;
    }
    return function;
}

/* What interrupts the program, and waits for the hooks of the main thread to end; or NULL. */
static PyObject *interrupting;

/* In the main thread, where signal handlers run, between two instructions: of the program, or of a
   hook, which goes on. */
static int
raise_pending(void *error)
{
    ThreadState *state = thread_state();
    if (state != NULL && state->depth > 0) {
        Py_XSETREF(interrupting, error);
        return 0;
    }
    raised_again(error);
    return -1;
}

static void
raise_soon(PyObject *error)
{
    if (Py_AddPendingCall(raise_pending, error) < 0) {
        Py_DECREF(error);
    }
}

void
interrupts_go_on(void)
{
    PyObject *error = interrupting;
    if (UNLIKELY(error != NULL)) {
        interrupting = NULL;
        raise_soon(error);
    }
}

void
exception_dropped(void)
{
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) ||
        PyErr_ExceptionMatches(PyExc_SystemExit)) {
        PyObject *error = raised_take();
        if (error != NULL) {
            raise_soon(error);
        }
    }
    else if (PyErr_ExceptionMatches(PyExc_MemoryError) ||
             PyErr_ExceptionMatches(PyExc_RecursionError)) {
        PyErr_Clear();
    }
    else {
        PyErr_WriteUnraisable(NULL);
    }
}

/* tell(**functions): what C calls in Python. */
static PyObject *
tell(PyObject *Py_UNUSED(module), PyObject *args, PyObject *functions)
{
    if (PyTuple_GET_SIZE(args) != 0 || functions == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected functions by name");
        return NULL;
    }
    /* Those that are replaced may run code when they are dropped, which may look others up. */
    memset(found, 0, sizeof(found));
    int failed = PyDict_Update(engine.python, functions);
    memset(found, 0, sizeof(found));
    return failed ? NULL : Py_NewRef(Py_None);
}

/* The singletons that hot paths look at: their names, types and places. */
static const struct {
    const char *name;
    PyTypeObject **type;
    void *place;
} singletons[] = {
    {"listeners", &Listeners_Type, &engine.listeners},
    {"task", &ResourceType_Type, &engine.task},
    {"future", &ResourceType_Type, &engine.future},
    {"handle", &ResourceType_Type, &engine.handle},
    {"timer_handle", &ResourceType_Type, &engine.timer_handle},
    {"thread", &ResourceType_Type, &engine.thread},
    {"timer", &ResourceType_Type, &engine.timer},
    {"executor_job", &ResourceType_Type, &engine.executor_job},
    {"main", &Lifetime_Type, &engine.main},
    {"outside", &Lifetime_Type, &engine.outside},
};

static int
use_one(PyObject *name, PyObject *value)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(singletons); nth++) {
        if (PyUnicode_CompareWithASCIIString(name, singletons[nth].name) != 0) {
            continue;
        }
        if (!PyObject_TypeCheck(value, *singletons[nth].type)) {
            PyErr_Format(PyExc_TypeError, "expected %s as %U, not %R",
                         (*singletons[nth].type)->tp_name, name, value);
            return -1;
        }
        PyObject **place = (PyObject **)singletons[nth].place;
        Py_XSETREF(*place, Py_NewRef(value));
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "the engine in C has no use for %R", name);
    return -1;
}

/* use(**singletons): what Python has made and C looks at. */
static PyObject *
use(PyObject *Py_UNUSED(module), PyObject *args, PyObject *values)
{
    if (PyTuple_GET_SIZE(args) != 0 || values == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected objects by name");
        return NULL;
    }
    PyObject *name, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(values, &position, &name, &value)) {
        if (use_one(name, value) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"tell", (PyCFunction)(void (*)(void))tell, METH_VARARGS | METH_KEYWORDS,
     "Name the functions in Python that are called where something rare happens."},
    {"use", (PyCFunction)(void (*)(void))use, METH_VARARGS | METH_KEYWORDS,
     "Name the objects made in Python that every event looks at."},
    {NULL, NULL, 0, NULL},
};

int
names_intern(const WantedName *wanted, size_t number)
{
    for (size_t nth = 0; nth < number; nth++) {
        *wanted[nth].place = PyUnicode_InternFromString(wanted[nth].name);
        if (*wanted[nth].place == NULL) {
            return -1;
        }
    }
    return 0;
}

/* In the order in which they need each other's types. */
static int (*const subjects[])(PyObject *module) = {
    histograms_add, resource_types_add, causes_add, lifetimes_add, execution_add,
    dispatch_add, methods_add, calibration_add, clock_add, sites_add, ring_add, identities_add,
    places_add, placing_add, packer_add, runs_add, posting_add, open_lifetimes_add,
    recorder_settings_add, recorder_add, parents_add, collected_add, events_add, standin_add,
    tasks_add, scopes_add, eager_tasks_add, requests_add, futures_add, scheduled_add, handles_add,
    running_add, stock_handles_add, loop_methods_add, iterations_add, stream_transports_add,
    callbacks_add, scheduling_add, protocols_add,
};

static int
module_exec(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "whence._engine is for the main interpreter only");
        return -1;
    }
    if (engine.python != NULL) {
        PyErr_SetString(PyExc_ImportError, "whence._engine is loaded already");
        return -1;
    }
    engine.python = PyDict_New();
    if (engine.python == NULL) {
        return -1;
    }
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(subjects); nth++) {
        if (subjects[nth](module) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "whence._engine",
    .m_doc = "The engine of whence in C: see whence.engine, whose names it has.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__engine(void)
{
    /* What is in headers is that of the Python it was built for: no other may go on here. */
    if ((Py_Version >> 16) != (PY_VERSION_HEX >> 16)) {
        PyErr_Format(PyExc_ImportError, "whence._engine is built for CPython %d.%d",
                     PY_MAJOR_VERSION, PY_MINOR_VERSION);
        return NULL;
    }
    return PyModuleDef_Init(&definition);
}
