/* From a span to its record: all that is needed of it to write its bytes.

   Python is asked for what is rare: the identity of a trace that has none yet, the pieces of a new
   template, and the bytes of a span that goes the long way. */

#include "encoder.h"

#define FEWEST_RECORDS 256
#define SEGMENT_SHIFT 38 /* of what stands above the lowest ID_LOW_BITS of an id */
#define ID_LOW_BITS 10

/* ---- who a span is ---- */

static inline uint64_t
mixed(uint64_t number)
{
    number *= 0x9E3779B97F4A7C15ULL;
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9ULL;
    number = (number ^ number >> 27) * 0x94D049BB133111EBULL;
    return number ^ number >> 31;
}

/* The number whose little-endian bytes are the id: SpanIds.raw of exporters/identity.py. */
static inline uint64_t
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
static TraceIdentity *
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
static inline int
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
static int
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
static void
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

/* ---- one span ---- */

/* Its parent, in the record and among the traits; false if it has to go the long way. */
static inline bool
take_parent(Packer *packer, const Span *place, Record *record, unsigned char *traits)
{
    if (LIKELY(place->has_parent)) {
        *traits |= HAS_PARENT;
        record->parent_id = span_id(packer->seed, place->parent_async_id, place->parent_segment);
        return is_none(place->above);
    }
    if (packer->whose.has_attributes) {
        return false;
    }
    PyObject *context = place->above;
    if (is_none(context)) {
        context = packer->whose.identity->remote_parent;
    }
    if (is_none(context)) {
        return true;
    }
    look_at_foreign(&packer->foreign, context);
    *traits |= HAS_PARENT | (packer->foreign.is_remote ? PARENT_IS_REMOTE : 0);
    record->parent_id = packer->foreign.span_id;
    return packer->foreign.is_known;
}

/* Its times and numbers; false if they are not as they should be. */
static inline bool
take_numbers(const Packer *packer, const SpanLifetime *lifetime, Record *record)
{
    const RecordedLifetime *recorded = &lifetime->base;
    int64_t created = recorded->base.created, ended = lifetime->ended;
    int64_t run = recorded->run, ready = recorded->ready;
    if (created < 0 || ended < created || run < 0 || ready < 0 || run > ended - created ||
        ready > ended - created - run) {
        return false;
    }
    uint64_t epoch = (uint64_t)packer->whose.identity->epoch;
    record->start = epoch + (uint64_t)created;
    record->end = epoch + (uint64_t)ended;
    record->numbers[ROOM_ASYNC_ID] = recorded->base.async_id;
    record->numbers[ROOM_TRIGGER_ID] = recorded->base.trigger_async_id;
    record->numbers[ROOM_EXECUTION_ID] = lifetime->execution_async_id;
    record->numbers[ROOM_STEPS] = recorded->steps;
    record->numbers[ROOM_RUN] = run;
    record->numbers[ROOM_READY] = ready;
    record->numbers[ROOM_WAIT] = ended - created - run - ready;
    return true;
}

static inline bool
is_text_or_none(PyObject *object)
{
    return object == NULL || PyUnicode_CheckExact(object);
}

/* What it must have in common with others; false if it has nothing. */
static inline bool
take_likeness(const SpanLifetime *lifetime, const Span *place, unsigned char traits,
              Likeness *likeness)
{
    static PyObject *key;
    PyObject *kind = NULL;
    if (lifetime->attributes != NULL) {
        if (key == NULL && (key = PyUnicode_InternFromString("kind")) == NULL) {
            PyErr_Clear();
            return false;
        }
        if (!PyDict_CheckExact(lifetime->attributes)) {
            return false;
        }
        kind = PyDict_GetItemWithError(lifetime->attributes, key);
        if (kind == NULL && PyErr_Occurred()) {
            PyErr_Clear();
            return false;
        }
        kind = is_none(kind) ? NULL : kind;
    }
    likeness->type = lifetime->base.base.type;
    likeness->name = lifetime->name;
    likeness->outcome = lifetime->outcome;
    likeness->kind = kind;
    likeness->code = lifetime->base.code;
    likeness->thread_id = lifetime->thread_id;
    likeness->lasti = lifetime->base.lasti;
    likeness->traits = (unsigned char)(traits | (lifetime->fire_and_forget ? FIRE_AND_FORGET : 0) |
                                       (place->consumer ? CONSUMER : 0));
    return likeness->type != NULL && is_text_or_none(likeness->name) &&
           is_text_or_none(likeness->outcome) && is_text_or_none(kind);
}

/* Have Python say what all spans like this one consist of. */
static Gathered
make_template(Packer *packer, SpanLifetime *lifetime, Template *template)
{
    PyObject *description = PyObject_CallMethod(packer->owner, "template_of", "O", lifetime);
    if (description == NULL) {
        return BROKEN;
    }
    template->state = IMPOSSIBLE;
    int failed = description == Py_None ? 0 : template_make(template, description);
    Py_DECREF(description);
    if (failed < 0) {
        return BROKEN;
    }
    return template->state == MADE ? TAKEN : LONG_WAY;
}

/* Its template; LONG_WAY if there is none. */
static inline Gathered
take_template(Packer *packer, SpanLifetime *lifetime, const Likeness *likeness, Record *record)
{
    size_t known = packer->templates.number;
    Template *template = templates_find(&packer->templates, likeness);
    if (template == NULL) {
        return PyErr_Occurred() ? BROKEN : LONG_WAY;
    }
    record->template = template;
    if (LIKELY(template->state == MADE)) {
        return TAKEN;
    }
    if (template->state == IMPOSSIBLE || packer->templates.number > known) {
        return LONG_WAY;
    }
    return make_template(packer, lifetime, template);
}

/* The link of a root; LONG_WAY if it cannot be encoded here. */
static Gathered
take_link(Packer *packer, SpanLifetime *lifetime)
{
    PyObject *link = lifetime->link;
    if (!Py_IS_TYPE(link, Span_Type) || packer->max_links == 0) {
        return LONG_WAY;
    }
    Span *target = (Span *)Py_NewRef(link);
    Gathered gathered = LONG_WAY;
    TraceIdentity *identity = NULL;
    if (is_none(target->context)) {
        identity = identity_of(packer, target->trace);
        gathered = identity == NULL ? BROKEN : LONG_WAY;
    }
    if (identity != NULL) {
        int has_state = says_something(identity->state);
        uint64_t id = span_id(packer->seed, target->async_id, target->segment);
        PyObject *reason = packer->reasons[target->async_id == lifetime->base.base.async_id];
        if (has_state < 0) {
            gathered = BROKEN;
        }
        else if (!has_state && identity->is_id &&
                 append_link(&packer->appended, identity->trace_id, id, reason)) {
            gathered = TAKEN;
        }
        Py_DECREF((PyObject *)identity);
    }
    Py_DECREF((PyObject *)target);
    return gathered;
}

/* What is its own: attributes and a link. */
static inline Gathered
take_appended(Packer *packer, SpanLifetime *lifetime, Record *record)
{
    Growing *appended = &packer->appended;
    PyObject *attributes = lifetime->attributes;
    record->appended_at = appended->size;
    if (attributes != NULL && PyDict_GET_SIZE(attributes) > 0) {
        Py_ssize_t number = PySet_GET_SIZE(record->template->keys) + PyDict_GET_SIZE(attributes);
        if (packer->shortens || (packer->max_attributes >= 0 && number > packer->max_attributes) ||
            !append_attributes(appended, attributes, record->template, packer->private_keys)) {
            return LONG_WAY;
        }
    }
    if (lifetime->link != NULL) {
        Gathered gathered = take_link(packer, lifetime);
        if (gathered != TAKEN) {
            return gathered;
        }
    }
    record->appended_size = appended->size - record->appended_at;
    return TAKEN;
}

static inline size_t
size_of_message(const Record *record)
{
    size_t size = record->template->size + record->appended_size;
    for (int room = 0; room < INT_ROOMS; room++) {
        size += varint_size((uint64_t)record->numbers[room]);
    }
    return size;
}

/* Whether nothing of it is only for the long way, as far as one look tells. */
static inline bool
is_ordinary(const SpanLifetime *lifetime, const Span *place)
{
    return lifetime->base.error == NULL && lifetime->events == NULL && lifetime->segments == NULL &&
           lifetime->links == NULL && is_none(place->counted);
}

/* All that the record of a span needs. */
static inline Gathered
take_span(Packer *packer, SpanLifetime *lifetime, const Span *place, Record *record)
{
    unsigned char traits = 0;
    Likeness likeness;
    if (!packer->whose.is_plain || !is_ordinary(lifetime, place) ||
        !take_parent(packer, place, record, &traits) || !take_numbers(packer, lifetime, record) ||
        !take_likeness(lifetime, place, traits, &likeness)) {
        return LONG_WAY;
    }
    memcpy(record->trace_id, packer->whose.identity->trace_id, sizeof(record->trace_id));
    record->span_id = span_id(packer->seed, place->async_id, place->segment);
    record->appended_size = 0;
    Gathered gathered = take_template(packer, lifetime, &likeness, record);
    if (gathered == TAKEN && (lifetime->attributes != NULL || lifetime->link != NULL)) {
        gathered = take_appended(packer, lifetime, record);
    }
    return gathered;
}

/* The bytes that Python makes of a span; none if there is no way. */
static Gathered
take_by_itself(Packer *packer, SpanLifetime *lifetime, Record *record)
{
    PyObject *encoded = PyObject_CallMethod(packer->owner, "by_itself", "O", lifetime);
    if (encoded == NULL) {
        return BROKEN;
    }
    if (!PyBytes_CheckExact(encoded)) {
        PyErr_Format(PyExc_TypeError, "expected bytes, not %R", encoded);
        Py_DECREF(encoded);
        return BROKEN;
    }
    record->template = NULL;
    record->encoded = PyBytes_AS_STRING(encoded);
    record->size = (size_t)PyBytes_GET_SIZE(encoded);
    int failed = PyList_Append(packer->others, encoded);
    Py_DECREF(encoded);
    return failed < 0 ? BROKEN : TAKEN;
}

/* ---- a run of spans ---- */

static int
grow_records(Packer *packer)
{
    size_t allocated = packer->allocated == 0 ? FEWEST_RECORDS : packer->allocated * 2;
    Record *records = PyMem_Realloc(packer->records, allocated * sizeof(Record));
    if (records == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    packer->records = records;
    packer->allocated = allocated;
    return 0;
}

/* Gather one more; FULL if it has to wait for the next run. */
Gathered
gather_one(Packer *packer, SpanLifetime *lifetime)
{
    Span *place = (Span *)lifetime->span;
    if (place == NULL || !Py_IS_TYPE((PyObject *)place, Span_Type)) {
        PyErr_SetString(PyExc_ValueError, "a lifetime comes out of the pipeline with its place");
        return BROKEN;
    }
    if (whose_is(packer, place->trace) < 0) {
        return BROKEN;
    }
    if (!packer->whose.identity->sampled) {
        return UNSAMPLED;
    }
    size_t appended = packer->appended.size;
    /* Not where it will stand: Python may be asked, and what that runs is anybody's. */
    Record record;
    Gathered gathered = take_span(packer, lifetime, place, &record);
    size_t whole = 0;
    if (gathered == TAKEN) {
        record.size = size_of_message(&record);
        whole = 1 + varint_size(record.size) + record.size;
    }
    else {
        packer->appended.size = appended;
    }
    if (gathered == LONG_WAY) {
        gathered = take_by_itself(packer, lifetime, &record);
        whole = gathered == TAKEN ? record.size : 0;
    }
    if (gathered != TAKEN || whole == 0) {
        return gathered;
    }
    if (packer->number > 0 && packer->size + whole > packer->most + SLACK) {
        packer->appended.size = appended;
        return FULL;
    }
    if (packer->number == packer->allocated && grow_records(packer) < 0) {
        return BROKEN;
    }
    packer->records[packer->number++] = record;
    packer->size += whole;
    return TAKEN;
}
