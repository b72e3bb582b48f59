/* What the selector of a loop says: it is asked, and the handles of what can be read or written are
   put into the loop's queue.

   This is `EpollSelector.select` and the `_process_events` of asyncio's selector loops, without
   their frames and the list between them.  What waits is epoll's own `poll`. */

#include "instances.h" /* first: what it includes has other needs */

#include "loops.h"

static PyTypeObject *selector_type; /* EpollSelector; NULL where there is none */
static PyTypeObject *epoll_type;
static PyObject *stock_select, *stock_key_from_fd; /* the latter NULL in Pythons without it */
static PyTypeObject *key_type;
static unsigned int selector_version;

static struct {
    PyObject *select, *key_from_fd, *selector, *fd_to_key, *poll;
    PyObject *remove_reader, *remove_writer, *process_events;
} names;

/* What a SelectorKey consists of; a descriptor stands second. */
enum { FILEOBJ, EVENTS = 2, DATA, KEY_SIZE };

/* Of the module `selectors`, and of epoll: both from Linux. */
enum { EVENT_READ = 1, EVENT_WRITE = 2 };
enum { EPOLL_IN = 1, EPOLL_OUT = 4 };

/* ---- whether it is asyncio's usual one ---- */

/* Whether the class has it, and it is `expected`; NULL is nothing. */
static bool
selector_has(PyObject *name, PyObject *expected)
{
    PyObject *found = PyObject_GetAttr((PyObject *)selector_type, name);
    if (found == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(found);
    return found == expected;
}

static bool
look_at_selectors(void)
{
    if (!selector_has(names.select, stock_select)
        || !selector_has(names.key_from_fd, stock_key_from_fd)) {
        return false;
    }
    selector_version = selector_type->tp_version_tag;
    return true;
}

/* Whether what it asks, and what it keeps, is what its constructor makes. */
static inline bool
is_initialized(PyObject *selector)
{
    static Py_ssize_t place_of_epoll, place_of_keys;
    PyObject *epoll = instance_field(selector, names.selector, &place_of_epoll);
    PyObject *keys = instance_field(selector, names.fd_to_key, &place_of_keys);
    return LIKELY(epoll != NULL && Py_IS_TYPE(epoll, epoll_type) && keys != NULL
                  && PyDict_CheckExact(keys));
}

bool
selector_is_stock(PyObject *selector)
{
    static Py_ssize_t place;
    if (UNLIKELY(selector == NULL || !Py_IS_TYPE(selector, selector_type))) {
        return false;
    }
    if (UNLIKELY(selector_version == 0 || selector_type->tp_version_tag != selector_version)
        && !look_at_selectors()) {
        return false;
    }
    return instance_field(selector, names.select, &place) == NULL && is_initialized(selector);
}

/* ---- asking it ---- */

PyObject *
selector_poll(PyObject *selector, PyObject *timeout)
{
    static Py_ssize_t place_of_epoll, place_of_keys;
    PyObject *epoll = instance_field(selector, names.selector, &place_of_epoll);
    PyObject *keys = instance_field(selector, names.fd_to_key, &place_of_keys);
    if (UNLIKELY(epoll == NULL || keys == NULL)) {
        PyErr_SetString(PyExc_AttributeError, "_selector");
        return NULL;
    }
    Py_ssize_t registered = PyDict_CheckExact(keys) ? PyDict_GET_SIZE(keys) : 0;
    PyObject *most = PyLong_FromSsize_t(registered > 0 ? registered : 1);
    if (UNLIKELY(most == NULL)) {
        return NULL;
    }
    Py_INCREF(epoll);
    PyObject *args[] = {epoll, timeout, most};
    PyObject *events = PyObject_VectorcallMethod(names.poll, args, Py_ARRAY_LENGTH(args), NULL);
    Py_DECREF(epoll);
    Py_DECREF(most);
    if (UNLIKELY(events == NULL) && PyErr_ExceptionMatches(PyExc_InterruptedError)) {
        PyErr_Clear();
        events = PyList_New(0);
    }
    return events;
}

/* ---- queueing the handles ---- */

/* What of these events the key is for, as `select` says it: a new reference. */
static PyObject *
asked_for(PyObject *key, long events)
{
    PyObject *wanted = PyObject_GetAttrString(key, "events");
    PyObject *all = wanted == NULL ? NULL : PyLong_FromLong(events);
    PyObject *mask = all == NULL ? NULL : PyNumber_And(all, wanted);
    Py_XDECREF(all);
    Py_XDECREF(wanted);
    return mask;
}

/* Leave one to asyncio: of a descriptor that not the loop has registered. */
static int
leave_to_loop(PyObject *loop, PyObject *key, long events)
{
    int is_one = PyObject_IsTrue(key);
    if (is_one <= 0) {
        return is_one;
    }
    PyObject *mask = asked_for(key, events);
    PyObject *ready = mask == NULL ? NULL : Py_BuildValue("[(ON)]", key, mask);
    PyObject *done = ready == NULL
        ? NULL
        : PyObject_CallMethodOneArg(loop, names.process_events, ready);
    Py_XDECREF(ready);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* What is to be done with a reader or writer whose descriptor is ready. */
static int
queue_ready(PyObject *loop, PyObject *fileobj, PyObject *handle, PyObject *remove)
{
    if (handle == Py_None) {
        return 0;
    }
    int cancelled = handle_is_cancelled(handle);
    if (UNLIKELY(cancelled < 0)) {
        return -1;
    }
    if (UNLIKELY(cancelled)) {
        PyObject *removed = PyObject_CallMethodOneArg(loop, remove, fileobj);
        Py_XDECREF(removed);
        return removed == NULL ? -1 : 0;
    }
    PyObject *queue = loop_queue(loop);
    if (UNLIKELY(queue == NULL)) {
        PyErr_SetString(PyExc_AttributeError, "_ready");
        return -1;
    }
    return queue_append(queue, handle);
}

static int
queue_key(PyObject *loop, PyObject *key, long polled)
{
    long events = (polled & ~EPOLL_IN ? EVENT_WRITE : 0) | (polled & ~EPOLL_OUT ? EVENT_READ : 0);
    if (UNLIKELY(!Py_IS_TYPE(key, key_type) || PyTuple_GET_SIZE(key) != KEY_SIZE)) {
        return leave_to_loop(loop, key, events);
    }
    long wanted = PyLong_AsLong(PyTuple_GET_ITEM(key, EVENTS));
    if (UNLIKELY(wanted == -1 && PyErr_Occurred())) {
        return -1;
    }
    PyObject *data = PyTuple_GET_ITEM(key, DATA);
    if (UNLIKELY(!PyTuple_CheckExact(data) || PyTuple_GET_SIZE(data) != 2)) {
        return leave_to_loop(loop, key, events);
    }
    PyObject *fileobj = PyTuple_GET_ITEM(key, FILEOBJ);
    if (events & wanted & EVENT_READ
        && queue_ready(loop, fileobj, PyTuple_GET_ITEM(data, 0), names.remove_reader) < 0) {
        return -1;
    }
    if (events & wanted & EVENT_WRITE
        && queue_ready(loop, fileobj, PyTuple_GET_ITEM(data, 1), names.remove_writer) < 0) {
        return -1;
    }
    return 0;
}

/* `event` is a descriptor and what epoll says of it. */
static int
queue_event(PyObject *loop, PyObject *keys, PyObject *event)
{
    if (UNLIKELY(!PyTuple_CheckExact(event) || PyTuple_GET_SIZE(event) != 2)) {
        PyErr_Format(PyExc_TypeError, "expected a descriptor and its events, not %R", event);
        return -1;
    }
    long polled = PyLong_AsLong(PyTuple_GET_ITEM(event, 1));
    if (UNLIKELY(polled == -1 && PyErr_Occurred())) {
        return -1;
    }
    PyObject *key = PyDict_GetItemWithError(keys, PyTuple_GET_ITEM(event, 0));
    if (UNLIKELY(key == NULL)) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_INCREF(key);
    int done = queue_key(loop, key, polled);
    Py_DECREF(key);
    return done;
}

int
selector_queue(PyObject *loop, PyObject *selector, PyObject *events)
{
    static Py_ssize_t place;
    PyObject *keys = instance_field(selector, names.fd_to_key, &place);
    if (UNLIKELY(keys == NULL || !PyDict_CheckExact(keys) || !PyList_CheckExact(events))) {
        /* A handler of signals has replaced what it was asked with. */
        return 0;
    }
    Py_INCREF(keys);
    int done = 0;
    for (Py_ssize_t nth = 0; done == 0 && nth < PyList_GET_SIZE(events); nth++) {
        done = queue_event(loop, keys, PyList_GET_ITEM(events, nth));
    }
    Py_DECREF(keys);
    return done;
}

/* ---- what Python has ---- */

static int
intern_names(void)
{
    const WantedName wanted[] = {
        {&names.select, "select"},
        {&names.key_from_fd, "_key_from_fd"},
        {&names.selector, "_selector"},
        {&names.fd_to_key, "_fd_to_key"},
        {&names.poll, "poll"},
        {&names.remove_reader, "_remove_reader"},
        {&names.remove_writer, "_remove_writer"},
        {&names.process_events, "_process_events"},
    };
    return names_intern(wanted, Py_ARRAY_LENGTH(wanted));
}

int
polling_know(PyTypeObject *selector, PyTypeObject *key)
{
    if (intern_names() < 0) {
        return -1;
    }
    stock_select = PyObject_GetAttr((PyObject *)selector, names.select);
    if (stock_select == NULL) {
        return -1;
    }
    stock_key_from_fd = PyObject_GetAttr((PyObject *)selector, names.key_from_fd);
    if (stock_key_from_fd == NULL) {
        PyErr_Clear();
    }
    PyObject *epoll = PyObject_GetAttrString((PyObject *)selector, "_selector_cls");
    if (epoll == NULL || !PyType_Check(epoll)) {
        PyErr_SetString(PyExc_TypeError, "expected the class of what a selector asks");
        Py_XDECREF(epoll);
        return -1;
    }
    epoll_type = (PyTypeObject *)epoll;
    key_type = (PyTypeObject *)Py_NewRef(key);
    selector_type = (PyTypeObject *)Py_NewRef(selector);
    return 0;
}
