/* Whether a socket transport does what asyncio's do: its class, its socket's class, and what it keeps
   in itself.

   Asked for every read and write; so what is known of the two classes is remembered with their
   versions, and what a transport keeps is read from where it stands. */

#include "instances.h" /* first: what it includes has other needs */

#include "loops.h"
#include "stream_transports.h"
#include "structmember.h"

static PyTypeObject *transport_type, *socket_type;
static Py_ssize_t place_of_loop; /* in the object itself: it is a slot */

static const char *const field_names[TRANSPORT_FIELDS] = {
    [READ_READY_CB] = "_read_ready_cb", [CONN_LOST] = "_conn_lost",
    [SOCK] = "_sock",                   [PROTOCOL] = "_protocol",
    [BUFFER] = "_buffer",               [WRITTEN_EOF] = "_eof",
    [EMPTY_WAITER] = "_empty_waiter",   [MAX_SIZE] = "max_size",
};
static PyObject *interned_names[TRANSPORT_FIELDS];
Py_ssize_t transport_places[TRANSPORT_FIELDS];

/* Methods of sockets in C. */
typedef enum { RECV, RECV_INTO, SEND, SOCKET_METHODS } SocketMethod;

static const struct {
    const char *name;
    int flags;
    bool called_by_asyncio; /* it must not be patched */
} socket_methods[SOCKET_METHODS] = {
    [RECV] = {"recv", METH_VARARGS, true},
    [RECV_INTO] = {"recv_into", METH_VARARGS | METH_KEYWORDS, false},
    [SEND] = {"send", METH_VARARGS, true},
};
static PyObject *socket_descriptors[SOCKET_METHODS];

/* ---- the classes ---- */

/* What is known of them, as they were at these versions. */
static struct {
    unsigned int transport_version, socket_version;
    bool regular;
    Py_ssize_t number_of_keys; /* that transports shared when the places were looked up */
} known;

/* Whether the instance, and not a property of the class, has what is looked up under this name. */
static bool
is_kept_in_instance(TransportField field)
{
    PyObject *found = _PyType_Lookup(transport_type, interned_names[field]);
    return found == NULL || Py_TYPE(found)->tp_descr_set == NULL;
}

static bool
transports_are_regular(void)
{
    for (int field = 0; field < TRANSPORT_FIELDS; field++) {
        if (!is_kept_in_instance(field)) {
            return false;
        }
    }
    PyObject *size = _PyType_Lookup(transport_type, interned_names[MAX_SIZE]);
    return transport_type->tp_getattro == PyObject_GenericGetAttr && size != NULL
           && PyLong_CheckExact(size) && PyLong_AsLong(size) == RECEIVED_AT_ONCE;
}

static bool
sockets_are_regular(void)
{
    for (int method = 0; method < SOCKET_METHODS; method++) {
        PyObject *name = PyDescr_NAME(socket_descriptors[method]);
        if (socket_methods[method].called_by_asyncio
            && _PyType_Lookup(socket_type, name) != socket_descriptors[method]) {
            return false;
        }
    }
    return socket_type->tp_getattro == PyObject_GenericGetAttr;
}

static bool
look_at_classes(void)
{
    known.regular = transports_are_regular() && sockets_are_regular();
    known.transport_version = transport_type->tp_version_tag;
    known.socket_version = socket_type->tp_version_tag;
    return known.regular;
}

/* A version is 0 if the class has changed since it was looked up last, and unique else. */
static inline bool
classes_are_regular(void)
{
    if (LIKELY(known.transport_version == transport_type->tp_version_tag
               && known.socket_version == socket_type->tp_version_tag
               && known.transport_version != 0 && known.socket_version != 0)) {
        return known.regular;
    }
    return look_at_classes();
}

/* ---- a transport ---- */

static void
look_up_places(void)
{
    for (int field = 0; field < TRANSPORT_FIELDS; field++) {
        transport_places[field] = place_of_key(transport_type, interned_names[field]);
    }
    known.number_of_keys = shared_keys(transport_type);
}

TransportValues
regular_transport(PyObject *transport)
{
    if (UNLIKELY(!Py_IS_TYPE(transport, transport_type) || !classes_are_regular())) {
        return NULL;
    }
    if (UNLIKELY(known.number_of_keys != shared_keys(transport_type))) {
        look_up_places();
    }
    return instance_values(transport);
}

PyObject *
transport_attribute(PyObject *transport, TransportField field)
{
    TransportValues values = regular_transport(transport);
    PyObject *value = values == NULL ? NULL : transport_value(values, field);
    return LIKELY(value != NULL) ? Py_NewRef(value)
                                 : PyObject_GetAttr(transport, interned_names[field]);
}

PyObject *
regular_socket(TransportValues values)
{
    PyObject *socket = transport_value(values, SOCK);
    return LIKELY(socket != NULL && Py_IS_TYPE(socket, socket_type)) ? socket : NULL;
}

bool
transport_is_on_plain_loop(PyObject *transport)
{
    if (UNLIKELY(!Py_IS_TYPE(transport, transport_type))) {
        return false;
    }
    PyObject *loop = *(PyObject **)((char *)transport + place_of_loop);
    return loop != NULL && loop_is_plain(loop);
}

/* ---- its socket ---- */

static inline PyMethodDef *
socket_method(SocketMethod method)
{
    return ((PyMethodDescrObject *)socket_descriptors[method])->d_method;
}

/* What `recv` allocates, a page table's worth for a few bytes, may go back to the system each time.  So
   this is received into, and what has arrived copied out; by one at a time, as the GIL is not held
   meanwhile and signals are handled: others `recv`. */
static PyObject *received;      /* a bytearray */
static PyObject *into_received; /* the arguments of `recv_into` */
static PyObject *at_once;       /* and those of `recv` */
static bool receiving;

static PyObject *
receive_by_copying(PyObject *socket)
{
    PyCFunctionWithKeywords recv_into =
        (PyCFunctionWithKeywords)(void (*)(void))socket_method(RECV_INTO)->ml_meth;
    receiving = true;
    PyObject *number = recv_into(socket, into_received, NULL);
    receiving = false;
    if (UNLIKELY(number == NULL)) {
        return NULL;
    }
    Py_ssize_t size = PyLong_AsSsize_t(number);
    Py_DECREF(number);
    return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(received), size);
}

PyObject *
socket_receive(PyObject *socket)
{
    return LIKELY(!receiving) ? receive_by_copying(socket)
                              : socket_method(RECV)->ml_meth(socket, at_once);
}

PyObject *
socket_send(PyObject *socket, PyObject *data)
{
    PyObject *args = PyTuple_Pack(1, data);
    PyObject *number = args == NULL ? NULL : socket_method(SEND)->ml_meth(socket, args);
    Py_XDECREF(args);
    return number;
}

/* ---- what asyncio and Python have ---- */

static int
find_socket_methods(void)
{
    for (int method = 0; method < SOCKET_METHODS; method++) {
        const char *name = socket_methods[method].name;
        PyObject *found = PyObject_GetAttrString((PyObject *)socket_type, name);
        if (found == NULL) {
            return -1;
        }
        Py_XSETREF(socket_descriptors[method], found);
        if (!Py_IS_TYPE(found, &PyMethodDescr_Type)
            || socket_method(method)->ml_flags != socket_methods[method].flags) {
            PyErr_Format(PyExc_TypeError, "expected socket.%s to be a method in C, not %R", name,
                         found);
            return -1;
        }
    }
    return 0;
}

static int
find_loop(void)
{
    PyObject *slot = PyObject_GetAttrString((PyObject *)transport_type, "_loop");
    if (slot == NULL) {
        return -1;
    }
    bool is_slot = Py_IS_TYPE(slot, &PyMemberDescr_Type)
                   && ((PyMemberDescrObject *)slot)->d_member->type == T_OBJECT_EX;
    if (is_slot) {
        place_of_loop = ((PyMemberDescrObject *)slot)->d_member->offset;
    }
    else {
        PyErr_Format(PyExc_TypeError, "expected _loop of transports to be a slot, not %R", slot);
    }
    Py_DECREF(slot);
    return is_slot ? 0 : -1;
}

static int
make_room(void)
{
    received = PyByteArray_FromStringAndSize(NULL, RECEIVED_AT_ONCE);
    into_received = received == NULL ? NULL : PyTuple_Pack(1, received);
    at_once = Py_BuildValue("(i)", RECEIVED_AT_ONCE);
    return into_received == NULL || at_once == NULL ? -1 : 0;
}

int
regular_transports_know(PyTypeObject *transport, PyTypeObject *socket)
{
    transport_type = (PyTypeObject *)Py_NewRef(transport);
    socket_type = (PyTypeObject *)Py_NewRef(socket);
    for (int field = 0; field < TRANSPORT_FIELDS; field++) {
        interned_names[field] = PyUnicode_InternFromString(field_names[field]);
        if (interned_names[field] == NULL) {
            return -1;
        }
    }
    return find_socket_methods() < 0 || find_loop() < 0 || make_room() < 0 ? -1 : 0;
}
