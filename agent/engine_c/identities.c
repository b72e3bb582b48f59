/* The identity of a trace: what all its spans have in common on the wire.

   Twin of TraceIdentity in agent/engine/places.py. */

#include "engine.h"
#include "structmember.h"
#include <time.h>

PyTypeObject *TraceIdentity_Type;

static PyObject *time_ns, *monotonic_ns;

/* The trace id as it is sent; false if it is none, and then nothing is sent of the trace. */
static bool
id_to_bytes(PyObject *number, uint8_t bytes[16])
{
    PyObject *shift = PyLong_FromLong(64);
    PyObject *upper = shift == NULL ? NULL : PyNumber_Rshift(number, shift);
    Py_XDECREF(shift);
    uint64_t high = upper == NULL ? 0 : PyLong_AsUnsignedLongLong(upper);
    Py_XDECREF(upper);
    uint64_t low = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLongMask(number);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    for (int nth = 0; nth < 8; nth++) {
        bytes[nth] = (uint8_t)(high >> (56 - 8 * nth));
        bytes[8 + nth] = (uint8_t)(low >> (56 - 8 * nth));
    }
    return true;
}

/* Wall clock minus monotonic clock, both as the module `time` has them. */
static int
read_epoch(long long *epoch)
{
#ifdef __linux__
    struct timespec wall, monotonic;
    if (clock_gettime(CLOCK_REALTIME, &wall) == 0 &&
        clock_gettime(CLOCK_MONOTONIC, &monotonic) == 0) {
        *epoch = ((long long)wall.tv_sec - monotonic.tv_sec) * 1000000000 +
                 (wall.tv_nsec - monotonic.tv_nsec);
        return 0;
    }
#endif
    PyObject *time = PyObject_CallNoArgs(time_ns);
    PyObject *passed = time == NULL ? NULL : PyObject_CallNoArgs(monotonic_ns);
    if (passed != NULL) {
        *epoch = PyLong_AsLongLong(time) - PyLong_AsLongLong(passed);
    }
    Py_XDECREF(time);
    Py_XDECREF(passed);
    return PyErr_Occurred() ? -1 : 0;
}

TraceIdentity *
identity_new(const uint8_t trace_id[16], PyObject *flags)
{
    TraceIdentity *identity = (TraceIdentity *)TraceIdentity_Type->tp_alloc(TraceIdentity_Type, 0);
    if (identity == NULL) {
        return NULL;
    }
    memcpy(identity->trace_id, trace_id, sizeof(identity->trace_id));
    identity->is_id = identity->sampled = true;
    identity->flags = Py_NewRef(flags);
    if (read_epoch(&identity->epoch) < 0) {
        Py_CLEAR(identity);
    }
    return identity;
}

static PyObject *
identity_construct(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"trace_id", "flags", "state", "sampled", NULL};
    PyObject *trace_id, *flags, *state;
    int sampled;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO$p", names, &trace_id, &flags, &state,
                                     &sampled)) {
        return NULL;
    }
    TraceIdentity *identity = (TraceIdentity *)type->tp_alloc(type, 0);
    if (identity == NULL) {
        return NULL;
    }
    identity->number = Py_NewRef(trace_id);
    identity->is_id = PyLong_Check(trace_id) && id_to_bytes(trace_id, identity->trace_id);
    identity->sampled = sampled;
    identity->flags = Py_NewRef(flags);
    identity->state = Py_NewRef(state);
    if (read_epoch(&identity->epoch) < 0) {
        Py_CLEAR(identity);
    }
    return (PyObject *)identity;
}

static void
identity_dealloc(PyObject *self)
{
    TraceIdentity *identity = (TraceIdentity *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(identity->number);
    Py_CLEAR(identity->flags);
    Py_CLEAR(identity->state);
    Py_CLEAR(identity->remote_parent);
    Py_CLEAR(identity->attributes);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Of what was made of bytes, a number is made when somebody asks for it. */
static PyObject *
identity_get_trace_id(PyObject *self, void *Py_UNUSED(closure))
{
    TraceIdentity *identity = (TraceIdentity *)self;
    if (identity->number == NULL) {
        PyObject *number = PyObject_CallMethod((PyObject *)&PyLong_Type, "from_bytes", "y#s",
                                               (const char *)identity->trace_id, (Py_ssize_t)16,
                                               "big");
        if (number == NULL) {
            return NULL;
        }
        Py_XSETREF(identity->number, number);
    }
    return Py_NewRef(identity->number);
}

static PyObject *
identity_get_attributes(PyObject *self, void *Py_UNUSED(closure))
{
    TraceIdentity *identity = (TraceIdentity *)self;
    if (identity->attributes == NULL && (identity->attributes = PyDict_New()) == NULL) {
        return NULL;
    }
    return Py_NewRef(identity->attributes);
}

static int
identity_set_attributes(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(((TraceIdentity *)self)->attributes, Py_XNewRef(value));
    return 0;
}

static PyMemberDef identity_members[] = {
    {"sampled", T_BOOL, offsetof(TraceIdentity, sampled), 0, NULL},
    {"flags", T_OBJECT, offsetof(TraceIdentity, flags), 0, NULL},
    {"state", T_OBJECT, offsetof(TraceIdentity, state), 0, NULL},
    {"remote_parent", T_OBJECT, offsetof(TraceIdentity, remote_parent), 0, NULL},
    {"epoch", T_LONGLONG, offsetof(TraceIdentity, epoch), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef identity_getset[] = {
    {"trace_id", identity_get_trace_id, NULL, NULL, NULL},
    {"attributes", identity_get_attributes, identity_set_attributes, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot identity_slots[] = {
    {Py_tp_doc, "What is the same for all spans of a trace, in the terms of OpenTelemetry."},
    {Py_tp_new, identity_construct},
    {Py_tp_dealloc, identity_dealloc},
    {Py_tp_members, identity_members},
    {Py_tp_getset, identity_getset},
    {0, NULL},
};

static PyType_Spec identity_spec = {
    .name = "whence._engine.TraceIdentity",
    .basicsize = sizeof(TraceIdentity),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = identity_slots,
};

int
identities_add(PyObject *module)
{
    PyObject *time = PyImport_ImportModule("time");
    if (time == NULL) {
        return -1;
    }
    time_ns = PyObject_GetAttrString(time, "time_ns");
    monotonic_ns = PyObject_GetAttrString(time, "monotonic_ns");
    Py_DECREF(time);
    if (time_ns == NULL || monotonic_ns == NULL) {
        return -1;
    }
    return add_type(module, &identity_spec, NULL, &TraceIdentity_Type);
}
