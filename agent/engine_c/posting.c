/* Sends a request on a connected socket and takes the head of the answer, all without the GIL.

   - Each call of the system that may wait gives up the GIL, and a busy loop has it back for 5 ms
     before it gives it up in turn; here that happens once for a request.
   - A run of spans is written and sent piece by piece: the system copies each while it is in the
     processor's cache, and the receiver reads one while the next is written.

   Not on Windows, where a socket is no file descriptor. */

#include "encoder.h"

#ifndef MS_WINDOWS

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define MOST_PARTS 8
#define MOST_OF_ANSWER 4096
#define MOST_SECONDS 1e6

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#else
#define SEND_FLAGS MSG_DONTWAIT
#endif

#ifdef MSG_MORE
#define MORE_FOLLOWS MSG_MORE
#else
#define MORE_FOLLOWS 0
#endif

/* A request: views of its parts, but of those that are runs. */
typedef struct {
    Py_buffer views[MOST_PARTS];
    Run *runs[MOST_PARTS]; /* owned; NULL of what has a view */
    int number;
} Request;

/* What is to be sent next: bytes that lie in several places. */
typedef struct {
    int fd;
    int64_t deadline;
    struct iovec rest[MOST_PARTS]; /* of a run its present piece */
    int number;
} Outgoing;

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
    Run **run = &request->runs[request->number];
    *run = NULL;
    if (Py_IS_TYPE(part, Run_Type)) {
        if (!run_prepare((Run *)part)) {
            return -1;
        }
        *run = (Run *)Py_NewRef(part);
        (*run)->packer->busy = true;
    }
    else if (PyObject_GetBuffer(part, &request->views[request->number], PyBUF_SIMPLE) < 0) {
        return -1;
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

/* Send what is to be sent; an error number, or 0. */
static int
send_out(Outgoing *out, int flags)
{
    struct iovec *rest = out->rest;
    int number = go_on(&rest, out->number, 0);
    out->number = 0;
    while (number > 0) {
        struct msghdr message = {.msg_iov = rest, .msg_iovlen = number};
        ssize_t sent = sendmsg(out->fd, &message, SEND_FLAGS | flags);
        if (sent >= 0) {
            number = go_on(&rest, number, (size_t)sent);
            continue;
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return errno;
        }
        int failed = errno == EINTR ? 0 : wait_for(out->fd, POLLOUT, out->deadline);
        if (failed) {
            return failed;
        }
    }
    return 0;
}

/* Write a run and send it, but for its last piece, which goes with what follows; an error number,
   or 0. */
static int
send_run(Outgoing *out, const Run *run)
{
    for (size_t record = 0; record < run->packer->number;) {
        if (record > 0) {
            /* The next piece lies where this one does. */
            int failed = send_out(out, MORE_FOLLOWS);
            if (failed) {
                return failed;
            }
        }
        size_t size;
        record = run_write_piece(run, record, &size);
        out->rest[out->number++] = (struct iovec){run->packer->piece, size};
    }
    return 0;
}

/* What has come of the answer. */
typedef struct {
    char bytes[MOST_OF_ANSWER];
    size_t size;
} Answer;

static bool
has_head(const Answer *answer)
{
    for (size_t end = 4; end <= answer->size; end++) {
        if (memcmp(answer->bytes + end - 4, "\r\n\r\n", 4) == 0) {
            return true;
        }
    }
    return false;
}

/* Whoever answers otherwise may wait for us to go on, and has to be told apart from who is slow. */
static bool
is_foreign(const Answer *answer)
{
    static const char begin[] = "HTTP/";
    size_t known = answer->size < strlen(begin) ? answer->size : strlen(begin);
    return memcmp(answer->bytes, begin, known) != 0;
}

/* Take what comes until the head is there, there is no more or no more room, or it is no HTTP; an
   error number, or 0.  Most have no body, or have it sent together with the head. */
static int
take_answer(int fd, Answer *answer, int64_t deadline)
{
    while (answer->size < MOST_OF_ANSWER && !has_head(answer) && !is_foreign(answer)) {
        int failed = wait_for(fd, POLLIN, deadline);
        if (failed) {
            return failed;
        }
        ssize_t came = recv(fd, answer->bytes + answer->size, MOST_OF_ANSWER - answer->size,
                            MSG_DONTWAIT);
        if (came == 0) {
            return 0; /* an end that is the reader's to see */
        }
        if (came > 0) {
            answer->size += (size_t)came;
        }
        else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

/* Send all, and take the answer; an error number, or 0. */
static int
exchange(int fd, Request *request, Answer *answer, int64_t deadline)
{
    if (fd < 0) {
        return EBADF; /* poll would wait for it */
    }
    Outgoing out = {.fd = fd, .deadline = deadline};
    for (int nth = 0; nth < request->number; nth++) {
        if (request->runs[nth] == NULL) {
            const Py_buffer *view = &request->views[nth];
            out.rest[out.number++] = (struct iovec){view->buf, (size_t)view->len};
            continue;
        }
        int failed = send_run(&out, request->runs[nth]);
        if (failed) {
            return failed;
        }
    }
    int failed = send_out(&out, 0);
    return failed ? failed : take_answer(fd, answer, deadline);
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
    Answer answer;
    answer.size = 0;
    int64_t deadline = now() + (seconds > 0 ? (int64_t)(Py_MIN(seconds, MOST_SECONDS) * 1e9) : 0);
    Py_BEGIN_ALLOW_THREADS
    failed = exchange(fd, &request, &answer, deadline);
    Py_END_ALLOW_THREADS
    request_release(&request);
    if (failed) {
        errno = failed;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyBytes_FromStringAndSize(answer.bytes, (Py_ssize_t)answer.size);
}

static PyMethodDef functions[] = {
    {"post", post, METH_VARARGS,
     "Send the parts of a request on a socket, and give what has come of the answer once its head\n"
     "is there.  Raises OSError."},
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
