/* Places in traces: what a lifetime's span needs to know of others, and they of it.

   Twin of agent/engine/places.py.  A place may be given by the sender thread or by one of the
   program's; here it is the GIL that makes the first one count.

   A place that is made for the ordinary child of a trace is unknown to the collector: its trace
   leads to the root and never to it, so no cycle goes through it. */

#include "free_list.h"
#include "structmember.h"

PyTypeObject *Trace_Type, *Span_Type;

/* The sender lets go of as many with a batch. */
static PyObject *spans_kept[8192], *traces_kept[1024];

static FreeList free_spans = FREE_LIST(spans_kept);
static FreeList free_traces = FREE_LIST(traces_kept);

#define SOON 8 /* spans ahead */

/* ---- Trace -------------------------------------------------------------------------------- */

Trace *
trace_new(PyObject *root)
{
    Trace *trace = (Trace *)free_list_take(&free_traces, Trace_Type);
    if (trace == NULL && (trace = PyObject_GC_New(Trace, Trace_Type)) == NULL) {
        PyErr_Clear();
        return NULL;
    }
    trace->weak_references = NULL;
    trace->admitted = trace->wanted = trace->carrier = trace->remote = NULL;
    trace->root = Py_XNewRef(root);
    trace->identity = NULL;
    trace->top = NULL;
    trace->spans = 0;
    PyObject_GC_Track(trace);
    return trace;
}

static PyObject *
trace_construct(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *keywords)
{
    static char *names[] = {"root", NULL};
    PyObject *root;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O", names, &root)) {
        return NULL;
    }
    Trace *trace = trace_new(root);
    return trace == NULL ? PyErr_NoMemory() : (PyObject *)trace;
}

TraceIdentity *
trace_identify(Trace *trace, TraceIdentity *identity)
{
    if (trace->identity == NULL) {
        trace->identity = (TraceIdentity *)Py_NewRef((PyObject *)identity);
    }
    identity = (TraceIdentity *)Py_NewRef((PyObject *)trace->identity);
    Py_CLEAR(trace->root);
    Py_CLEAR(trace->carrier);
    return identity;
}

static PyObject *
trace_identify_method(PyObject *self, PyObject *identity)
{
    if (!Py_IS_TYPE(identity, TraceIdentity_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a TraceIdentity, not %R", identity);
        return NULL;
    }
    return (PyObject *)trace_identify((Trace *)self, (TraceIdentity *)identity);
}

static int
trace_traverse(PyObject *self, visitproc visit, void *arg)
{
    Trace *trace = (Trace *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(trace->root);
    Py_VISIT(trace->carrier);
    Py_VISIT(trace->remote);
    Py_VISIT(trace->identity);
    Py_VISIT(trace->top);
    return 0;
}

static int
trace_clear(PyObject *self)
{
    Trace *trace = (Trace *)self;
    Py_CLEAR(trace->root);
    Py_CLEAR(trace->carrier);
    Py_CLEAR(trace->remote);
    Py_CLEAR(trace->identity);
    Py_CLEAR(trace->top);
    return 0;
}

static void
trace_dealloc(PyObject *self)
{
    Trace *trace = (Trace *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (trace->weak_references != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    trace_clear(self);
    Py_CLEAR(trace->admitted);
    Py_CLEAR(trace->wanted);
    if (!free_list_keep(&free_traces, self)) {
        type->tp_free(self);
    }
    Py_DECREF(type);
}

static PyMethodDef trace_methods[] = {
    {"identify", trace_identify_method, METH_O,
     "Give it an identity, if it has none; it never gets another.  Any thread."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef trace_members[] = {
    {"admitted", T_OBJECT, offsetof(Trace, admitted), 0, NULL},
    {"wanted", T_OBJECT, offsetof(Trace, wanted), 0, NULL},
    {"root", T_OBJECT, offsetof(Trace, root), 0, NULL},
    {"carrier", T_OBJECT, offsetof(Trace, carrier), 0, NULL},
    {"remote", T_OBJECT, offsetof(Trace, remote), 0, NULL},
    {"identity", T_OBJECT, offsetof(Trace, identity), READONLY, NULL},
    {"top", T_OBJECT, offsetof(Trace, top), 0, NULL},
    {"spans", T_LONGLONG, offsetof(Trace, spans), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Trace, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot trace_slots[] = {
    {Py_tp_doc, "One tree of spans."},
    {Py_tp_new, trace_construct},
    {Py_tp_traverse, trace_traverse},
    {Py_tp_clear, trace_clear},
    {Py_tp_dealloc, trace_dealloc},
    {Py_tp_methods, trace_methods},
    {Py_tp_members, trace_members},
    {0, NULL},
};

static PyType_Spec trace_spec = {
    .name = "whence._engine.Trace",
    .basicsize = sizeof(Trace),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = trace_slots,
};

/* ---- Span --------------------------------------------------------------------------------- */

Span *
span_new(Trace *trace, int64_t async_id, int64_t segment, Span *parent)
{
    free_list_prefetch(&free_spans, SOON, sizeof(Span));
    Span *span = (Span *)free_list_take(&free_spans, Span_Type);
    if (span == NULL && (span = PyObject_GC_New(Span, Span_Type)) == NULL) {
        PyErr_Clear();
        return NULL;
    }
    span->trace = (Trace *)Py_NewRef((PyObject *)trace);
    span->async_id = async_id;
    span->segment = segment;
    span->context = span->above = span->counted = NULL;
    span->depth = 0;
    span->has_parent = span->out = span->consumer = false;
    if (parent != NULL) {
        span->depth = parent->depth + 1;
        if (is_none(parent->context)) {
            span->has_parent = true;
            span->parent_async_id = parent->async_id;
            span->parent_segment = parent->segment;
        }
        else {
            span->above = Py_NewRef(parent->context);
        }
    }
    return span;
}

static PyObject *
span_construct(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *keywords)
{
    static char *names[] = {"trace", "async_id", "segment", "parent", NULL};
    PyObject *trace, *parent;
    long long async_id, segment;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!LLO", names, Trace_Type, &trace, &async_id,
                                     &segment, &parent)) {
        return NULL;
    }
    if (parent != Py_None && !Py_IS_TYPE(parent, Span_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a Span or None, not %R", parent);
        return NULL;
    }
    Span *span = span_new((Trace *)trace, async_id, segment,
                          parent == Py_None ? NULL : (Span *)parent);
    if (span == NULL) {
        return PyErr_NoMemory();
    }
    PyObject_GC_Track(span);
    return (PyObject *)span;
}

static PyObject *
span_get_parent(PyObject *self, void *Py_UNUSED(closure))
{
    Span *span = (Span *)self;
    if (!span->has_parent) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("LL", (long long)span->parent_async_id, (long long)span->parent_segment);
}

static int
span_traverse(PyObject *self, visitproc visit, void *arg)
{
    Span *span = (Span *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(span->trace);
    Py_VISIT(span->context);
    Py_VISIT(span->above);
    Py_VISIT(span->counted);
    return 0;
}

/* Its trace stays: whoever has a place looks into that. */
static int
span_clear(PyObject *self)
{
    Span *span = (Span *)self;
    Py_CLEAR(span->context);
    Py_CLEAR(span->above);
    Py_CLEAR(span->counted);
    return 0;
}

static void
span_dealloc(PyObject *self)
{
    Span *span = (Span *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    span_clear(self);
    Py_DECREF((PyObject *)span->trace);
    if (!free_list_keep(&free_spans, self)) {
        type->tp_free(self);
    }
    Py_DECREF(type);
}

static PyMemberDef span_members[] = {
    {"trace", T_OBJECT, offsetof(Span, trace), READONLY, NULL},
    {"async_id", T_LONGLONG, offsetof(Span, async_id), 0, NULL},
    {"segment", T_LONGLONG, offsetof(Span, segment), 0, NULL},
    {"context", T_OBJECT, offsetof(Span, context), 0, NULL},
    {"above", T_OBJECT, offsetof(Span, above), 0, NULL},
    {"counted", T_OBJECT, offsetof(Span, counted), 0, NULL},
    {"depth", T_INT, offsetof(Span, depth), 0, NULL},
    {"out", T_BOOL, offsetof(Span, out), 0, NULL},
    {"consumer", T_BOOL, offsetof(Span, consumer), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef span_getset[] = {
    {"parent", span_get_parent, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot span_slots[] = {
    {Py_tp_doc, "A lifetime's place in a trace; enough for others to name it as parent or link."},
    {Py_tp_new, span_construct},
    {Py_tp_traverse, span_traverse},
    {Py_tp_clear, span_clear},
    {Py_tp_dealloc, span_dealloc},
    {Py_tp_members, span_members},
    {Py_tp_getset, span_getset},
    {0, NULL},
};

static PyType_Spec span_spec = {
    .name = "whence._engine.Span",
    .basicsize = sizeof(Span),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = span_slots,
};

int
places_add(PyObject *module)
{
    if (add_type(module, &trace_spec, NULL, &Trace_Type) < 0) {
        return -1;
    }
    return add_type(module, &span_spec, NULL, &Span_Type);
}
