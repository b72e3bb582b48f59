/* The place of an ordinary lifetime in its trace: below its parent, or at the root of a new trace.

   Twin of `give`, `place_ordinary` and `place_each` in agent/engine/placing.py.  Ordinary is what
   roots nothing that is linked, was never cut into segments, and whose ancestors up to the first
   that has a place are certain to be exported.  All else is placed there, and so are places without
   memory for them.

   Nothing here runs the program's code, or Python's, before all places are given: other threads see
   either none of them or all. */

#include "engine.h"

/* The depth of the deepest span of a trace, as placing.py says. */
#define MAX_DEPTH 48

/* Lifetimes without a place, from one that has ended upwards, and what they stand below. */
typedef struct {
    SpanLifetime *unplaced[MAX_DEPTH];
    int number;
    SpanLifetime *above; /* the first that has a place, or NULL */
} Ancestry;

/* Whether it will be exported for certain once it is told to be kept. */
static inline bool
is_certain(SpanLifetime *ancestor)
{
    return ancestor->base.transparency == NOT_TRANSPARENT && ancestor->segments == NULL &&
           (ancestor->fate == KEPT || (ancestor->fate == NULL && ancestor->base.listed));
}

/* False: it has an ancestor that is not ordinary. */
static inline bool
find_ancestry(SpanLifetime *lifetime, Ancestry *found)
{
    found->unplaced[0] = lifetime;
    found->number = 1;
    SpanLifetime *ancestor = lifetime->base.parent;
    for (; ancestor != NULL && ancestor->span == NULL; ancestor = ancestor->base.parent) {
        if (!is_certain(ancestor) || found->number == MAX_DEPTH) {
            return false;
        }
        found->unplaced[found->number++] = ancestor;
    }
    found->above = ancestor;
    return ancestor == NULL || (is_certain(ancestor) && Py_IS_TYPE(ancestor->span, Span_Type));
}

/* Whether all of them find room below what they stand below. */
static inline bool
has_room(const Ancestry *ancestry, long long max_spans)
{
    if (ancestry->above == NULL) {
        return ancestry->number <= max_spans;
    }
    Span *above = (Span *)ancestry->above->span;
    return above->depth + ancestry->number <= MAX_DEPTH && is_none(above->trace->remote) &&
           above->trace->spans + ancestry->number <= max_spans;
}

/* A place at the root of a new trace: a new reference, or NULL without memory.  The collector is
   told of the root, for its trace leads back to it. */
static Span *
root_span(SpanLifetime *root)
{
    Trace *trace = trace_new((PyObject *)root);
    if (trace == NULL) {
        return NULL;
    }
    Span *span = span_new(trace, root->base.base.async_id, 0, NULL);
    if (span != NULL) {
        trace->spans = 1;
        trace->top = Py_NewRef((PyObject *)span);
        PyObject_GC_Track(span);
        if (!PyObject_GC_IsTracked((PyObject *)root)) {
            PyObject_GC_Track(root);
        }
    }
    Py_DECREF((PyObject *)trace);
    return span;
}

/* The headers of the request that it serves are its trace's: moved there, for a sampler to look at.
   False if they cannot be. */
static bool
move_carrier(SpanLifetime *root)
{
    static PyObject *key;
    if (root->attributes == NULL || !PyDict_CheckExact(root->attributes)) {
        return root->attributes == NULL;
    }
    if (key == NULL && (key = PyUnicode_InternFromString("carrier")) == NULL) {
        PyErr_Clear();
        return false;
    }
    PyObject *carrier = PyDict_GetItemWithError(root->attributes, key);
    if (carrier == NULL) {
        PyErr_Clear();
        return true;
    }
    ((Span *)root->span)->trace->carrier = Py_NewRef(carrier);
    return PyDict_DelItem(root->attributes, key) == 0;
}

/* Give each its place, the oldest first; false without memory, or if Python has to. */
static bool
give_places(const Ancestry *ancestry)
{
    Span *above = ancestry->above == NULL ? NULL : (Span *)ancestry->above->span;
    for (int nth = ancestry->number; nth-- > 0;) {
        SpanLifetime *child = ancestry->unplaced[nth];
        Span *span;
        if (above == NULL) {
            span = root_span(child);
        }
        else {
            span = span_new(above->trace, child->base.base.async_id, 0, above);
        }
        if (span == NULL) {
            return false;
        }
        if (above != NULL) {
            above->trace->spans++;
        }
        child->span = (PyObject *)span;
        if (above == NULL && !move_carrier(child)) {
            PyErr_Clear();
        }
        above = span;
    }
    return true;
}

/* Its record goes to the exporters, and nothing more is added to it. */
static inline void
hand_out(SpanLifetime *lifetime)
{
    Span *span = (Span *)lifetime->span;
    SpanLifetime *parent = lifetime->base.parent;
    span->consumer = parent != NULL && parent->fate == KEPT && parent->fire_and_forget &&
                     parent->ended <= lifetime->ended;
    span->out = true;
    if (span->trace->top == (PyObject *)span) {
        Py_CLEAR(span->trace->top);
    }
    Py_CLEAR(lifetime->spliced);
    Py_CLEAR(lifetime->base.parent);
}

/* Place an ended lifetime, if it is ordinary. */
static inline bool
place_one(SpanLifetime *lifetime, long long max_spans)
{
    if (lifetime->link != NULL || lifetime->links != NULL || lifetime->segments != NULL) {
        return false;
    }
    SpanLifetime *parent = lifetime->base.parent;
    if (lifetime->span != NULL) {
        if (!Py_IS_TYPE(lifetime->span, Span_Type) || (parent != NULL && !is_certain(parent))) {
            return false;
        }
        if (parent != NULL) {
            parent->keep = true;
        }
        hand_out(lifetime);
        return true;
    }
    Ancestry ancestry;
    if (!find_ancestry(lifetime, &ancestry) || !has_room(&ancestry, max_spans)) {
        return false;
    }
    for (int nth = 1; nth < ancestry.number; nth++) {
        ancestry.unplaced[nth]->keep = true;
    }
    if (ancestry.above != NULL) {
        ancestry.above->keep = true;
    }
    if (!give_places(&ancestry)) {
        return false;
    }
    hand_out(lifetime);
    return true;
}

/* ---- In Python ---------------------------------------------------------------------------- */

/* give(lifetime, span) */
static PyObject *
give(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !PyObject_TypeCheck(args[0], SpanLifetime_Type) ||
        !Py_IS_TYPE(args[1], Span_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a SpanLifetime and a Span");
        return NULL;
    }
    SpanLifetime *lifetime = (SpanLifetime *)args[0];
    if (lifetime->span == NULL) {
        lifetime->span = Py_NewRef(args[1]);
        if (!PyObject_GC_IsTracked(args[0])) {
            PyObject_GC_Track(args[0]);
        }
    }
    return Py_NewRef(lifetime->span);
}

/* place_ordinary(lifetime, max_spans) */
static PyObject *
place_ordinary(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 2 || !PyObject_TypeCheck(args[0], SpanLifetime_Type)) {
        PyErr_SetString(PyExc_TypeError, "expected a SpanLifetime and a number");
        return NULL;
    }
    long long max_spans = PyLong_AsLongLong(args[1]);
    if (max_spans == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return PyBool_FromLong(place_one((SpanLifetime *)args[0], max_spans));
}

#define SOON 8 /* lifetimes ahead */

/* Leave in a list those that are not None.  Needs no memory. */
static void
close_gaps(PyObject *list)
{
    Py_ssize_t kept = 0;
    for (Py_ssize_t nth = 0; nth < PyList_GET_SIZE(list); nth++) {
        PyObject *item = PyList_GET_ITEM(list, nth);
        if (item == Py_None) {
            Py_DECREF(item);
        }
        else {
            PyList_SET_ITEM(list, kept, item);
            kept++;
        }
    }
    Py_SET_SIZE(list, kept);
}

/* place_each(lifetimes, max_spans, place): the list, which has those left that are exported.
   `place` is for what is not ordinary. */
static PyObject *
place_each(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t number)
{
    if (number != 3 || !PyList_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "expected a list, a number and a function");
        return NULL;
    }
    PyObject *lifetimes = args[0], *place = args[2];
    long long max_spans = PyLong_AsLongLong(args[1]);
    if (max_spans == -1 && PyErr_Occurred()) {
        return NULL;
    }
    bool has_gaps = false;
    for (Py_ssize_t nth = 0; nth < PyList_GET_SIZE(lifetimes); nth++) {
        if (nth + SOON < PyList_GET_SIZE(lifetimes)) {
            prefetch_object(PyList_GET_ITEM(lifetimes, nth + SOON), sizeof(SpanLifetime));
        }
        PyObject *lifetime = PyList_GET_ITEM(lifetimes, nth);
        if (!PyObject_TypeCheck(lifetime, SpanLifetime_Type)) {
            return PyErr_Format(PyExc_TypeError, "expected a SpanLifetime, not %R", lifetime);
        }
        int is_placed = place_one((SpanLifetime *)lifetime, max_spans);
        if (!is_placed) {
            PyObject *result = PyObject_CallOneArg(place, Py_NewRef(lifetime));
            is_placed = result == NULL ? -1 : PyObject_IsTrue(result);
            Py_XDECREF(result);
            Py_DECREF(lifetime);
        }
        if (is_placed < 0) {
            return NULL;
        }
        if (!is_placed) {
            has_gaps = true;
            PyList_SetItem(lifetimes, nth, Py_NewRef(Py_None));
        }
    }
    if (has_gaps) {
        close_gaps(lifetimes);
    }
    return Py_NewRef(lifetimes);
}

static PyMethodDef functions[] = {
    {"give", (PyCFunction)(void (*)(void))give, METH_FASTCALL,
     "Give a lifetime its place, if it has none; the one it has then."},
    {"place_ordinary", (PyCFunction)(void (*)(void))place_ordinary, METH_FASTCALL,
     "Place an ended lifetime, if it is ordinary; whether it was."},
    {"place_each", (PyCFunction)(void (*)(void))place_each, METH_FASTCALL,
     "Place ended lifetimes: the list, which has those left that are exported."},
    {NULL, NULL, 0, NULL},
};

int
placing_add(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
