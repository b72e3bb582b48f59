/* The record of one resource, from its init to its destroy.

   Twin of agent/engine/lifetimes.py: three types, each with more fields than the one before.

   - A Lifetime never refers to the resource itself, except in `resource` while its callback is on
     the stack.
   - The collector is told of one only once something has been stored in it that can lead back to
     it: most never are, and a full buffer of them costs a collection nothing.
   - They come from free lists. */

#include "free_list.h"
#include "lifetimes.h"

PyTypeObject *Lifetime_Type, *RecordedLifetime_Type, *SpanLifetime_Type;
PyObject *DONE, *FAILED, *CANCELLED, *CLOSED, *COLLECTED, *OPEN, *KEPT, *DROPPED;

/* Their fields are 0. */
static PyObject *lifetimes_kept[512], *recorded_kept[512];
/* The sender lets go of as many with a batch. */
static PyObject *spans_kept[8192];

static FreeList free_lifetimes = FREE_LIST(lifetimes_kept);
static FreeList free_recorded = FREE_LIST(recorded_kept);
static FreeList free_spans = FREE_LIST(spans_kept);

static FreeList *
free_list_of(PyTypeObject *type)
{
    if (type == RecordedLifetime_Type) {
        return &free_recorded;
    }
    if (type == SpanLifetime_Type) {
        return &free_spans;
    }
    return type == Lifetime_Type ? &free_lifetimes : NULL;
}

static inline PyObject *
new_of(PyTypeObject *type, FreeList *list, size_t size)
{
    PyObject *lifetime = free_list_take(list, type);
    if (LIKELY(lifetime != NULL)) {
        return lifetime;
    }
    lifetime = (PyObject *)_PyObject_GC_New(type);
    if (lifetime == NULL) {
        PyErr_Clear();
        return NULL;
    }
    memset((char *)lifetime + sizeof(PyObject), 0, size - sizeof(PyObject));
    return lifetime;
}

Lifetime *
lifetime_new(void)
{
    return (Lifetime *)new_of(Lifetime_Type, &free_lifetimes, sizeof(Lifetime));
}

RecordedLifetime *
recorded_lifetime_new(void)
{
    return (RecordedLifetime *)new_of(RecordedLifetime_Type, &free_recorded,
                                      sizeof(RecordedLifetime));
}

SpanLifetime *
span_lifetime_new(void)
{
    PyTypeObject *type = engine.recorder->lifetime;
    if (LIKELY(type == SpanLifetime_Type)) {
        return (SpanLifetime *)new_of(type, &free_spans, sizeof(SpanLifetime));
    }
    SpanLifetime *lifetime = (SpanLifetime *)type->tp_alloc(type, 0);
    if (lifetime == NULL) {
        PyErr_Clear();
        return NULL;
    }
    lifetime->base.transparency = UNDECIDED;
    return lifetime;
}

static PyObject *
lifetime_construct(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords))
{
    PyObject *lifetime = type->tp_alloc(type, 0);
    if (lifetime != NULL && free_list_of(type) != NULL) {
        PyObject_GC_UnTrack(lifetime);
    }
    return lifetime;
}

/* ---- what the collector and the end ask of each type ---- */

static int
lifetime_traverse(PyObject *self, visitproc visit, void *arg)
{
    Lifetime *lifetime = (Lifetime *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(lifetime->type);
    Py_VISIT(lifetime->resource);
    Py_VISIT(lifetime->scope);
    return 0;
}

static int
lifetime_clear(PyObject *self)
{
    Lifetime *lifetime = (Lifetime *)self;
    Py_CLEAR(lifetime->resource);
    Py_CLEAR(lifetime->scope);
    return 0;
}

static int
recorded_traverse(PyObject *self, visitproc visit, void *arg)
{
    RecordedLifetime *lifetime = (RecordedLifetime *)self;
    Py_VISIT(lifetime->parent);
    Py_VISIT(lifetime->error);
    return lifetime_traverse(self, visit, arg);
}

static int
recorded_clear(PyObject *self)
{
    RecordedLifetime *lifetime = (RecordedLifetime *)self;
    Py_CLEAR(lifetime->code);
    Py_CLEAR(lifetime->cause);
    Py_CLEAR(lifetime->own_cause);
    Py_CLEAR(lifetime->parent);
    Py_CLEAR(lifetime->error);
    return lifetime_clear(self);
}

/* The object fields of a span, by offset: to visit and clear them. */
static const size_t span_objects[] = {
    offsetof(SpanLifetime, name),     offsetof(SpanLifetime, attributes),
    offsetof(SpanLifetime, events),   offsetof(SpanLifetime, segments),
    offsetof(SpanLifetime, span),     offsetof(SpanLifetime, link),
    offsetof(SpanLifetime, links),    offsetof(SpanLifetime, spliced),
    offsetof(SpanLifetime, fate),     offsetof(SpanLifetime, outcome),
};

static int
span_traverse(PyObject *self, visitproc visit, void *arg)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(span_objects); nth++) {
        Py_VISIT(*field_at(self, span_objects[nth]));
    }
    return recorded_traverse(self, visit, arg);
}

static int
span_clear(PyObject *self)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(span_objects); nth++) {
        Py_CLEAR(*field_at(self, span_objects[nth]));
    }
    return recorded_clear(self);
}

/* Keep it for the next one, or free it; its fields are empty. */
static void
release(PyObject *self, size_t size)
{
    PyTypeObject *type = Py_TYPE(self);
    FreeList *list = free_list_of(type);
    if (list != NULL && free_list_keep(list, self)) {
        memset((char *)self + sizeof(PyObject), 0, size - sizeof(PyObject));
    }
    else {
        type->tp_free(self);
    }
    Py_DECREF(type);
}

static void
lifetime_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    lifetime_clear(self);
    Py_CLEAR(((Lifetime *)self)->type);
    release(self, sizeof(Lifetime));
}

static void
recorded_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    recorded_clear(self);
    Py_CLEAR(((Lifetime *)self)->type);
    release(self, sizeof(RecordedLifetime));
}

/* A chain of parents may be long, as one of spans of the application is: not by recursion. */
static void
span_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, span_dealloc)
    span_clear(self);
    Py_CLEAR(((Lifetime *)self)->type);
    release(self, sizeof(SpanLifetime));
    Py_TRASHCAN_END
}

/* ---- questions that all of the engine asks ---- */

bool
lifetime_transparent(Lifetime *lifetime)
{
    if (!is_recorded(lifetime) && !PyObject_TypeCheck((PyObject *)lifetime, RecordedLifetime_Type)) {
        return true;
    }
    RecordedLifetime *recorded = (RecordedLifetime *)lifetime;
    if (UNLIKELY(recorded->transparency == UNDECIDED)) {
        PyObject *decide = python_function("decide");
        Pending pending;
        pending_save(&pending);
        PyObject *nothing = decide == NULL ? NULL : PyObject_CallOneArg(decide, (PyObject *)lifetime);
        if (nothing == NULL) {
            PyErr_Clear();
            recorded->transparency = NOT_TRANSPARENT;
        }
        Py_XDECREF(nothing);
        pending_restore(&pending);
    }
    return recorded->transparency != NOT_TRANSPARENT;
}

SpanLifetime *
lifetime_nearest(Lifetime *lifetime)
{
    if (!lifetime_transparent(lifetime)) {
        return (SpanLifetime *)lifetime;
    }
    if (!PyObject_TypeCheck((PyObject *)lifetime, RecordedLifetime_Type)) {
        return NULL;
    }
    return ((RecordedLifetime *)lifetime)->parent;
}

/* The name that its causes are given: a span's, or NULL. */
static PyObject *
name_of(RecordedLifetime *lifetime)
{
    return is_span((Lifetime *)lifetime) ? ((SpanLifetime *)lifetime)->name : NULL;
}

Cause *
lifetime_as_cause(Lifetime *lifetime)
{
    if (!PyObject_TypeCheck((PyObject *)lifetime, RecordedLifetime_Type) || lifetime->type == NULL) {
        return NULL;
    }
    RecordedLifetime *recorded = (RecordedLifetime *)lifetime;
    if (recorded->own_cause == NULL) {
        recorded->own_cause = cause_hop(lifetime->async_id, lifetime->type, name_of(recorded),
                                        recorded->code, recorded->lasti, recorded->cause);
    }
    return recorded->own_cause;
}

/* ---- a copy ---- */

/* The fields of `self`, for a copy of them to be those of another. */
static void
copy_fields(SpanLifetime *twin, RecordedLifetime *original)
{
    SpanLifetime *span = is_span((Lifetime *)original) ? (SpanLifetime *)original : NULL;
    PyObject head = *(PyObject *)twin;
    bool transparent = lifetime_transparent((Lifetime *)original);
    if (span != NULL) {
        memcpy((char *)twin + sizeof(PyObject), (char *)span + sizeof(PyObject),
               sizeof(SpanLifetime) - sizeof(PyObject));
    }
    else {
        memcpy((char *)twin + sizeof(PyObject), (char *)original + sizeof(PyObject),
               sizeof(RecordedLifetime) - sizeof(PyObject));
    }
    *(PyObject *)twin = head;
    RecordedLifetime *recorded = &twin->base;
    recorded->transparency = transparent ? TRANSPARENT : NOT_TRANSPARENT;
    recorded->older = recorded->newer = NULL;
    recorded->listed = false;
    recorded->base.scope = NULL;
    recorded->base.notify = false;
    recorded->base.resource = NULL;
    Py_XINCREF(recorded->base.type);
    Py_XINCREF(recorded->code);
    Py_XINCREF(recorded->cause);
    Py_XINCREF(recorded->own_cause);
    Py_XINCREF(recorded->parent);
    Py_XINCREF(recorded->error);
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(span_objects); nth++) {
        Py_XINCREF(*field_at((PyObject *)twin, span_objects[nth]));
    }
}

PyObject *
lifetime_copy(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *twin = new_of(SpanLifetime_Type, &free_spans, sizeof(SpanLifetime));
    if (twin == NULL) {
        return PyErr_NoMemory();
    }
    copy_fields((SpanLifetime *)twin, (RecordedLifetime *)self);
    PyObject_GC_Track(twin);
    return twin;
}

/* ---- the types ---- */

static PyObject *
lifetime_repr(PyObject *self)
{
    Lifetime *lifetime = (Lifetime *)self;
    const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
    return PyUnicode_FromFormat("<%s %lld %V>", name == NULL ? Py_TYPE(self)->tp_name : name + 1,
                                (long long)lifetime->async_id,
                                lifetime->type == NULL ? NULL : lifetime->type->name, "?");
}

static PyType_Slot lifetime_slots[] = {
    {Py_tp_doc, "One resource, as events need it (whence.engine.lifetimes)."},
    {Py_tp_new, lifetime_construct},
    {Py_tp_repr, lifetime_repr},
    {Py_tp_traverse, lifetime_traverse},
    {Py_tp_clear, lifetime_clear},
    {Py_tp_dealloc, lifetime_dealloc},
    {Py_tp_methods, lifetime_methods},
    {Py_tp_members, lifetime_members},
    {Py_tp_getset, lifetime_getset},
    {0, NULL},
};

static PyType_Slot recorded_slots[] = {
    {Py_tp_doc, "A resource that the agent records (whence.engine.lifetimes)."},
    {Py_tp_traverse, recorded_traverse},
    {Py_tp_clear, recorded_clear},
    {Py_tp_dealloc, recorded_dealloc},
    {Py_tp_methods, recorded_methods},
    {Py_tp_members, recorded_members},
    {Py_tp_getset, recorded_getset},
    {0, NULL},
};

static PyType_Slot span_slots[] = {
    {Py_tp_doc, "A resource that may become a span (whence.engine.lifetimes)."},
    {Py_tp_traverse, span_traverse},
    {Py_tp_clear, span_clear},
    {Py_tp_dealloc, span_dealloc},
    {Py_tp_members, span_members},
    {Py_tp_getset, span_getset},
    {0, NULL},
};

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC)

static PyType_Spec lifetime_spec = {
    .name = "whence._engine.Lifetime",
    .basicsize = sizeof(Lifetime),
    .flags = FLAGS,
    .slots = lifetime_slots,
};

static PyType_Spec recorded_spec = {
    .name = "whence._engine.RecordedLifetime",
    .basicsize = sizeof(RecordedLifetime),
    .flags = FLAGS,
    .slots = recorded_slots,
};

static PyType_Spec span_spec = {
    .name = "whence._engine.SpanLifetime",
    .basicsize = sizeof(SpanLifetime),
    .flags = FLAGS,
    .slots = span_slots,
};

static const struct {
    PyObject **constant;
    const char *text;
} constants[] = {
    {&DONE, "done"},           {&FAILED, "failed"}, {&CANCELLED, "cancelled"}, {&CLOSED, "closed"},
    {&COLLECTED, "collected"}, {&OPEN, "open"},     {&KEPT, "kept"},           {&DROPPED, "dropped"},
};

int
lifetimes_add(PyObject *module)
{
    for (size_t nth = 0; nth < Py_ARRAY_LENGTH(constants); nth++) {
        *constants[nth].constant = PyUnicode_InternFromString(constants[nth].text);
        if (*constants[nth].constant == NULL) {
            return -1;
        }
    }
    if (add_type(module, &lifetime_spec, NULL, &Lifetime_Type) < 0 ||
        add_type(module, &recorded_spec, Lifetime_Type, &RecordedLifetime_Type) < 0 ||
        add_type(module, &span_spec, RecordedLifetime_Type, &SpanLifetime_Type) < 0 ||
        lifetime_name_fields(Lifetime_Type) < 0 ||
        lifetime_name_fields(RecordedLifetime_Type) < 0) {
        return -1;
    }
    return lifetime_name_fields(SpanLifetime_Type);
}
