/* Every recorded lifetime that is open.

   Twin of `open_lifetimes` in agent/engine/recorder.py, which is a dict.

   - It is a list linked through the lifetimes themselves, oldest first, that is by id: to enter it
     and to leave it costs a few writes, and nothing is looked up.
   - Python sees a mapping by id.  Who goes through it goes through a list made at once: lifetimes
     come and go in any thread whenever the GIL is given up. */

#include "engine.h"

/* ---- the list ----------------------------------------------------------------------------- */

static RecordedLifetime *oldest, *newest;
static Py_ssize_t number_open;

/* Ids are given in order, but between that and this any code may have run. */
void
open_lifetime(RecordedLifetime *lifetime)
{
    RecordedLifetime *before = newest;
    while (UNLIKELY(before != NULL && before->base.async_id > lifetime->base.async_id)) {
        before = before->older;
    }
    RecordedLifetime *after = before == NULL ? oldest : before->newer;
    lifetime->older = before;
    lifetime->newer = after;
    *(before == NULL ? &oldest : &before->newer) = lifetime;
    *(after == NULL ? &newest : &after->older) = lifetime;
    lifetime->listed = true;
    number_open++;
    Py_INCREF((PyObject *)lifetime);
}

void
close_lifetime(RecordedLifetime *lifetime)
{
    RecordedLifetime *before = lifetime->older, *after = lifetime->newer;
    *(before == NULL ? &oldest : &before->newer) = after;
    *(after == NULL ? &newest : &after->older) = before;
    lifetime->older = lifetime->newer = NULL;
    lifetime->listed = false;
    number_open--;
}

/* The one with this id, looked for from the nearer end; or NULL. */
static RecordedLifetime *
list_find(int64_t async_id)
{
    /* What is between the two ends can be subtracted from them, whatever was asked for. */
    if (newest == NULL || async_id > newest->base.async_id || async_id < oldest->base.async_id) {
        return NULL;
    }
    RecordedLifetime *found;
    if (newest->base.async_id - async_id < async_id - oldest->base.async_id) {
        for (found = newest; found != NULL && found->base.async_id > async_id;) {
            found = found->older;
        }
    }
    else {
        for (found = oldest; found != NULL && found->base.async_id < async_id;) {
            found = found->newer;
        }
    }
    return found != NULL && found->base.async_id == async_id ? found : NULL;
}

/* ---- the mapping -------------------------------------------------------------------------- */

/* A list of all of them, or of their ids.  Making it may run the collector; filling it runs
   nothing. */
static PyObject *
list_of_open(bool ids)
{
    PyObject *list;
    for (;;) {
        Py_ssize_t number = number_open;
        list = PyList_New(number);
        if (list == NULL || number == number_open) {
            break;
        }
        Py_DECREF(list);
    }
    Py_ssize_t nth = 0;
    for (RecordedLifetime *each = oldest; list != NULL && each != NULL; each = each->newer) {
        PyObject *item = ids ? PyLong_FromLongLong(each->base.async_id) : Py_NewRef(each);
        if (item == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, nth++, item);
    }
    return list;
}

static PyObject *
open_values(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    return list_of_open(false);
}

static PyObject *
open_keys(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    return list_of_open(true);
}

static PyObject *
open_iter(PyObject *Py_UNUSED(self))
{
    PyObject *ids = list_of_open(true);
    PyObject *iterator = ids == NULL ? NULL : PyObject_GetIter(ids);
    Py_XDECREF(ids);
    return iterator;
}

static Py_ssize_t
open_length(PyObject *Py_UNUSED(self))
{
    return number_open;
}

/* The one with this key, borrowed; NULL if there is none, as of a key that is no int. */
static RecordedLifetime *
open_with(PyObject *key)
{
    if (!PyLong_Check(key)) {
        return NULL;
    }
    int overflow;
    long long async_id = PyLong_AsLongLongAndOverflow(key, &overflow);
    return overflow ? NULL : list_find(async_id);
}

static int
open_contains(PyObject *Py_UNUSED(self), PyObject *key)
{
    return open_with(key) != NULL;
}

static PyObject *
open_getitem(PyObject *Py_UNUSED(self), PyObject *key)
{
    RecordedLifetime *found = open_with(key);
    if (found == NULL) {
        PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    return Py_NewRef(found);
}

static int
open_setitem(PyObject *Py_UNUSED(self), PyObject *key, PyObject *value)
{
    RecordedLifetime *found = open_with(key);
    if (value == NULL && found == NULL) {
        PyErr_SetObject(PyExc_KeyError, key);
        return -1;
    }
    if (value == NULL) {
        close_lifetime(found);
        Py_DECREF((PyObject *)found);
        return 0;
    }
    if (!PyObject_TypeCheck(value, RecordedLifetime_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a RecordedLifetime, not %R", value);
        return -1;
    }
    if (!((RecordedLifetime *)value)->listed) {
        open_lifetime((RecordedLifetime *)value);
    }
    return 0;
}

static PyObject *
open_get(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *key, *otherwise = Py_None;
    if (!PyArg_ParseTuple(args, "O|O", &key, &otherwise)) {
        return NULL;
    }
    RecordedLifetime *found = open_with(key);
    return Py_NewRef(found == NULL ? otherwise : (PyObject *)found);
}

static PyObject *
open_pop(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *key, *otherwise = NULL;
    if (!PyArg_ParseTuple(args, "O|O", &key, &otherwise)) {
        return NULL;
    }
    RecordedLifetime *found = open_with(key);
    if (found != NULL) {
        close_lifetime(found);
        return (PyObject *)found;
    }
    if (otherwise == NULL) {
        PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    return Py_NewRef(otherwise);
}

/* One at a time: when one goes, any code may run. */
static PyObject *
open_clear(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    for (Py_ssize_t number = number_open; number > 0 && oldest != NULL; number--) {
        RecordedLifetime *gone = oldest;
        close_lifetime(gone);
        Py_DECREF((PyObject *)gone);
    }
    Py_RETURN_NONE;
}

static PyObject *
as_dict(void)
{
    PyObject *values = list_of_open(false);
    PyObject *dict = values == NULL ? NULL : PyDict_New();
    for (Py_ssize_t nth = 0; dict != NULL && nth < PyList_GET_SIZE(values); nth++) {
        PyObject *value = PyList_GET_ITEM(values, nth);
        PyObject *key = PyLong_FromLongLong(((Lifetime *)value)->async_id);
        if (key == NULL || PyDict_SetItem(dict, key, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(key);
    }
    Py_XDECREF(values);
    return dict;
}

static PyObject *
open_compare(PyObject *self, PyObject *other, int operation)
{
    if ((operation != Py_EQ && operation != Py_NE) || !PyDict_Check(other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    (void)self;
    PyObject *dict = as_dict();
    PyObject *answer = dict == NULL ? NULL : PyObject_RichCompare(dict, other, operation);
    Py_XDECREF(dict);
    return answer;
}

static PyObject *
open_repr(PyObject *Py_UNUSED(self))
{
    PyObject *dict = as_dict();
    PyObject *text = dict == NULL ? NULL : PyObject_Repr(dict);
    Py_XDECREF(dict);
    return text;
}

static PyMethodDef open_methods[] = {
    {"clear", open_clear, METH_NOARGS, NULL}, {"get", open_get, METH_VARARGS, NULL},
    {"keys", open_keys, METH_NOARGS, NULL},   {"pop", open_pop, METH_VARARGS, NULL},
    {"values", open_values, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL},
};

static PyType_Slot open_slots[] = {
    {Py_tp_doc, "Every recorded lifetime that is open, by id, oldest first."},
    {Py_tp_methods, open_methods},
    {Py_tp_iter, open_iter},
    {Py_tp_repr, open_repr},
    {Py_tp_richcompare, open_compare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_mp_length, open_length},
    {Py_mp_subscript, open_getitem},
    {Py_mp_ass_subscript, open_setitem},
    {Py_sq_contains, open_contains},
    {0, NULL},
};

static PyType_Spec open_spec = {
    .name = "whence._engine.OpenLifetimes",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = open_slots,
};

static PyObject *
is_listed_method(PyObject *Py_UNUSED(module), PyObject *lifetime)
{
    return PyBool_FromLong(PyObject_TypeCheck(lifetime, RecordedLifetime_Type) &&
                           ((RecordedLifetime *)lifetime)->listed);
}

static PyMethodDef open_functions[] = {
    {"is_listed", is_listed_method, METH_O, "Whether it is among the open lifetimes."},
    {NULL, NULL, 0, NULL},
};

int
open_lifetimes_add(PyObject *module)
{
    PyTypeObject *type;
    if (add_type(module, &open_spec, NULL, &type) < 0) {
        return -1;
    }
    PyObject *open_lifetimes = PyObject_CallNoArgs((PyObject *)type);
    int failed = open_lifetimes == NULL ||
                 PyModule_AddObjectRef(module, "open_lifetimes", open_lifetimes) < 0;
    Py_XDECREF(open_lifetimes);
    return failed ? -1 : PyModule_AddFunctions(module, open_functions);
}
