/* Whose a span is: its id, its trace, and a parent that is not ours.

   A trace has its identity with the first of its spans that comes out.  Python gives it, but for
   one that is kept in any case and continues none of another process. */

#include "encoder.h"

#define SEGMENT_SHIFT 38 /* of what stands above the lowest ID_LOW_BITS of an id */
#define ID_LOW_BITS 10

static inline uint64_t
mixed(uint64_t number)
{
    number *= 0x9E3779B97F4A7C15ULL;
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9ULL;
    number = (number ^ number >> 27) * 0x94D049BB133111EBULL;
    return number ^ number >> 31;
}

/* The number whose little-endian bytes are the id: SpanIds.raw of exporters/identity.py. */
uint64_t
span_id(uint64_t seed, int64_t async_id, int64_t segment)
{
    uint64_t low = (uint64_t)async_id & ((1 << ID_LOW_BITS) - 1);
    uint64_t high = (uint64_t)segment << SEGMENT_SHIFT | (uint64_t)(async_id >> ID_LOW_BITS);
    uint64_t id = mixed(seed + low) ^ mixed(~seed ^ high);
    return id != 0 ? id : 1;
}

static uint64_t
swapped(uint64_t number)
{
    uint64_t other = 0;
    for (int nth = 0; nth < 8; nth++) {
        other = other << 8 | (number >> (8 * nth) & 0xFF);
    }
    return other;
}

/* A trace id that nobody has; NULL with an exception set.  Python gives many at once. */
static const uint8_t *
next_trace_id(Packer *packer)
{
    if (packer->ids == NULL || packer->ids_used + 16 > PyBytes_GET_SIZE(packer->ids)) {
        PyObject *ids = PyObject_CallNoArgs(packer->make_ids);
        if (ids == NULL || !PyBytes_CheckExact(ids) || PyBytes_GET_SIZE(ids) < 16) {
            if (ids != NULL) {
                PyErr_Format(PyExc_TypeError, "expected the bytes of trace ids, not %R", ids);
                Py_DECREF(ids);
            }
            return NULL;
        }
        Py_XSETREF(packer->ids, ids);
        packer->ids_used = 0;
    }
    const char *id = PyBytes_AS_STRING(packer->ids) + packer->ids_used;
    packer->ids_used += 16;
    return (const uint8_t *)id;
}

/* The identity of a trace that is kept in any case, and continues none of another process. */
static TraceIdentity *
identity_of_kept(Packer *packer, Trace *trace)
{
    const uint8_t *id = next_trace_id(packer);
    TraceIdentity *made = id == NULL ? NULL : identity_new(id, packer->flags);
    if (made == NULL) {
        return NULL;
    }
    TraceIdentity *identity = trace_identify(trace, made);
    Py_DECREF((PyObject *)made);
    return identity;
}

/* The identity of a trace, a new reference; NULL with an exception set. */
TraceIdentity *
identity_of(Packer *packer, Trace *trace)
{
    if (LIKELY(trace->identity != NULL)) {
        return (TraceIdentity *)Py_NewRef((PyObject *)trace->identity);
    }
    if (packer->flags != NULL && is_none(trace->remote) && is_none(trace->carrier)) {
        return identity_of_kept(packer, trace);
    }
    PyObject *found = PyObject_CallMethod(packer->owner, "identity_of", "O", trace);
    if (found != NULL && !Py_IS_TYPE(found, TraceIdentity_Type)) {
        PyErr_Format(PyExc_TypeError, "expected a TraceIdentity, not %R", found);
        Py_CLEAR(found);
    }
    return (TraceIdentity *)found;
}

/* Whether a field holds something that is true; -1 with an exception set. */
int
says_something(PyObject *field)
{
    return is_none(field) ? 0 : PyObject_IsTrue(field);
}

void
whose_clear(Whose *whose)
{
    Py_CLEAR(whose->trace);
    Py_CLEAR(whose->identity);
}

/* Come to the spans of a trace; -1 with an exception set. */
int
whose_is(Packer *packer, Trace *trace)
{
    Whose *whose = &packer->whose;
    if (LIKELY(whose->trace == trace)) {
        return 0;
    }
    whose_clear(whose);
    TraceIdentity *identity = identity_of(packer, trace);
    if (identity == NULL) {
        return -1;
    }
    whose->identity = identity;
    int has_state = says_something(identity->state);
    int has_attributes = has_state < 0 ? -1 : says_something(identity->attributes);
    if (has_attributes < 0) {
        return -1;
    }
    whose->is_plain = identity->is_id && identity->epoch >= 0 && !has_state;
    whose->has_attributes = has_attributes;
    whose->trace = (Trace *)Py_NewRef((PyObject *)trace);
    return 0;
}

/* The SpanContext of a parent that is not ours: what its spans need of it.  `is_known` is false if
   it cannot be read. */
void
look_at_foreign(Foreign *foreign, PyObject *context)
{
    if (foreign->context == context) {
        return;
    }
    Py_XSETREF(foreign->context, Py_NewRef(context));
    PyObject *id = PyObject_GetAttrString(context, "span_id");
    PyObject *remote = id == NULL ? NULL : PyObject_GetAttrString(context, "is_remote");
    uint64_t number = remote == NULL ? 0 : PyLong_AsUnsignedLongLong(id);
    foreign->is_known = remote != NULL && PyBool_Check(remote) && !PyErr_Occurred();
    foreign->is_remote = remote == Py_True;
    foreign->span_id = swapped(number);
    PyErr_Clear();
    Py_XDECREF(id);
    Py_XDECREF(remote);
}
