/* The queue of what a loop runs next: a deque, whose methods are called without being looked up.

   A loop may have something else there: then they are looked up. */

#include "loops.h"

static PyTypeObject *deque_type;
static PyCFunction append_in_c, popleft_in_c;
static PyObject *string_append, *string_popleft;

int
queue_append(PyObject *queue, PyObject *handle)
{
    PyObject *done = LIKELY(Py_IS_TYPE(queue, deque_type))
        ? append_in_c(queue, handle)
        : PyObject_CallMethodOneArg(queue, string_append, handle);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyObject *
queue_pop(PyObject *queue)
{
    return LIKELY(Py_IS_TYPE(queue, deque_type))
        ? popleft_in_c(queue, NULL)
        : PyObject_CallMethodNoArgs(queue, string_popleft);
}

bool
queue_is_usual(PyObject *queue)
{
    return Py_IS_TYPE(queue, deque_type);
}

/* A method as C has it; NULL with an exception set if it takes its arguments otherwise. */
static PyCFunction
method_in_c(PyTypeObject *type, PyObject *name, int flags)
{
    PyObject *method = PyObject_GetAttr((PyObject *)type, name);
    if (method == NULL) {
        return NULL;
    }
    PyMethodDef *definition = Py_IS_TYPE(method, &PyMethodDescr_Type)
                                  ? ((PyMethodDescrObject *)method)->d_method
                                  : NULL;
    PyCFunction function = definition != NULL && definition->ml_flags == flags
                               ? definition->ml_meth
                               : NULL;
    if (function == NULL) {
        PyErr_Format(PyExc_TypeError, "expected deque.%U to be a method in C", name);
    }
    Py_DECREF(method);
    return function;
}

int
queue_know(PyTypeObject *deque)
{
    deque_type = (PyTypeObject *)Py_NewRef(deque);
    if ((string_append = PyUnicode_InternFromString("append")) == NULL
        || (string_popleft = PyUnicode_InternFromString("popleft")) == NULL
        || (append_in_c = method_in_c(deque, string_append, METH_O)) == NULL
        || (popleft_in_c = method_in_c(deque, string_popleft, METH_NOARGS)) == NULL) {
        return -1;
    }
    return 0;
}
