/* What stands in a class in place of a method: a callable of ours without a frame of its own.

   Twin of agent/engine/methods.py, where it is a plain function.  It looks like the method in whose
   place it stands: what it is asked and does not know itself, the original answers, its class
   included.  `looks_like` of the patches adds name, signature and the rest, as to a function. */

#include "engine.h"
#include "structmember.h"

PyTypeObject *Method_Type;

PyObject *
method_new(vectorcallfunc call, PyObject *original)
{
    Method *method = PyObject_GC_New(Method, Method_Type);
    if (method == NULL) {
        return NULL;
    }
    method->vectorcall = call;
    method->original = Py_NewRef(original);
    method->look = NULL;
    method->among = NULL;
    method->dict = NULL;
    method->weakrefs = NULL;
    PyObject_GC_Track(method);
    return (PyObject *)method;
}

/* Of what takes its instance by binding only: a slot wrapper, say. */
static PyObject *
call_bound(PyObject *original, PyObject *const *args, Py_ssize_t number, PyObject *kwnames)
{
    PyObject *bound = Py_TYPE(original)->tp_descr_get(original, args[0], (PyObject *)Py_TYPE(args[0]));
    if (bound == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(bound, args + 1, (size_t)(number - 1), kwnames);
    Py_DECREF(bound);
    return result;
}

PyObject *
method_call_original(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *original = ((Method *)method)->original;
    Py_ssize_t number = PyVectorcall_NARGS(nargsf);
    if (LIKELY(PyType_HasFeature(Py_TYPE(original), Py_TPFLAGS_METHOD_DESCRIPTOR)) || number == 0
        || Py_TYPE(original)->tp_descr_get == NULL) {
        return PyObject_Vectorcall(original, args, nargsf, kwnames);
    }
    return call_bound(original, args, number, kwnames);
}

/* Whether the one that it is called for is to be looked at. */
static bool
is_awaited(Method *method, PyObject *const *args, Py_ssize_t number)
{
    if (method->among == NULL) {
        return true;
    }
    if (number == 0 || PyDict_GET_SIZE(method->among) == 0) {
        return false;
    }
    PyObject *id = PyLong_FromVoidPtr(args[0]);
    bool found = id != NULL && PyDict_Contains(method->among, id) == 1;
    Py_XDECREF(id);
    return found;
}

static PyObject *
call_preceded(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t number = PyVectorcall_NARGS(nargsf);
    if (is_awaited((Method *)method, args, number)) {
        PyObject *nothing =
            PyObject_Vectorcall(((Method *)method)->look, args, (size_t)number, kwnames);
        if (UNLIKELY(nothing == NULL)) {
            exception_dropped();
        }
        Py_XDECREF(nothing);
    }
    return method_call_original(method, args, nargsf, kwnames);
}

/* preceded(look, original, among) */
static PyObject *
preceded(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 3 || !(args[2] == Py_None || PyDict_CheckExact(args[2]))) {
        PyErr_SetString(PyExc_TypeError, "expected a look, a method, and a dict or None");
        return NULL;
    }
    PyObject *method = method_new(call_preceded, args[1]);
    if (method != NULL) {
        ((Method *)method)->look = Py_NewRef(args[0]);
        ((Method *)method)->among = args[2] == Py_None ? NULL : Py_NewRef(args[2]);
    }
    return method;
}

static PyObject *
method_bind(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    if (instance == NULL || instance == Py_None) {
        return Py_NewRef(self);
    }
    return PyMethod_New(self, instance);
}

static PyObject *
method_get_attribute(PyObject *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr(self, name);
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return value;
    }
    PyErr_Clear();
    return PyObject_GetAttr(((Method *)self)->original, name);
}

static PyObject *
method_show(PyObject *self)
{
    return PyObject_Repr(((Method *)self)->original);
}

/* isinstance() and inspect take it for what the original is. */
static PyObject *
method_class(PyObject *self, void *Py_UNUSED(closure))
{
    return PyObject_GetAttrString(((Method *)self)->original, "__class__");
}

/* Copied and pickled as functions are: by name. */
static PyObject *
method_reduce(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_GetAttrString(self, "__qualname__");
}

static int
method_traverse(PyObject *self, visitproc visit, void *arg)
{
    Method *method = (Method *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(method->original);
    Py_VISIT(method->look);
    Py_VISIT(method->among);
    Py_VISIT(method->dict);
    return 0;
}

/* Not the original, which may still be called; its own attributes are what leads back to it. */
static int
method_clear(PyObject *self)
{
    Py_CLEAR(((Method *)self)->dict);
    return 0;
}

static void
method_dealloc(PyObject *self)
{
    Method *method = (Method *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (method->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    Py_CLEAR(method->dict);
    Py_CLEAR(method->original);
    Py_CLEAR(method->look);
    Py_CLEAR(method->among);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, vectorcall), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Method, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Method, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"__class__", method_class, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"__reduce__", method_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, method_bind},
    {Py_tp_getattro, method_get_attribute},
    {Py_tp_repr, method_show},
    {Py_tp_traverse, method_traverse},
    {Py_tp_clear, method_clear},
    {Py_tp_dealloc, method_dealloc},
    {Py_tp_members, members},
    {Py_tp_getset, properties},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "whence._engine.Method",
    .basicsize = sizeof(Method),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL
             | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION
             /* Else the interpreter does not specialize what looks one up. */
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

static PyMethodDef functions[] = {
    {"preceded", (PyCFunction)(void (*)(void))preceded, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

int
methods_add(PyObject *module)
{
    if (add_type(module, &spec, NULL, &Method_Type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
