/* Sends a request on a connected socket and waits for the answer to begin, all without the GIL.

   Each call of the system that may wait gives up the GIL, and a busy loop has it back for 5 ms
   before it gives it up in turn; here that happens once for a request.  Not on Windows, where a
   socket is no file descriptor. */

#include "encoder.h"

#ifndef MS_WINDOWS

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define MOST_PARTS 8
#define MOST_SECONDS 1e6

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#else
#define SEND_FLAGS MSG_DONTWAIT
#endif

/* A request: views of its parts, and where they lie. */
typedef struct {
    Py_buffer views[MOST_PARTS];
    Run *runs[MOST_PARTS]; /* those parts that are runs, owned; else NULL */
    struct iovec rest[MOST_PARTS];
    int number;
} Request;

static void
request_release(Request *request)
{
    for (int nth = 0; nth < request->number; nth++) {
        if (request->runs[nth] != NULL) {
            request->runs[nth]->packer->busy = false;
            Py_DECREF((PyObject *)request->runs[nth]);
        }
        else {
            PyBuffer_Release(&request->views[nth]);
        }
    }
}

/* Take one more part; -1 with an exception set. */
static int
request_add(Request *request, PyObject *part)
{
    struct iovec *rest = &request->rest[request->number];
    Run **run = &request->runs[request->number];
    *run = NULL;
    if (Py_IS_TYPE(part, Run_Type)) {
        if (!run_can_be_written((Run *)part)) {
            return -1;
        }
        *run = (Run *)Py_NewRef(part);
        (*run)->packer->busy = true;
        *rest = (struct iovec){run_bytes(*run), (*run)->size};
    }
    else {
        Py_buffer *view = &request->views[request->number];
        if (PyObject_GetBuffer(part, view, PyBUF_SIMPLE) < 0) {
            return -1;
        }
        *rest = (struct iovec){view->buf, (size_t)view->len};
    }
    request->number++;
    return 0;
}

static int64_t
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Wait until the socket is ready; an error number, or 0. */
static int
wait_for(int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - now();
        if (left <= 0) {
            return ETIMEDOUT;
        }
        struct pollfd polled = {.fd = fd, .events = events};
        int64_t milliseconds = Py_MIN(left / 1000000 + 1, 1000000);
        int ready = poll(&polled, 1, (int)milliseconds);
        if (ready > 0) {
            /* An error is told by the next call that uses the socket. */
            return polled.revents & POLLNVAL ? EBADF : 0;
        }
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
    }
}

/* Go on behind what was sent; the parts that are left. */
static int
go_on(struct iovec **rest, int number, size_t sent)
{
    while (number > 0 && sent >= (*rest)->iov_len) {
        sent -= (*rest)->iov_len;
        (*rest)++;
        number--;
    }
    if (number > 0) {
        (*rest)->iov_base = (char *)(*rest)->iov_base + sent;
        (*rest)->iov_len -= sent;
    }
    return number;
}

/* Write what is not written, send all, and wait for the answer; an error number, or 0. */
static int
exchange(int fd, Request *request, int64_t deadline)
{
    if (fd < 0) {
        return EBADF; /* poll would wait for it */
    }
    for (int nth = 0; nth < request->number; nth++) {
        if (request->runs[nth] != NULL) {
            run_write(request->runs[nth]);
        }
    }
    struct iovec *rest = request->rest;
    int number = go_on(&rest, request->number, 0);
    while (number > 0) {
        struct msghdr message = {.msg_iov = rest, .msg_iovlen = number};
        ssize_t sent = sendmsg(fd, &message, SEND_FLAGS);
        if (sent >= 0) {
            number = go_on(&rest, number, (size_t)sent);
            continue;
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return errno;
        }
        int failed = errno == EINTR ? 0 : wait_for(fd, POLLOUT, deadline);
        if (failed) {
            return failed;
        }
    }
    return wait_for(fd, POLLIN, deadline);
}

/* post(fd, parts, seconds) */
static PyObject *
post(PyObject *Py_UNUSED(module), PyObject *args)
{
    int fd;
    PyObject *parts;
    double seconds;
    if (!PyArg_ParseTuple(args, "iO!d:post", &fd, &PyList_Type, &parts, &seconds)) {
        return NULL;
    }
    if (PyList_GET_SIZE(parts) > MOST_PARTS) {
        PyErr_Format(PyExc_ValueError, "expected %d parts at the most", MOST_PARTS);
        return NULL;
    }
    Request request;
    request.number = 0;
    for (Py_ssize_t nth = 0; nth < PyList_GET_SIZE(parts); nth++) {
        if (request_add(&request, PyList_GET_ITEM(parts, nth)) < 0) {
            request_release(&request);
            return NULL;
        }
    }
    int failed;
    int64_t deadline = now() + (seconds > 0 ? (int64_t)(Py_MIN(seconds, MOST_SECONDS) * 1e9) : 0);
    Py_BEGIN_ALLOW_THREADS
    failed = exchange(fd, &request, deadline);
    Py_END_ALLOW_THREADS
    request_release(&request);
    if (failed) {
        errno = failed;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"post", post, METH_VARARGS,
     "Send the parts of a request on a socket, and wait for the answer to begin.  Raises OSError."},
    {NULL, NULL, 0, NULL},
};

#endif

int
posting_add(PyObject *module)
{
#ifdef MS_WINDOWS
    return PyModule_AddObjectRef(module, "post", Py_None);
#else
    return PyModule_AddFunctions(module, functions);
#endif
}
