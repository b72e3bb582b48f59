/* Whether the agent records, and how: the singleton `recorder`, whose fields every event looks at.

   Twin of `Recorder` in agent/engine/recorder.py. */

#include "engine.h"
#include "structmember.h"

PyTypeObject *Recorder_Type;

static PyObject *
recorder_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords))
{
    Recorder *recorder = (Recorder *)type->tp_alloc(type, 0);
    if (recorder != NULL) {
        recorder->lifetime = (PyTypeObject *)Py_NewRef((PyObject *)SpanLifetime_Type);
        recorder->min_duration = 1000000;
        recorder->slow = 100000000;
        recorder->notable = LONG_NANOSECONDS;
        recorder->sites = recorder->sends = recorder->messages = true;
    }
    return (PyObject *)recorder;
}

static void
recorder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF((PyObject *)((Recorder *)self)->lifetime);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A number of nanoseconds; what does not fit is for ever. */
static int
as_nanoseconds(PyObject *value, int64_t *nanoseconds)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    *nanoseconds = overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN : number;
    return 0;
}

static PyObject *
get_nanoseconds(PyObject *self, void *offset)
{
    return PyLong_FromLongLong(*(int64_t *)((char *)self + (size_t)offset));
}

static int
set_nanoseconds(PyObject *self, PyObject *value, void *offset)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "it cannot be deleted");
        return -1;
    }
    return as_nanoseconds(value, (int64_t *)((char *)self + (size_t)offset));
}

static PyObject *
get_lifetime(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)((Recorder *)self)->lifetime);
}

static int
set_lifetime(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyType_Check(value) ||
        !PyType_IsSubtype((PyTypeObject *)value, SpanLifetime_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected SpanLifetime or a class derived from it");
        return -1;
    }
    Recorder *recorder = (Recorder *)self;
    Py_SETREF(recorder->lifetime, (PyTypeObject *)Py_NewRef(value));
    return 0;
}

static PyObject *
find_slow(PyObject *self, PyObject *slow)
{
    Recorder *recorder = (Recorder *)self;
    if (as_nanoseconds(slow, &recorder->slow) < 0) {
        return NULL;
    }
    bool is_short = recorder->slow < LONG_NANOSECONDS;
    recorder->notable = is_short ? recorder->slow : LONG_NANOSECONDS;
    Py_RETURN_NONE;
}

static PyMethodDef recorder_methods[] = {
    {"find_slow", find_slow, METH_O,
     "Say from how many nanoseconds on a callback or step blocks its loop."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef recorder_members[] = {
    {"on", T_BOOL, offsetof(Recorder, on), 0, NULL},
    {"sites", T_BOOL, offsetof(Recorder, sites), 0, NULL},
    {"sends", T_BOOL, offsetof(Recorder, sends), 0, NULL},
    {"messages", T_BOOL, offsetof(Recorder, messages), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef recorder_getset[] = {
    {"lifetime", get_lifetime, set_lifetime, "What is made for what may become a span.", NULL},
    {"min_duration", get_nanoseconds, set_nanoseconds,
     "Nanoseconds that make a lifetime worth a span.", (void *)offsetof(Recorder, min_duration)},
    {"slow", get_nanoseconds, set_nanoseconds, NULL, (void *)offsetof(Recorder, slow)},
    {"notable", get_nanoseconds, set_nanoseconds,
     "Nanoseconds beyond which there is more to do at the end of a step.",
     (void *)offsetof(Recorder, notable)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot recorder_slots[] = {
    {Py_tp_doc, "Whether the agent records, and how."},
    {Py_tp_new, recorder_new},
    {Py_tp_dealloc, recorder_dealloc},
    {Py_tp_methods, recorder_methods},
    {Py_tp_members, recorder_members},
    {Py_tp_getset, recorder_getset},
    {0, NULL},
};

static PyType_Spec recorder_spec = {
    .name = "whence._engine.Recorder",
    .basicsize = sizeof(Recorder),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = recorder_slots,
};

/* Its fields by name, as a class with slots in Python has them. */
static int
name_fields(PyTypeObject *type)
{
    PyObject *names = Py_BuildValue("(ssssssss)", "lifetime", "messages", "min_duration", "notable",
                                    "on", "sends", "sites", "slow");
    int failed = names == NULL || PyObject_SetAttrString((PyObject *)type, "__slots__", names) < 0;
    Py_XDECREF(names);
    return failed ? -1 : 0;
}

int
recorder_settings_add(PyObject *module)
{
    if (add_type(module, &recorder_spec, NULL, &Recorder_Type) < 0 ||
        name_fields(Recorder_Type) < 0) {
        return -1;
    }
    engine.recorder = (Recorder *)PyObject_CallNoArgs((PyObject *)Recorder_Type);
    if (engine.recorder == NULL) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "recorder", (PyObject *)engine.recorder);
}
