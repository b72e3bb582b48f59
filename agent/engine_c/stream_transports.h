/* asyncio's socket transports, for the two files that read and write in their place.

   regular_transports.c   whether one is as asyncio makes it, and what it keeps in itself
   stream_transports.c    reading and writing */

#ifndef WHENCE_STREAM_TRANSPORTS_H
#define WHENCE_STREAM_TRANSPORTS_H

#include "engine.h"

/* What asyncio receives at once. */
#define RECEIVED_AT_ONCE (256 * 1024)

typedef enum {
    READ_READY_CB,
    CONN_LOST,
    SOCK,
    PROTOCOL,
    BUFFER,
    WRITTEN_EOF,
    EMPTY_WAITER,
    MAX_SIZE, /* of a transport that has its own */
    TRANSPORT_FIELDS
} TransportField;

/* What such a transport keeps, each at `transport_places[field]`; the values are borrowed, and NULL is
   what it does not have.  They are good until code of the program may have run. */
typedef PyObject *const *TransportValues;

extern Py_ssize_t transport_places[TRANSPORT_FIELDS]; /* -1: no transport has it */

static inline PyObject *
transport_value(TransportValues values, TransportField field)
{
    Py_ssize_t place = transport_places[field];
    return place < 0 ? NULL : values[place];
}

/* Its values; NULL if it, its class or the class of sockets is not as asyncio and Python have it. */
TransportValues regular_transport(PyObject *transport);

/* The same, whatever class it is of: a new reference, or NULL with an exception set. */
PyObject *transport_attribute(PyObject *transport, TransportField field);

/* Its socket, if it can be read from and written to by the functions below: borrowed, or NULL. */
PyObject *regular_socket(TransportValues values);

/* Whether it is of asyncio's class, and its loop is as asyncio has it and not in debug mode.  May run code
   of a loop's class: asked before the values. */
bool transport_is_on_plain_loop(PyObject *transport);

/* What has arrived, as `recv` of RECEIVED_AT_ONCE gives it; and what `send` returns.  NULL with an
   exception set. */
PyObject *socket_receive(PyObject *socket);
PyObject *socket_send(PyObject *socket, PyObject *data);

/* Know asyncio's class of transports, and Python's of sockets; -1 with an exception set. */
int regular_transports_know(PyTypeObject *transport, PyTypeObject *socket);

#endif
