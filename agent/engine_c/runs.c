/* A run of spans as an object: bytes to whoever asks for them, and not written before.

   Whoever sends a run to a socket has it written there piece by piece, without the GIL and with no
   other reason to give that up: having it back from a busy loop takes longer than the writing. */

#include "encoder.h"

#define PIECE (128 << 10) /* bytes: what stays in the cache of one processor */

PyTypeObject *Run_Type;

Run *
run_new(Packer *packer)
{
    Run *run = PyObject_New(Run, Run_Type);
    if (run != NULL) {
        run->packer = (Packer *)Py_NewRef((PyObject *)packer);
        run->nth = packer->runs;
        run->storage = NULL;
        run->size = packer->size;
    }
    return run;
}

/* False with an exception set, if its records are not there any more, or are being read. */
static bool
can_be_written(const Run *run)
{
    if (run->nth != run->packer->runs || run->packer->busy) {
        PyErr_SetString(PyExc_BufferError, "this run is over: its packer has gone on");
        return false;
    }
    return true;
}

/* ---- piece by piece ---- */

bool
run_prepare(Run *run)
{
    Packer *packer = run->packer;
    if (!can_be_written(run)) {
        return false;
    }
    size_t needed = Py_MAX((size_t)PIECE, packer->largest);
    if (packer->piece_size < needed) {
        char *piece = PyMem_Realloc(packer->piece, needed);
        if (piece == NULL) {
            PyErr_NoMemory();
            return false;
        }
        packer->piece = piece;
        packer->piece_size = needed;
    }
    return true;
}

size_t
run_write_piece(const Run *run, size_t record, size_t *size)
{
    const Packer *packer = run->packer;
    size_t end = record, whole = 0;
    for (; end < packer->number; end++) {
        size_t more = record_size(&packer->records[end]);
        if (whole + more > packer->piece_size) {
            break;
        }
        whole += more;
    }
    write_records(packer->piece, packer->records + record, end - record, packer->appended.bytes);
    *size = whole;
    return end;
}

/* ---- all of it ---- */

/* Bytes with room for it: its packer's, if it is as long as runs are. */
static PyObject *
storage_for(const Run *run)
{
    Packer *packer = run->packer;
    size_t room = packer->most + SLACK;
    if (run->size > room) {
        return PyBytes_FromStringAndSize(NULL, (Py_ssize_t)run->size);
    }
    if (packer->buffer == NULL) {
        packer->buffer = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room);
    }
    return Py_XNewRef(packer->buffer);
}

/* Write it, if it is not written; -1 with an exception set. */
static int
run_write(Run *run)
{
    if (run->storage != NULL) {
        return 0;
    }
    if (!can_be_written(run) || (run->storage = storage_for(run)) == NULL) {
        return -1;
    }
    const Packer *packer = run->packer;
    write_records(PyBytes_AS_STRING(run->storage), packer->records, packer->number,
                  packer->appended.bytes);
    return 0;
}

static int
run_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    Run *run = (Run *)self;
    if (run_write(run) < 0) {
        view->obj = NULL;
        return -1;
    }
    return PyBuffer_FillInfo(view, self, PyBytes_AS_STRING(run->storage), (Py_ssize_t)run->size, 1,
                             flags);
}

static Py_ssize_t
run_length(PyObject *self)
{
    return (Py_ssize_t)((Run *)self)->size;
}

static void
run_dealloc(PyObject *self)
{
    Run *run = (Run *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF((PyObject *)run->packer);
    Py_XDECREF(run->storage);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot run_slots[] = {
    {Py_tp_doc, "The bytes of a run of spans, good until the next one of their packer is made."},
    {Py_tp_dealloc, run_dealloc},
    {Py_sq_length, run_length},
    {Py_bf_getbuffer, run_get_buffer},
    {0, NULL},
};

static PyType_Spec run_spec = {
    .name = "whence._engine.Run",
    .basicsize = sizeof(Run),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = run_slots,
};

int
runs_add(PyObject *module)
{
    return add_type(module, &run_spec, NULL, &Run_Type);
}
