/* The encoder of spans: it packs those of a batch, one after the other, as OTLP has them in a
   request.

   What is needed of a span is gathered into a record first; the bytes of all records are then
   written without the GIL.  Python is asked for what is rare: the identity of a trace that has none
   yet, the pieces of a new template, and the bytes of a span that goes the long way.

   A packer is used by one thread at a time. */

#include "encoder.h"
#include "structmember.h"

#define SLACK (1 << 16)       /* bytes of the buffer beyond a run, for the span that ends it */
#define WORTH_A_SWITCH 64     /* records: with fewer the GIL is not given up to write them */
#define FEWEST_RECORDS 256
#define MOST_KEPT (4 << 20)   /* bytes that are kept for what is appended in the next run */
#define SEGMENT_SHIFT 38      /* of what stands above the lowest ID_LOW_BITS of an id */
#define ID_LOW_BITS 10

/* A trace, as all its spans need it; one after the other are mostly of the same. */
typedef struct {
    Trace *trace;                /* owned, or NULL */
    TraceIdentity *identity;     /* owned */
    bool is_plain;               /* nothing of it has to be said in each span */
    bool has_attributes;         /* its root has some that no other has */
} Whose;

/* A parent that is not ours, as its spans need it. */
typedef struct {
    PyObject *context; /* owned, or NULL */
    uint64_t span_id;
    bool is_known;
    bool is_remote;
} Foreign;

typedef struct {
    PyObject_HEAD
    PyObject *owner;        /* has `identity_of`, `template_of` and `by_itself` */
    PyObject *private_keys; /* a frozenset: attributes that are not sent */
    PyObject *reasons[2];   /* bytes: the attribute of a link to a trigger, and to a segment */
    PyObject *flags;        /* of traces that are kept without asking for each; or NULL */
    PyObject *make_ids;     /* with `flags`: gives the bytes of trace ids */
    PyObject *ids;          /* what it gave, or NULL */
    Py_ssize_t ids_used;    /* bytes of that */
    uint64_t seed;
    size_t most;
    Py_ssize_t max_attributes; /* -1: any number */
    Py_ssize_t max_links;
    bool shortens; /* texts are limited: attributes go the long way */
    bool busy;
    Py_ssize_t unsampled;
    Templates templates;
    Whose whose;
    Foreign foreign;
    Growing appended;
    Record *records;
    size_t number;
    size_t allocated;
    size_t size;      /* of the run, as far as it is gathered */
    PyObject *others; /* a list of the bytes that records point to */
    PyObject *buffer; /* a bytearray, or NULL */
} Packer;

static PyTypeObject *Packer_Type;

typedef enum { TAKEN, UNSAMPLED, FULL, LONG_WAY, BROKEN } Gathered;

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

static void
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
static inline Gathered
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

/* Fetch what a lifetime that comes soon keeps in memory: they lie anywhere. */
static inline void
prefetch(PyObject *batch, Py_ssize_t nth)
{
#if defined(__GNUC__) || defined(__clang__)
    if (nth < PyList_GET_SIZE(batch)) {
        char *lifetime = (char *)PyList_GET_ITEM(batch, nth);
        for (size_t line = 0; line < sizeof(SpanLifetime); line += 64) {
            __builtin_prefetch(lifetime + line);
        }
    }
#else
    (void)batch, (void)nth;
#endif
}

/* Gather from here on until the run is full; where it ends, or -1 with an exception set. */
static Py_ssize_t
gather(Packer *packer, PyObject *batch, Py_ssize_t at)
{
    for (; at < PyList_GET_SIZE(batch) && packer->size < packer->most; at++) {
        prefetch(batch, at + 8);
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
    packer->number = packer->size = packer->appended.size = 0;
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

static void
write_run(Packer *packer, char *at)
{
    PyThreadState *thread = NULL;
    if (packer->number >= WORTH_A_SWITCH) {
        thread = PyEval_SaveThread();
    }
    write_records(at, packer->records, packer->number, packer->appended.bytes);
    if (thread != NULL) {
        PyEval_RestoreThread(thread);
    }
}

/* The bytes of what was gathered: a view of the buffer, or bytes if it has no room for them. */
static PyObject *
bytes_of_run(Packer *packer)
{
    size_t room = packer->most + SLACK;
    if (packer->size > room) {
        PyObject *whole = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)packer->size);
        if (whole != NULL) {
            write_run(packer, PyBytes_AS_STRING(whole));
        }
        return whole;
    }
    if (packer->buffer == NULL) {
        packer->buffer = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)room);
        if (packer->buffer == NULL) {
            return NULL;
        }
    }
    PyObject *whole = PyMemoryView_FromObject(packer->buffer);
    if (whole == NULL) {
        return NULL;
    }
    write_run(packer, PyByteArray_AS_STRING(packer->buffer));
    PyObject *view = PySequence_GetSlice(whole, 0, (Py_ssize_t)packer->size);
    Py_DECREF(whole);
    return view;
}

/* run(batch, at): where the next run begins, how many spans are in this one, and their bytes. */
static PyObject *
packer_run(PyObject *self, PyObject *args)
{
    Packer *packer = (Packer *)self;
    PyObject *batch, *bytes = NULL;
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
        bytes = bytes_of_run(packer);
    }
    whose_clear(&packer->whose);
    Py_CLEAR(packer->foreign.context);
    packer->busy = false;
    return bytes == NULL ? NULL : Py_BuildValue("nnN", at, (Py_ssize_t)packer->number, bytes);
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
