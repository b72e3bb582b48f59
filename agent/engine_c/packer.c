/* The encoder of spans: it packs those of a batch, one after the other, as OTLP has them in a
   request.

   What is needed of each span is gathered into a record first (gathering.c).  Of these a Run is
   made (runs.c), which is written when somebody wants its bytes. */

#include "encoder.h"
#include "structmember.h"

#define SOON 8              /* spans ahead */
#define MOST_KEPT (4 << 20) /* bytes that are kept for what is appended in the next run */

static PyTypeObject *Packer_Type;

/* Fetch what a lifetime that comes soon keeps in memory: they lie anywhere. */
static inline void
prefetch(PyObject *batch, Py_ssize_t nth)
{
    if (nth < PyList_GET_SIZE(batch)) {
        prefetch_object(PyList_GET_ITEM(batch, nth), sizeof(SpanLifetime));
    }
    if (nth - SOON / 2 < PyList_GET_SIZE(batch)) {
        PyObject *sooner = PyList_GET_ITEM(batch, nth - SOON / 2);
        if (PyObject_TypeCheck(sooner, SpanLifetime_Type)) {
            prefetch_object(((SpanLifetime *)sooner)->span, sizeof(Span));
        }
    }
}

/* Gather from here on until the run is full; where it ends, or -1 with an exception set. */
static Py_ssize_t
gather(Packer *packer, PyObject *batch, Py_ssize_t at)
{
    for (; at < PyList_GET_SIZE(batch) && packer->size < packer->most; at++) {
        prefetch(batch, at + SOON);
        PyObject *lifetime = PyList_GET_ITEM(batch, at);
        if (!PyObject_TypeCheck(lifetime, SpanLifetime_Type)) {
            PyErr_Format(PyExc_TypeError, "expected a SpanLifetime, not %R", lifetime);
            return -1;
        }
        Py_INCREF(lifetime);
        Gathered gathered = gather_one(packer, (SpanLifetime *)lifetime);
        Py_DECREF(lifetime);
        if (gathered == BROKEN) {
            return -1;
        }
        if (gathered == FULL) {
            return at;
        }
        packer->unsampled += gathered == UNSAMPLED;
    }
    return at;
}

/* Let go of what the last run was gathered with. */
static void
begin_run(Packer *packer)
{
    packer->runs++;
    packer->number = packer->size = packer->largest = packer->appended.size = 0;
    PyList_SetSlice(packer->others, 0, PyList_GET_SIZE(packer->others), NULL);
    PyErr_Clear();
    if (packer->appended.allocated > MOST_KEPT) {
        PyMem_Free(packer->appended.bytes);
        packer->appended = (Growing){0};
    }
    if (templates_is_full(&packer->templates)) {
        templates_clear(&packer->templates);
    }
}

/* run(batch, at): where the next run begins, how many spans are in this one, and their bytes. */
static PyObject *
packer_run(PyObject *self, PyObject *args)
{
    Packer *packer = (Packer *)self;
    PyObject *batch;
    Run *run = NULL;
    Py_ssize_t at;
    if (!PyArg_ParseTuple(args, "O!n:run", &PyList_Type, &batch, &at)) {
        return NULL;
    }
    if (packer->busy || at < 0) {
        PyErr_SetString(PyExc_RuntimeError, "a packer packs one run at a time, from its beginning");
        return NULL;
    }
    packer->busy = true;
    begin_run(packer);
    at = gather(packer, batch, at);
    if (at >= 0) {
        run = run_new(packer);
    }
    whose_clear(&packer->whose);
    Py_CLEAR(packer->foreign.context);
    packer->busy = false;
    return run == NULL ? NULL : Py_BuildValue("nnN", at, (Py_ssize_t)packer->number, run);
}

/* ---- the type ---- */

/* limit(max_attributes, max_links, shortens): what the limits are from now on, -1 is none. */
static PyObject *
packer_limit(PyObject *self, PyObject *args)
{
    Packer *packer = (Packer *)self;
    int shortens;
    if (packer->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the limits hold for whole runs");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "nnp:limit", &packer->max_attributes, &packer->max_links,
                          &shortens)) {
        return NULL;
    }
    packer->shortens = shortens;
    begin_run(packer);
    templates_clear(&packer->templates);
    Py_RETURN_NONE;
}

/* keep_all(flags, make_ids): whether to ask for the identity of each trace. */
static PyObject *
packer_keep_all(PyObject *self, PyObject *args)
{
    Packer *packer = (Packer *)self;
    PyObject *flags, *make_ids;
    if (!PyArg_ParseTuple(args, "OO:keep_all", &flags, &make_ids)) {
        return NULL;
    }
    Py_XSETREF(packer->flags, flags == Py_None ? NULL : Py_NewRef(flags));
    Py_XSETREF(packer->make_ids, Py_NewRef(make_ids));
    Py_CLEAR(packer->ids);
    Py_RETURN_NONE;
}

static PyObject *
packer_construct(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"owner", "seed", "most", "private_keys", "trigger", "segment", NULL};
    PyObject *owner, *private_keys, *trigger, *segment;
    unsigned long long seed;
    Py_ssize_t most;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OKnO!SS", names, &owner, &seed, &most,
                                     &PyFrozenSet_Type, &private_keys, &trigger, &segment)) {
        return NULL;
    }
    if (most <= 0) {
        PyErr_Format(PyExc_ValueError, "expected a number of bytes above 0, not %zd", most);
        return NULL;
    }
    Packer *packer = (Packer *)type->tp_alloc(type, 0);
    if (packer == NULL) {
        return NULL;
    }
    packer->owner = Py_NewRef(owner);
    packer->private_keys = Py_NewRef(private_keys);
    packer->reasons[0] = Py_NewRef(trigger);
    packer->reasons[1] = Py_NewRef(segment);
    packer->seed = seed;
    packer->most = (size_t)most;
    packer->max_attributes = packer->max_links = -1;
    packer->others = PyList_New(0);
    if (packer->others == NULL) {
        Py_CLEAR(packer);
    }
    return (PyObject *)packer;
}

static int
packer_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Packer *)self)->owner);
    Py_VISIT(((Packer *)self)->make_ids);
    return 0;
}

static int
packer_clear(PyObject *self)
{
    Py_CLEAR(((Packer *)self)->owner);
    Py_CLEAR(((Packer *)self)->make_ids);
    return 0;
}

static void
packer_dealloc(PyObject *self)
{
    Packer *packer = (Packer *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    packer_clear(self);
    Py_CLEAR(packer->private_keys);
    Py_CLEAR(packer->reasons[0]);
    Py_CLEAR(packer->reasons[1]);
    Py_CLEAR(packer->flags);
    Py_CLEAR(packer->ids);
    Py_CLEAR(packer->others);
    Py_CLEAR(packer->buffer);
    Py_CLEAR(packer->foreign.context);
    whose_clear(&packer->whose);
    templates_clear(&packer->templates);
    PyMem_Free(packer->appended.bytes);
    PyMem_Free(packer->records);
    PyMem_Free(packer->piece);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
packer_get_templates(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(((Packer *)self)->templates.number);
}

static PyMethodDef packer_methods[] = {
    {"run", packer_run, METH_VARARGS,
     "Pack spans of a batch, a list, from an index on: where the next run begins, how many spans\n"
     "are in this one, and their bytes, which are good until the next call."},
    {"limit", packer_limit, METH_VARARGS,
     "Say what the limits are from now on: attributes, links (-1 is any number), and whether\n"
     "texts are shortened.  Forgets all templates."},
    {"keep_all", packer_keep_all, METH_VARARGS,
     "Give traces that continue no other an identity with these flags and one of the ids that a\n"
     "function makes, without asking for each; None asks."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef packer_members[] = {
    {"unsampled", T_PYSSIZET, offsetof(Packer, unsampled), 0, "Spans that no run has."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef packer_getset[] = {
    {"templates", packer_get_templates, NULL, "How many templates it knows.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot packer_slots[] = {
    {Py_tp_doc, "Packs the spans of batches as OTLP has them in a request."},
    {Py_tp_new, packer_construct},
    {Py_tp_traverse, packer_traverse},
    {Py_tp_clear, packer_clear},
    {Py_tp_dealloc, packer_dealloc},
    {Py_tp_methods, packer_methods},
    {Py_tp_members, packer_members},
    {Py_tp_getset, packer_getset},
    {0, NULL},
};

static PyType_Spec packer_spec = {
    .name = "whence._engine.Packer",
    .basicsize = sizeof(Packer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = packer_slots,
};

/* The rooms of a template, in the order of their numbers; the last one is none. */
static const char *const rooms[] = {
    "async_id", "trigger_async_id", "execution_async_id", "steps", "run", "ready", "wait", "",
};

int
packer_add(PyObject *module)
{
    PyObject *names = PyTuple_New(Py_ARRAY_LENGTH(rooms));
    for (size_t room = 0; names != NULL && room < Py_ARRAY_LENGTH(rooms); room++) {
        PyObject *name = PyUnicode_InternFromString(rooms[room]);
        if (name == NULL) {
            Py_CLEAR(names);
            break;
        }
        PyTuple_SET_ITEM(names, (Py_ssize_t)room, name);
    }
    if (names == NULL || PyModule_AddObjectRef(module, "ROOMS", names) < 0) {
        Py_XDECREF(names);
        return -1;
    }
    Py_DECREF(names);
    return add_type(module, &packer_spec, NULL, &Packer_Type);
}
