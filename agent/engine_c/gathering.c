/* From a span to its record: all that is needed of it to write its bytes.

   Python is asked for what is rare: the pieces of a new template, and the bytes of a span that goes
   the long way. */

#include "encoder.h"

#define FEWEST_RECORDS 256

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
    if (gathered == TAKEN) {
        record.size = size_of_message(&record);
    }
    else {
        packer->appended.size = appended;
    }
    if (gathered == LONG_WAY) {
        gathered = take_by_itself(packer, lifetime, &record);
    }
    size_t whole = gathered == TAKEN ? record_size(&record) : 0;
    if (whole == 0) {
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
    packer->largest = Py_MAX(packer->largest, whole);
    return TAKEN;
}
