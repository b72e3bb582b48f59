/* The chain of causes: why is this resource here, back to the top level.

   Twin of agent/engine/causes.py.  A cause is small and refers to nothing of the program but code;
   equal consecutive sites are one with a count, and no chain is longer than MAX_DEPTH.  A chain only
   ever leads to older causes, so there are no cycles and the collector need not know of it. */

#include "engine.h"
#include "structmember.h"

#define MAX_DEPTH 32
#define KEPT_ON_CUT 16
#define MAX_FREE 256

PyTypeObject *Cause_Type;

static Cause *free_causes[MAX_FREE];
static int number_free;

static Cause *
cause_new(int64_t async_id, ResourceType *type, PyObject *name, PyObject *code, int lasti,
          Cause *before, int64_t repeats)
{
    Cause *cause;
    if (number_free > 0) {
        cause = free_causes[--number_free];
        PyObject_Init((PyObject *)cause, Cause_Type);
    }
    else {
        cause = PyObject_New(Cause, Cause_Type);
        if (cause == NULL) {
            PyErr_Clear();
            return NULL;
        }
    }
    cause->async_id = async_id;
    cause->type = (ResourceType *)Py_NewRef((PyObject *)type);
    cause->name = Py_XNewRef(name);
    cause->code = Py_XNewRef(code);
    cause->lasti = lasti;
    cause->depth = before == NULL ? 1 : before->depth + 1;
    cause->repeats = repeats;
    cause->cause = (Cause *)Py_XNewRef((PyObject *)before);
    return cause;
}

/* The newest of a chain that has become too long, copied: a cut in halves, so that the cost of one
   disappears among the creations between two. */
static Cause *
cause_cut(Cause *cause)
{
    Cause *kept[KEPT_ON_CUT];
    int number = 0;
    for (Cause *link = cause; link != NULL && number < KEPT_ON_CUT; link = link->cause) {
        kept[number++] = link;
    }
    Cause *shorter = NULL;
    while (number > 0) {
        Cause *old = kept[--number];
        Cause *copy = cause_new(old->async_id, old->type, old->name, old->code, old->lasti, shorter,
                                old->repeats);
        Py_XDECREF((PyObject *)shorter);
        if (copy == NULL) {
            return NULL;
        }
        shorter = copy;
    }
    return shorter;
}

Cause *
cause_hop(int64_t async_id, ResourceType *type, PyObject *name, PyObject *code, int lasti,
          Cause *before)
{
    int64_t repeats = 1;
    Cause *cut = NULL;
    if (before != NULL) {
        if (before->code == code && before->lasti == lasti && before->type == type) {
            repeats = before->repeats + 1;
            before = before->cause;
        }
        else if (before->depth >= MAX_DEPTH) {
            before = cut = cause_cut(before);
        }
    }
    Cause *cause = cause_new(async_id, type, name, code, lasti, before, repeats);
    Py_XDECREF((PyObject *)cut);
    return cause;
}

/* Releases what led to it, MAX_DEPTH calls deep at the most. */
static void
cause_dealloc(PyObject *self)
{
    Cause *cause = (Cause *)self;
    Py_DECREF((PyObject *)cause->type);
    Py_XDECREF(cause->name);
    Py_XDECREF(cause->code);
    Py_XDECREF((PyObject *)cause->cause);
    if (number_free < MAX_FREE) {
        free_causes[number_free++] = cause;
    }
    else {
        PyObject_Free(cause);
    }
    Py_DECREF((PyObject *)Cause_Type);
}

static PyObject *
cause_construct(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *keywords)
{
    static char *names[] = {"async_id", "type_", "name", "code", "lasti", "cause", NULL};
    long long async_id;
    PyObject *row, *name, *code, *before;
    int lasti;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "LO!OOiO", names, &async_id, ResourceType_Type,
                                     &row, &name, &code, &lasti, &before)) {
        return NULL;
    }
    if (before != Py_None && !Py_IS_TYPE(before, Cause_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a Cause or None, not %R", before);
        return NULL;
    }
    Cause *cause = cause_new(async_id, (ResourceType *)row, name == Py_None ? NULL : name,
                             code == Py_None ? NULL : code, lasti,
                             before == Py_None ? NULL : (Cause *)before, 1);
    return cause == NULL ? PyErr_NoMemory() : (PyObject *)cause;
}

static PyObject *
cause_site(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Cause *cause = (Cause *)self;
    PyObject *site = python_function("site");
    if (site == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "whence.engine.sites is not imported");
        return NULL;
    }
    return PyObject_CallFunction(site, "Oi", cause->code == NULL ? Py_None : cause->code,
                                 cause->lasti);
}

static PyObject *
cause_chain(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *found = PyList_New(0);
    for (Cause *link = (Cause *)self; found != NULL && link != NULL; link = link->cause) {
        if (PyList_Append(found, (PyObject *)link) < 0) {
            Py_CLEAR(found);
        }
    }
    return found;
}

static PyMethodDef cause_methods[] = {
    {"site", cause_site, METH_NOARGS, "Where the program created it."},
    {"chain", cause_chain, METH_NOARGS, "This cause and those that led to it, nearest first."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef cause_members[] = {
    {"async_id", T_LONGLONG, offsetof(Cause, async_id), READONLY, NULL},
    {"type", T_OBJECT, offsetof(Cause, type), READONLY, NULL},
    {"name", T_OBJECT, offsetof(Cause, name), READONLY, NULL},
    {"code", T_OBJECT, offsetof(Cause, code), READONLY, NULL},
    {"lasti", T_INT, offsetof(Cause, lasti), READONLY, NULL},
    {"cause", T_OBJECT, offsetof(Cause, cause), READONLY, NULL},
    {"depth", T_INT, offsetof(Cause, depth), READONLY, NULL},
    {"repeats", T_LONGLONG, offsetof(Cause, repeats), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot cause_slots[] = {
    {Py_tp_doc, "One hop: a resource that triggered another."},
    {Py_tp_new, cause_construct},
    {Py_tp_dealloc, cause_dealloc},
    {Py_tp_methods, cause_methods},
    {Py_tp_members, cause_members},
    {0, NULL},
};

static PyType_Spec cause_spec = {
    .name = "whence._engine.Cause",
    .basicsize = sizeof(Cause),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = cause_slots,
};

/* hop(async_id, type, name, code, lasti, before) */
static PyObject *
hop(PyObject *Py_UNUSED(module), PyObject *args)
{
    long long async_id;
    PyObject *row, *name, *code, *before;
    int lasti;
    if (!PyArg_ParseTuple(args, "LO!OOiO:hop", &async_id, ResourceType_Type, &row, &name, &code,
                          &lasti, &before)) {
        return NULL;
    }
    if (before != Py_None && !Py_IS_TYPE(before, Cause_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a Cause or None, not %R", before);
        return NULL;
    }
    Cause *cause = cause_hop(async_id, (ResourceType *)row, name == Py_None ? NULL : name,
                             code == Py_None ? NULL : code, lasti,
                             before == Py_None ? NULL : (Cause *)before);
    return cause == NULL ? PyErr_NoMemory() : (PyObject *)cause;
}

static PyMethodDef functions[] = {
    {"hop", hop, METH_VARARGS, "A cause that follows on another."},
    {NULL, NULL, 0, NULL},
};

int
causes_add(PyObject *module)
{
    if (add_type(module, &cause_spec, NULL, &Cause_Type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
