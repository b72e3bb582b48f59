/* The bracket of a protocol's callback, which runs as the transport of its protocol.

   Twin of agent/engine/protocols.py, and of the table in connected.py: address of a protocol ->
   its connection.  A protocol that is not in it is called straight through, and so is one that is
   executing already. */

#include "instances.h" /* first: what it includes has other needs */

#include "structmember.h"

/* What a protocol's callbacks run as; the instrumentation derives from it. */
typedef struct {
    PyObject_HEAD
    Lifetime *lifetime;  /* or NULL */
    PyObject *transport; /* gives the transport when it is called; or NULL */
} Connected;

static PyTypeObject *Connected_Type;
static PyObject *connected; /* a dict, or NULL before Python has made it */
static PyObject *string_transport;

/* ---- the table ---- */

#define REMEMBERED_BITS 10

/* What was found for a protocol, and is in the table while that has this version.  Asked for every time
   data arrives: the look-up itself makes an integer of an address. */
typedef struct {
    const PyObject *protocol; /* compared, never read */
    PyObject *found;          /* borrowed, or NULL */
    uint64_t version;
} Remembered;

static Remembered remembered[1 << REMEMBERED_BITS];

static inline Remembered *
place_of(const PyObject *protocol)
{
    /* By the golden ratio: addresses of objects of one class are multiples of much the same. */
    uint64_t spread = (uint64_t)(uintptr_t)protocol * UINT64_C(0x9E3779B97F4A7C15);
    return &remembered[spread >> (64 - REMEMBERED_BITS)];
}

/* False without memory. */
static bool
look_up(Remembered *place, const PyObject *protocol, uint64_t version)
{
    PyObject *address = PyLong_FromVoidPtr((void *)protocol);
    if (address == NULL) {
        PyErr_Clear();
        return false;
    }
    *place = (Remembered){protocol, PyDict_GetItemWithError(connected, address), version};
    Py_DECREF(address);
    return true;
}

/* What is in the table for this protocol: borrowed, or NULL with no exception set. */
static PyObject *
found_for(const PyObject *protocol)
{
    if (connected == NULL || PyDict_GET_SIZE(connected) == 0) {
        return NULL;
    }
    uint64_t version = dictionary_version(connected);
    Remembered *place = place_of(protocol);
    if (UNLIKELY(place->protocol != protocol || place->version != version)
        && !look_up(place, protocol, version)) {
        return NULL;
    }
    return place->found;
}

/* The connection of this protocol: a new reference, or NULL with no exception set. */
static Connected *
connection_of(PyObject *protocol)
{
    PyObject *found = found_for(protocol);
    if (found == NULL || !PyObject_TypeCheck(found, Connected_Type)) {
        return NULL;
    }
    return (Connected *)Py_NewRef(found);
}

/* Whether a method of this name may end a transport. */
static bool
may_end(PyObject *name)
{
    return PyUnicode_CompareWithASCIIString(name, "abort") == 0
           || PyUnicode_CompareWithASCIIString(name, "close") == 0;
}

bool
is_of_connection(PyObject *callback)
{
    if (!PyMethod_Check(callback)) {
        return false;
    }
    if (found_for(PyMethod_GET_SELF(callback)) != NULL) {
        return true;
    }
    PyObject *function = PyMethod_GET_FUNCTION(callback);
    if (PyFunction_Check(function) && !may_end(((PyFunctionObject *)function)->func_name)) {
        return false;
    }
    PyObject *ask = python_function("is_of_connection");
    PyObject *answer = ask == NULL ? NULL : PyObject_CallOneArg(ask, callback);
    bool is_one = answer == Py_True;
    Py_XDECREF(answer);
    PyErr_Clear();
    return is_one;
}

/* The transport, while it is there: a new reference, or NULL. */
static PyObject *
transport_of(Connected *connection)
{
    PyObject *transport = connection->transport;
    if (LIKELY(transport != NULL && PyWeakref_CheckRefExact(transport))) {
        return weak_referent(transport);
    }
    transport = PyObject_CallMethodNoArgs((PyObject *)connection, string_transport);
    if (transport == NULL) {
        PyErr_Clear();
    }
    return transport;
}

/* ---- the bracket ---- */

static PyObject *
call_as(Connected *connection, ThreadState *state, PyObject *method, PyObject *const *args,
        size_t nargsf, PyObject *kwnames)
{
    /* A fork inside of it gives the thread another state. */
    Py_INCREF((PyObject *)state);
    Lifetime *lifetime = (Lifetime *)Py_NewRef((PyObject *)connection->lifetime);
    Lifetime *previous = (Lifetime *)Py_NewRef((PyObject *)state->current);
    PyObject *transport = transport_of(connection);
    const void *floor = floor_enter(state);
    event_enter(state, lifetime, transport);
    Py_XDECREF(transport);
    PyObject *result = method_call_original(method, args, nargsf, kwnames);
    event_leave(state, lifetime, previous);
    floor_leave(state, floor);
    Py_DECREF((PyObject *)previous);
    Py_DECREF((PyObject *)lifetime);
    Py_DECREF((PyObject *)state);
    return result;
}

static PyObject *
call_callback(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Connected *connection = PyVectorcall_NARGS(nargsf) == 0 ? NULL : connection_of(args[0]);
    if (connection == NULL) {
        return method_call_original(method, args, nargsf, kwnames);
    }
    ThreadState *state = thread_state();
    PyObject *result;
    if (state == NULL || connection->lifetime == NULL || connection->lifetime == state->current) {
        result = method_call_original(method, args, nargsf, kwnames);
    }
    else {
        result = call_as(connection, state, method, args, nargsf, kwnames);
    }
    Py_DECREF((PyObject *)connection);
    return result;
}

/* ---- the type ---- */

static PyObject *
get_lifetime(PyObject *self, void *Py_UNUSED(closure))
{
    Lifetime *lifetime = ((Connected *)self)->lifetime;
    if (lifetime == NULL) {
        PyErr_SetString(PyExc_AttributeError, "lifetime");
    }
    return Py_XNewRef((PyObject *)lifetime);
}

static int
set_lifetime(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyObject_TypeCheck(value, Lifetime_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Lifetime");
        return -1;
    }
    Py_XSETREF(((Connected *)self)->lifetime, (Lifetime *)Py_NewRef(value));
    return 0;
}

static int
connected_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Connected *)self)->lifetime);
    Py_VISIT(((Connected *)self)->transport);
    return 0;
}

static int
connected_clear(PyObject *self)
{
    Py_CLEAR(((Connected *)self)->lifetime);
    Py_CLEAR(((Connected *)self)->transport);
    return 0;
}

static void
connected_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    connected_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"transport", T_OBJECT_EX, offsetof(Connected, transport), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef fields[] = {
    {"lifetime", get_lifetime, set_lifetime, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "What a protocol's callbacks run as."},
    {Py_tp_traverse, connected_traverse},
    {Py_tp_clear, connected_clear},
    {Py_tp_dealloc, connected_dealloc},
    {Py_tp_members, members},
    {Py_tp_getset, fields},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "whence._engine.Connected",
    .basicsize = sizeof(Connected),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

/* ---- as Python has them ---- */

static PyObject *
as_transport(PyObject *Py_UNUSED(module), PyObject *callback)
{
    return method_new(call_callback, callback);
}

static PyObject *
use_connected(PyObject *Py_UNUSED(module), PyObject *table)
{
    if (!PyDict_CheckExact(table)) {
        PyErr_Format(PyExc_TypeError, "expected a dict, not %R", table);
        return NULL;
    }
    Py_XSETREF(connected, Py_NewRef(table));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"as_transport", as_transport, METH_O,
     "What to put into the protocol's class in place of this callback."},
    {"use_connected", use_connected, METH_O, "Look connections up in this dict."},
    {NULL, NULL, 0, NULL},
};

int
protocols_add(PyObject *module)
{
    string_transport = PyUnicode_InternFromString("transport");
    if (string_transport == NULL || add_type(module, &spec, NULL, &Connected_Type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
