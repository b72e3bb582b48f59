/* Finished lifetimes on their way to the exporters: bounded, never blocking.

   Twin of agent/engine/ring.py.  The room grows with what is held, up to `capacity`; when nothing
   is held it is used from its beginning again, so that a program that ends little touches little.

   The collector is not told of the lifetimes that are held: there may be 65,536, each is held by
   the ring for certain, and the sender lets go of them in a moment. */

#include "engine.h"
#include "structmember.h"

#define CAPACITY 65536
#define LEAST_ALLOCATED 1024

typedef struct {
    PyObject_HEAD
    PyObject **entries; /* owned; those held begin at `first` and go round */
    size_t allocated;   /* a power of two, or 0 */
    size_t first;
    Py_ssize_t held;
    Py_ssize_t capacity;
    Py_ssize_t wake_at;
    Py_ssize_t room; /* below it there is nothing to look at but to store */
    long long drained;
    long long dropped;
    PyObject *wake; /* or NULL */
} Ring;

static PyTypeObject *Ring_Type;

/* The one that finished lifetimes go into. */
static Ring *ring;

static bool
ring_grow(Ring *self)
{
    size_t more = self->allocated == 0 ? LEAST_ALLOCATED : self->allocated * 2;
    PyObject **entries = PyMem_New(PyObject *, more);
    if (entries == NULL) {
        return false;
    }
    for (size_t nth = 0; nth < (size_t)self->held; nth++) {
        entries[nth] = self->entries[(self->first + nth) & (self->allocated - 1)];
    }
    PyMem_Free(self->entries);
    self->entries = entries;
    self->allocated = more;
    self->first = 0;
    return true;
}

/* Keep one more; false without memory. */
static inline bool
ring_store(Ring *self, PyObject *lifetime)
{
    if (UNLIKELY((size_t)self->held == self->allocated) && !ring_grow(self)) {
        return false;
    }
    size_t last = (self->first + (size_t)self->held) & (self->allocated - 1);
    self->entries[last] = Py_NewRef(lifetime);
    self->held++;
    return true;
}

/* Tell the sender; what it raises is nobody's. */
static void
ring_wake(Ring *self)
{
    if (self->wake == NULL) {
        return;
    }
    Pending pending;
    pending_save(&pending);
    PyObject *wake = Py_NewRef(self->wake);
    PyObject *result = PyObject_CallNoArgs(wake);
    Py_XDECREF(result);
    Py_DECREF(wake);
    if (result == NULL) {
        PyErr_Clear();
    }
    pending_restore(&pending);
}

/* Push when there is no room, or the sender wants to know. */
static bool
ring_push_beyond(Ring *self, PyObject *lifetime)
{
    Py_ssize_t held = self->held;
    if (held >= self->capacity || !ring_store(self, lifetime)) {
        self->dropped++;
        return false;
    }
    if (held >= self->wake_at) {
        ring_wake(self);
    }
    return true;
}

static inline bool
push_into(Ring *self, PyObject *lifetime)
{
    if (LIKELY(self->held < self->room && ring_store(self, lifetime))) {
        return true;
    }
    return ring_push_beyond(self, lifetime);
}

bool
ring_push(SpanLifetime *lifetime)
{
    return push_into(ring, (PyObject *)lifetime);
}

#define SOON 8 /* lifetimes ahead */

/* Empty a list, from its end as Python does: those that nobody else has go.  What they take with
   them may run any code. */
static PyObject *
let_go(PyObject *Py_UNUSED(module), PyObject *list)
{
    if (!PyList_CheckExact(list)) {
        return PyErr_Format(PyExc_TypeError, "expected a list, not %R", list);
    }
    PyObject **items = ((PyListObject *)list)->ob_item;
    Py_ssize_t number = PyList_GET_SIZE(list);
    /* It is empty for whoever looks meanwhile. */
    ((PyListObject *)list)->ob_item = NULL;
    ((PyListObject *)list)->allocated = 0;
    Py_SET_SIZE(list, 0);
    while (number-- > 0) {
        if (number >= SOON) {
            prefetch_object(items[number - SOON], sizeof(SpanLifetime));
        }
        if (number >= SOON / 2 && Py_IS_TYPE(items[number - SOON / 2], SpanLifetime_Type)) {
            prefetch_object(((SpanLifetime *)items[number - SOON / 2])->span, sizeof(Span));
        }
        Py_DECREF(items[number]);
    }
    PyMem_Free(items);
    Py_RETURN_NONE;
}

/* ---- In Python ---------------------------------------------------------------------------- */

static PyObject *
ring_construct(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"capacity", NULL};
    Py_ssize_t capacity = CAPACITY;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|n", names, &capacity)) {
        return NULL;
    }
    Ring *self = (Ring *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->capacity = self->room = capacity;
        self->wake_at = PY_SSIZE_T_MAX;
    }
    return (PyObject *)self;
}

static PyObject *
ring_push_method(PyObject *self, PyObject *lifetime)
{
    return PyBool_FromLong(push_into((Ring *)self, lifetime));
}

/* Take the oldest out, into a list that is as long as there are to be. */
static PyObject *
ring_drain(PyObject *object, PyObject *argument)
{
    Ring *self = (Ring *)object;
    Py_ssize_t most = PyNumber_AsSsize_t(argument, NULL);
    if (most == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_ssize_t number = Py_MIN(Py_MAX(most, 0), self->held);
    PyObject *drained = PyList_New(number);
    if (drained == NULL) {
        return NULL;
    }
    /* Making the list may have run the collector, and that a finalizer which drained. */
    Py_ssize_t left = Py_MIN(number, self->held);
    for (Py_ssize_t nth = 0; nth < left; nth++) {
        PyList_SET_ITEM(drained, nth, self->entries[self->first]);
        self->first = (self->first + 1) & (self->allocated - 1);
    }
    self->held -= left;
    self->drained += left;
    if (self->held == 0) {
        self->first = 0;
    }
    Py_SET_SIZE(drained, left);
    return drained;
}

/* Let go of all that is held.  What a lifetime takes with it may push others. */
static void
ring_empty(Ring *self)
{
    PyObject **entries = self->entries;
    size_t allocated = self->allocated, first = self->first;
    Py_ssize_t held = self->held;
    self->entries = NULL;
    self->allocated = self->first = 0;
    self->held = 0;
    for (size_t nth = 0; nth < (size_t)held; nth++) {
        Py_DECREF(entries[(first + nth) & (allocated - 1)]);
    }
    PyMem_Free(entries);
}

static PyObject *
ring_clear_method(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Ring *self = (Ring *)object;
    ring_empty(self);
    self->drained = self->dropped = 0;
    Py_RETURN_NONE;
}

static Py_ssize_t
ring_length(PyObject *self)
{
    return ((Ring *)self)->held;
}

static PyObject *
ring_get_number(PyObject *self, void *field)
{
    return PyLong_FromSsize_t(*(Py_ssize_t *)((char *)self + (size_t)field));
}

/* For what decides on the room as well. */
static int
ring_set_number(PyObject *object, PyObject *value, void *field)
{
    Ring *self = (Ring *)object;
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected a number");
        return -1;
    }
    Py_ssize_t number = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    *(Py_ssize_t *)((char *)self + (size_t)field) = number;
    self->room = Py_MIN(self->capacity, self->wake_at);
    return 0;
}

static PyObject *
ring_get_pushed(PyObject *object, void *Py_UNUSED(closure))
{
    Ring *self = (Ring *)object;
    return PyLong_FromLongLong(self->drained + self->held);
}

static int
ring_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Ring *)self)->wake);
    return 0;
}

static int
ring_clear(PyObject *self)
{
    Py_CLEAR(((Ring *)self)->wake);
    return 0;
}

static void
ring_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ring_clear(self);
    ring_empty((Ring *)self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef ring_methods[] = {
    {"push", ring_push_method, METH_O,
     "Take a lifetime, or count it as dropped; whether it was taken."},
    {"drain", ring_drain, METH_O, "The oldest lifetimes, so many of them at the most."},
    {"clear", ring_clear_method, METH_NOARGS,
     "Forget everything: in a forked child it is the parent's."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef ring_members[] = {
    {"drained", T_LONGLONG, offsetof(Ring, drained), 0, NULL},
    {"dropped", T_LONGLONG, offsetof(Ring, dropped), 0, NULL},
    {"wake", T_OBJECT, offsetof(Ring, wake), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef ring_getset[] = {
    {"capacity", ring_get_number, ring_set_number, NULL, (void *)offsetof(Ring, capacity)},
    {"wake_at", ring_get_number, ring_set_number, NULL, (void *)offsetof(Ring, wake_at)},
    {"pushed", ring_get_pushed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ring_slots[] = {
    {Py_tp_doc, "A bounded buffer of finished lifetimes."},
    {Py_tp_new, ring_construct},
    {Py_tp_traverse, ring_traverse},
    {Py_tp_clear, ring_clear},
    {Py_tp_dealloc, ring_dealloc},
    {Py_tp_methods, ring_methods},
    {Py_tp_members, ring_members},
    {Py_tp_getset, ring_getset},
    {Py_sq_length, ring_length},
    {0, NULL},
};

static PyType_Spec ring_spec = {
    .name = "whence._engine.Ring",
    .basicsize = sizeof(Ring),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = ring_slots,
};

static PyMethodDef functions[] = {
    {"let_go", let_go, METH_O, "Empty a list of lifetimes: those that nobody else has go."},
    {NULL, NULL, 0, NULL},
};

int
ring_add(PyObject *module)
{
    if (add_type(module, &ring_spec, NULL, &Ring_Type) < 0) {
        return -1;
    }
    ring = (Ring *)PyObject_CallNoArgs((PyObject *)Ring_Type);
    if (ring == NULL) {
        return -1;
    }
    if (PyModule_AddObjectRef(module, "ring", (PyObject *)ring) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
