/* A run of spans as an object: bytes to whoever asks for them, and not written before.

   Whoever sends a run to a socket has it written there, without the GIL and with no other reason to
   give that up: having it back from a busy loop takes longer than the writing. */

#include "encoder.h"

PyTypeObject *Run_Type;

Run *
run_new(Packer *packer)
{
    size_t room = packer->most + SLACK;
    PyObject *storage;
    if (packer->size > room) {
        storage = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)packer->size);
    }
    else {
        if (packer->buffer == NULL) {
            packer->buffer = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room);
        }
        storage = Py_XNewRef(packer->buffer);
    }
    Run *run = storage == NULL ? NULL : PyObject_New(Run, Run_Type);
    if (run == NULL) {
        Py_XDECREF(storage);
        return NULL;
    }
    run->packer = (Packer *)Py_NewRef((PyObject *)packer);
    run->nth = packer->runs;
    run->storage = storage;
    run->size = packer->size;
    run->written = false;
    return run;
}

bool
run_can_be_written(Run *run)
{
    if (run->written) {
        return true;
    }
    if (run->nth != run->packer->runs || run->packer->busy) {
        PyErr_SetString(PyExc_BufferError, "this run is over: its packer has gone on");
        return false;
    }
    return true;
}

char *
run_bytes(const Run *run)
{
    return PyBytes_AS_STRING(run->storage);
}

void
run_write(Run *run)
{
    const Packer *packer = run->packer;
    if (!run->written) {
        write_records(run_bytes(run), packer->records, packer->number, packer->appended.bytes);
        run->written = true;
    }
}

static int
run_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    Run *run = (Run *)self;
    if (!run_can_be_written(run)) {
        view->obj = NULL;
        return -1;
    }
    run_write(run);
    return PyBuffer_FillInfo(view, self, run_bytes(run), (Py_ssize_t)run->size, 1, flags);
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
    Py_DECREF(run->storage);
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
