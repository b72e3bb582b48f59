/* Lifetimes as Python sees them: what it reads and sets, and what it asks of them.

   - An object field that is empty reads as None, and setting None empties it; so does deleting.
   - Whoever is given an object that the collector knows is known to the collector from then on
     (lifetimes.c). */

#include "lifetimes.h"

/* An object field that is None if it is empty.  The closure is its offset. */
static PyObject *
get_object(PyObject *self, void *closure)
{
    PyObject *value = *field_at(self, (size_t)closure);
    return Py_NewRef(value == NULL ? Py_None : value);
}

/* The same of one that is no attribute until it is set. */
static PyObject *
get_if_there(PyObject *self, void *closure)
{
    PyObject *value = *field_at(self, (size_t)closure);
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "not set yet");
    }
    return Py_XNewRef(value);
}

static int
set_object(PyObject *self, PyObject *value, void *closure)
{
    PyObject **field = field_at(self, (size_t)closure);
    if (value == Py_None) {
        value = NULL;
    }
    else if (value != NULL && !PyObject_GC_IsTracked(self) && PyObject_IS_GC(value)) {
        PyObject_GC_Track(self);
    }
    Py_XSETREF(*field, Py_XNewRef(value));
    return 0;
}

static PyObject *
missing_is_none(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Py_RETURN_NONE;
}

static PyObject *
missing_is_true(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Py_RETURN_TRUE;
}

/* The same of a field that holds nothing but one type of ours. */
static int
set_typed(PyObject *self, PyObject *value, PyTypeObject *type, size_t offset)
{
    if (value == Py_None) {
        value = NULL;
    }
    if (value != NULL && !PyObject_TypeCheck(value, type)) {
        PyErr_Format(PyExc_TypeError, "expected %s or None, not %R", type->tp_name, value);
        return -1;
    }
    PyObject **field = field_at(self, offset);
    Py_XSETREF(*field, Py_XNewRef(value));
    return 0;
}

static int
set_type(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    return set_typed(self, value, ResourceType_Type, offsetof(Lifetime, type));
}

static int
set_cause(PyObject *self, PyObject *value, void *closure)
{
    return set_typed(self, value, Cause_Type, (size_t)closure);
}

static int
set_parent(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    return set_typed(self, value, SpanLifetime_Type, offsetof(RecordedLifetime, parent));
}

static int
set_code(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    return set_typed(self, value, &PyCode_Type, offsetof(RecordedLifetime, code));
}

static PyObject *
get_transparent(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(lifetime_transparent((Lifetime *)self));
}

static int
set_transparent(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    int transparent = value == NULL ? -1 : PyObject_IsTrue(value);
    if (transparent < 0) {
        return -1;
    }
    ((RecordedLifetime *)self)->transparency = transparent ? TRANSPARENT : NOT_TRANSPARENT;
    return 0;
}

static PyObject *
get_wait(PyObject *self, void *Py_UNUSED(closure))
{
    SpanLifetime *span = (SpanLifetime *)self;
    RecordedLifetime *recorded = &span->base;
    int64_t wait = span->ended - recorded->base.created - recorded->run - recorded->ready;
    return PyLong_FromLongLong(wait > 0 ? wait : 0);
}

static PyObject *
as_cause(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Cause *cause = lifetime_as_cause((Lifetime *)self);
    return Py_NewRef(cause == NULL ? Py_None : (PyObject *)cause);
}

#define OBJECT(type, field) get_object, set_object, NULL, (void *)offsetof(type, field)

PyMethodDef lifetime_methods[] = {
    {"as_cause", as_cause, METH_NOARGS, "The cause that everything it triggers is given."},
    {NULL, NULL, 0, NULL},
};

PyMemberDef lifetime_members[] = {
    {"async_id", T_LONGLONG, offsetof(Lifetime, async_id), 0, NULL},
    {"trigger_async_id", T_LONGLONG, offsetof(Lifetime, trigger_async_id), 0, NULL},
    {"created", T_LONGLONG, offsetof(Lifetime, created), 0, NULL},
    {"open", T_BOOL, offsetof(Lifetime, open), 0, NULL},
    {"notify", T_BOOL, offsetof(Lifetime, notify), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyGetSetDef lifetime_getset[] = {
    {"type", get_object, set_type, NULL, (void *)offsetof(Lifetime, type)},
    {"resource", OBJECT(Lifetime, resource)},
    {"scope", OBJECT(Lifetime, scope)},
    {"cause", missing_is_none, NULL, NULL, NULL},
    {"own_cause", missing_is_none, NULL, NULL, NULL},
    {"parent", missing_is_none, NULL, NULL, NULL},
    {"transparent", missing_is_true, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyMethodDef recorded_methods[] = {
    {"copy", lifetime_copy, METH_NOARGS, "The same record again, as a SpanLifetime."},
    {NULL, NULL, 0, NULL},
};

PyMemberDef recorded_members[] = {
    {"scheduled", T_LONGLONG, offsetof(RecordedLifetime, scheduled), 0, NULL},
    {"entered", T_LONGLONG, offsetof(RecordedLifetime, entered), 0, NULL},
    {"run", T_LONGLONG, offsetof(RecordedLifetime, run), 0, NULL},
    {"ready", T_LONGLONG, offsetof(RecordedLifetime, ready), 0, NULL},
    {"steps", T_LONGLONG, offsetof(RecordedLifetime, steps), 0, NULL},
    {"lasti", T_INT, offsetof(RecordedLifetime, lasti), 0, NULL},
    {"transparency", T_UBYTE, offsetof(RecordedLifetime, transparency), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyGetSetDef recorded_getset[] = {
    {"code", get_object, set_code, NULL, (void *)offsetof(RecordedLifetime, code)},
    {"cause", get_object, set_cause, NULL, (void *)offsetof(RecordedLifetime, cause)},
    {"own_cause", get_object, set_cause, NULL, (void *)offsetof(RecordedLifetime, own_cause)},
    {"parent", get_object, set_parent, NULL, (void *)offsetof(RecordedLifetime, parent)},
    {"error", OBJECT(RecordedLifetime, error)},
    {"transparent", get_transparent, set_transparent, NULL, NULL},
    {"name", missing_is_none, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyMemberDef span_members[] = {
    {"children", T_LONGLONG, offsetof(SpanLifetime, children), 0, NULL},
    {"ended", T_LONGLONG, offsetof(SpanLifetime, ended), 0, NULL},
    {"execution_async_id", T_LONGLONG, offsetof(SpanLifetime, execution_async_id), 0, NULL},
    {"thread_id", T_ULONGLONG, offsetof(SpanLifetime, thread_id), 0, NULL},
    {"keep", T_BOOL, offsetof(SpanLifetime, keep), 0, NULL},
    {"fire_and_forget", T_BOOL, offsetof(SpanLifetime, fire_and_forget), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyGetSetDef span_getset[] = {
    {"name", OBJECT(SpanLifetime, name)},
    {"attributes", OBJECT(SpanLifetime, attributes)},
    {"events", OBJECT(SpanLifetime, events)},
    {"segments", OBJECT(SpanLifetime, segments)},
    {"span", OBJECT(SpanLifetime, span)},
    {"link", OBJECT(SpanLifetime, link)},
    {"links", OBJECT(SpanLifetime, links)},
    {"spliced", get_if_there, set_object, NULL, (void *)offsetof(SpanLifetime, spliced)},
    {"fate", OBJECT(SpanLifetime, fate)},
    {"outcome", OBJECT(SpanLifetime, outcome)},
    {"wait", get_wait, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

int
lifetime_name_fields(PyTypeObject *type)
{
    PyObject *names = PyList_New(0);
    int failed = names == NULL;
    for (PyMemberDef *member = type->tp_members; !failed && member->name != NULL; member++) {
        PyObject *name = PyUnicode_InternFromString(member->name);
        failed = name == NULL || PyList_Append(names, name) < 0;
        Py_XDECREF(name);
    }
    for (PyGetSetDef *field = type->tp_getset; !failed && field->name != NULL; field++) {
        if (field->set != NULL) {
            PyObject *name = PyUnicode_InternFromString(field->name);
            failed = name == NULL || PyList_Append(names, name) < 0;
            Py_XDECREF(name);
        }
    }
    PyObject *fields = failed ? NULL : PyList_AsTuple(names);
    failed = fields == NULL || PyObject_SetAttrString((PyObject *)type, "__slots__", fields) < 0;
    Py_XDECREF(fields);
    Py_XDECREF(names);
    return failed ? -1 : 0;
}
