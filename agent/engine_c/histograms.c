/* How long callbacks were ready and ran: the counts of `Turns`, in slots by powers of two.

   Twin of agent/engine/histograms.py, whose rules hold: numbers only grow, and what is counted for
   every callback costs one addition.  What readers make of the counts is Python's affair. */

#include "engine.h"

PyTypeObject *Turns_Type;

void
turns_record_long(Turns *turns, int64_t ready, int64_t run)
{
    if (ready > LONG_NANOSECONDS) {
        turns->long_ready[slot_of(ready)] += ready;
    }
    if (run > LONG_NANOSECONDS) {
        turns->long_run[slot_of(run)] += run;
    }
}

/* A duration that Python gives: -1 with an exception set if it is none. */
static int64_t
duration(PyObject *value)
{
    int64_t nanoseconds = PyLong_AsLongLong(value);
    if (nanoseconds < 0 && !PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "expected nanoseconds, 0 or more, not %R", value);
    }
    return nanoseconds;
}

static PyObject *
turns_record(PyObject *self, PyObject *const *args, Py_ssize_t number)
{
    Turns *turns = (Turns *)self;
    if (number != 2) {
        PyErr_Format(PyExc_TypeError, "expected two durations, not %zd", number);
        return NULL;
    }
    int64_t ready = duration(args[0]);
    int64_t run = ready < 0 ? -1 : duration(args[1]);
    if (run < 0) {
        return NULL;
    }
    turns->counts[slot_of(ready)][slot_of(run)] += 1;
    turns_record_long(turns, ready, run);
    Py_RETURN_NONE;
}

static PyObject *
turns_long_ready(PyObject *self, PyObject *value)
{
    int64_t nanoseconds = duration(value);
    if (nanoseconds < 0) {
        return NULL;
    }
    ((Turns *)self)->long_ready[slot_of(nanoseconds)] += nanoseconds;
    Py_RETURN_NONE;
}

static PyObject *
turns_long_run(PyObject *self, PyObject *value)
{
    int64_t nanoseconds = duration(value);
    if (nanoseconds < 0) {
        return NULL;
    }
    ((Turns *)self)->long_run[slot_of(nanoseconds)] += nanoseconds;
    Py_RETURN_NONE;
}

static PyObject *
turns_clear(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Turns *turns = (Turns *)self;
    memset(turns->counts, 0, sizeof(turns->counts));
    memset(turns->long_ready, 0, sizeof(turns->long_ready));
    memset(turns->long_run, 0, sizeof(turns->long_run));
    Py_RETURN_NONE;
}

static PyObject *
list_of(const int64_t *slots)
{
    PyObject *list = PyList_New(SLOTS);
    for (int slot = 0; list != NULL && slot < SLOTS; slot++) {
        PyObject *number = PyLong_FromLongLong(slots[slot]);
        if (number == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, slot, number);
    }
    return list;
}

static PyObject *
turns_get_counts(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *rows = PyList_New(SLOTS);
    for (int slot = 0; rows != NULL && slot < SLOTS; slot++) {
        PyObject *row = list_of(((Turns *)self)->counts[slot]);
        if (row == NULL) {
            Py_CLEAR(rows);
            break;
        }
        PyList_SET_ITEM(rows, slot, row);
    }
    return rows;
}

static PyObject *
turns_get_sums(PyObject *self, void *closure)
{
    return list_of((const int64_t *)((const char *)self + (size_t)closure));
}

static PyMethodDef turns_methods[] = {
    {"record", (PyCFunction)(void (*)(void))turns_record, METH_FASTCALL, NULL},
    {"long_ready", turns_long_ready, METH_O, NULL},
    {"long_run", turns_long_run, METH_O, NULL},
    {"clear", turns_clear, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef turns_getset[] = {
    {"counts", turns_get_counts, NULL, NULL, NULL},
    {"_long_ready", turns_get_sums, NULL, NULL, (void *)offsetof(Turns, long_ready)},
    {"_long_run", turns_get_sums, NULL, NULL, (void *)offsetof(Turns, long_run)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot turns_slots[] = {
    {Py_tp_doc, "The numbers of whence.engine.histograms.Turns."},
    {Py_tp_methods, turns_methods},
    {Py_tp_getset, turns_getset},
    {0, NULL},
};

static PyType_Spec turns_spec = {
    .name = "whence._engine.Turns",
    .basicsize = sizeof(Turns),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = turns_slots,
};

int
histograms_add(PyObject *module)
{
    return add_type(module, &turns_spec, NULL, &Turns_Type);
}
