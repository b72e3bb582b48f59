/* Classes in C that stand in for asyncio's own: of the metaclass that answers for those.

   Twin of what a class statement with `metaclass=StandIn` does (agent/engine/standin.py).  Python
   refuses to give a class another metaclass, for one may need more room in the class; so it is looked
   at that this one does not. */

#include "engine.h"

/* set_metaclass(class, metaclass): of a class that has the metaclass `type`. */
static PyObject *
set_metaclass(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *cls;
    PyTypeObject *metaclass;
    if (!PyArg_ParseTuple(args, "O!O!:set_metaclass", &PyType_Type, &cls, &PyType_Type,
                          &metaclass)) {
        return NULL;
    }
    if (!Py_IS_TYPE(cls, &PyType_Type) || !PyType_IsSubtype(metaclass, &PyType_Type)
        || !PyType_HasFeature((PyTypeObject *)cls, Py_TPFLAGS_HEAPTYPE)
        || metaclass->tp_basicsize != PyType_Type.tp_basicsize
        || metaclass->tp_itemsize != PyType_Type.tp_itemsize) {
        PyErr_Format(PyExc_TypeError, "%R cannot be of metaclass %R", cls, metaclass);
        return NULL;
    }
    Py_SET_TYPE(cls, (PyTypeObject *)Py_NewRef((PyObject *)metaclass));
    PyType_Modified((PyTypeObject *)cls);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_metaclass", set_metaclass, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int
standin_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
