/* `_run()` of handles of asyncio's own classes, where those stay: what brackets it, without a frame.

   Twin of `running` in agent/engine/stock_handles.py, where the rest of them is for both engines.
   The callback itself is run by asyncio's own `_run`. */

#include "handles.h"

static PyTypeObject *kept_class; /* of the arguments that know their handle's lifetime */
static PyObject *name_args, *name_lifetime, *name_task;

static PyObject *
run_kept(PyObject *handle, PyObject *kept)
{
    PyObject *lifetime = PyObject_GetAttr(kept, name_lifetime);
    PyObject *task = lifetime == NULL ? NULL : PyObject_GetAttr(kept, name_task);
    PyObject *result = NULL;
    if (task != NULL && PyObject_TypeCheck(lifetime, Lifetime_Type)) {
        result = handle_run_as(handle, (Lifetime *)lifetime, task == Py_None ? NULL : task);
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "expected a lifetime with the arguments of a handle");
    }
    Py_XDECREF(task);
    Py_XDECREF(lifetime);
    return result;
}

static PyObject *
run(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    if (UNLIKELY(PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL)) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    PyObject *kept = PyObject_GetAttr(args[0], name_args);
    if (UNLIKELY(kept == NULL || !Py_IS_TYPE(kept, kept_class))) {
        PyErr_Clear();
        Py_XDECREF(kept);
        return method_call_original(method, args, nargsf, kwnames);
    }
    PyObject *result = run_kept(args[0], kept);
    Py_DECREF(kept);
    return result;
}

static PyObject *
running(PyObject *Py_UNUSED(module), PyObject *original)
{
    return method_new(run, original);
}

/* know_kept(class of the arguments): once. */
static PyObject *
know_kept(PyObject *Py_UNUSED(module), PyObject *kept)
{
    if (!PyType_Check(kept)) {
        PyErr_SetString(PyExc_TypeError, "expected a class");
        return NULL;
    }
    name_args = PyUnicode_InternFromString("_args");
    name_lifetime = PyUnicode_InternFromString("lifetime");
    name_task = PyUnicode_InternFromString("task");
    if (name_args == NULL || name_lifetime == NULL || name_task == NULL) {
        return NULL;
    }
    kept_class = (PyTypeObject *)Py_NewRef(kept);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"know_kept", know_kept, METH_O, NULL},
    {"running", running, METH_O, "`Handle._run`, which timers have as well."},
    {NULL, NULL, 0, NULL},
};

int
stock_handles_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
