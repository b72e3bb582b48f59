/* Templates of spans, by what they have in common.

   Spans of the same name, site and outcome differ in ids, times and numbers, and in nothing else.
   What a template consists of, Python says, the second time that its like is met: names without end
   are not worth one each. */

#include "encoder.h"

#define MAX_TEMPLATES 2000

/* ---- what is alike ---- */

static inline uint64_t
mix_in(uint64_t hash, uint64_t more)
{
    hash = (hash ^ more) * 0x9E3779B97F4A7C15ULL;
    return hash ^ hash >> 32;
}

/* Of a str, the same for equal ones. */
static inline uint64_t
hash_of_text(PyObject *text)
{
    return text == NULL ? 0 : (uint64_t)PyObject_Hash(text);
}

static uint64_t
hash_of(const Likeness *likeness)
{
    uint64_t hash = mix_in((uintptr_t)likeness->type, (uintptr_t)likeness->code);
    hash = mix_in(hash, (uint64_t)likeness->lasti << 8 | likeness->traits);
    hash = mix_in(hash, likeness->thread_id);
    hash = mix_in(hash, hash_of_text(likeness->name));
    hash = mix_in(hash, hash_of_text(likeness->outcome));
    return mix_in(hash, hash_of_text(likeness->kind));
}

static inline bool
is_same_text(PyObject *one, PyObject *other)
{
    if (one == other) {
        return true;
    }
    return one != NULL && other != NULL && PyUnicode_Compare(one, other) == 0;
}

static inline bool
is_alike(const Likeness *one, const Likeness *other)
{
    return one->type == other->type && one->code == other->code && one->lasti == other->lasti &&
           one->traits == other->traits && one->thread_id == other->thread_id &&
           is_same_text(one->name, other->name) && is_same_text(one->outcome, other->outcome) &&
           is_same_text(one->kind, other->kind);
}

/* ---- the table ---- */

static Template *
template_new(const Likeness *likeness, uint64_t hash)
{
    Template *made = PyMem_Calloc(1, sizeof(Template));
    if (made == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    made->likeness = *likeness;
    Py_INCREF((PyObject *)likeness->type);
    Py_XINCREF(likeness->name);
    Py_XINCREF(likeness->outcome);
    Py_XINCREF(likeness->kind);
    Py_XINCREF(likeness->code);
    made->hash = hash;
    return made;
}

static void
template_free(Template *template)
{
    PyMem_Free(template->bytes);
    Py_XDECREF(template->keys);
    Py_DECREF((PyObject *)template->likeness.type);
    Py_XDECREF(template->likeness.name);
    Py_XDECREF(template->likeness.outcome);
    Py_XDECREF(template->likeness.kind);
    Py_XDECREF(template->likeness.code);
    PyMem_Free(template);
}

bool
templates_is_full(const Templates *templates)
{
    return templates->number >= MAX_TEMPLATES;
}

Template *
templates_find(Templates *templates, const Likeness *likeness)
{
    if (templates->slots == NULL) {
        templates->slots = PyMem_Calloc(TEMPLATE_SLOTS, sizeof(Template *));
        if (templates->slots == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
    }
    uint64_t hash = hash_of(likeness);
    size_t slot = hash & (TEMPLATE_SLOTS - 1);
    for (Template *found; (found = templates->slots[slot]) != NULL;) {
        if (found->hash == hash && is_alike(&found->likeness, likeness)) {
            return found;
        }
        slot = (slot + 1) & (TEMPLATE_SLOTS - 1);
    }
    Template *made = templates_is_full(templates) ? NULL : template_new(likeness, hash);
    if (made != NULL) {
        templates->slots[slot] = made;
        templates->number++;
    }
    return made;
}

void
templates_clear(Templates *templates)
{
    Template **slots = templates->slots;
    templates->slots = NULL;
    templates->number = 0;
    for (size_t slot = 0; slots != NULL && slot < TEMPLATE_SLOTS; slot++) {
        if (slots[slot] != NULL) {
            template_free(slots[slot]);
        }
    }
    PyMem_Free(slots);
}

/* ---- what one consists of ---- */

/* One (bytes, attribute, room): what comes before, and of the attribute all but its number. */
static int
add_piece(Template *made, PyObject *description, char *bytes)
{
    PyObject *constant, *attribute;
    Piece *piece = &made->pieces[made->number];
    if (!PyArg_ParseTuple(description, "SSi", &constant, &attribute, &piece->room)) {
        return -1;
    }
    size_t size = (size_t)PyBytes_GET_SIZE(constant), more = (size_t)PyBytes_GET_SIZE(attribute);
    const char *begun = PyBytes_AS_STRING(attribute);
    bool is_int = piece->room >= 0 && piece->room < INT_ROOMS;
    /* Ten bytes at the most are added to the lengths, and they are to stay in one byte. */
    if (piece->room < 0 || piece->room > ROOMS ||
        (is_int && (more < 5 || begun[1] < 0 || begun[1] > 117 || begun[more - 2] != 1))) {
        PyErr_Format(PyExc_ValueError, "no room for a number behind %R", attribute);
        return -1;
    }
    piece->bytes = bytes;
    piece->size = size + more;
    piece->length_at = size + 1;
    put_bytes(put_bytes(bytes, PyBytes_AS_STRING(constant), size), begun, more);
    made->number++;
    made->size += piece->size + (piece->room >= INT_ROOMS && piece->room < ROOMS ? 8 : 0);
    return 0;
}

/* How many bytes the pieces have together, or -1 with an exception set. */
static Py_ssize_t
size_of_pieces(PyObject *pieces)
{
    Py_ssize_t size = 0;
    for (Py_ssize_t nth = 0; nth < PyTuple_GET_SIZE(pieces); nth++) {
        PyObject *constant, *attribute;
        int room;
        PyObject *piece = PyTuple_GET_ITEM(pieces, nth);
        if (!PyTuple_Check(piece) ||
            !PyArg_ParseTuple(piece, "SSi", &constant, &attribute, &room)) {
            if (!PyErr_Occurred()) {
                PyErr_Format(PyExc_TypeError, "expected a piece of a template, not %R", piece);
            }
            return -1;
        }
        size += PyBytes_GET_SIZE(constant) + PyBytes_GET_SIZE(attribute);
    }
    return size;
}

int
template_make(Template *made, PyObject *description)
{
    PyObject *head, *pieces, *keys;
    if (!PyTuple_Check(description)) {
        PyErr_Format(PyExc_TypeError, "expected what a template consists of, not %R", description);
        return -1;
    }
    if (!PyArg_ParseTuple(description, "SO!O!", &head, &PyTuple_Type, &pieces, &PyFrozenSet_Type,
                          &keys)) {
        return -1;
    }
    Py_ssize_t size = size_of_pieces(pieces);
    if (size < 0) {
        return -1;
    }
    if (PyTuple_GET_SIZE(pieces) > MAX_PIECES) {
        PyErr_Format(PyExc_ValueError, "expected %d pieces of a template at the most", MAX_PIECES);
        return -1;
    }
    size_t head_size = (size_t)PyBytes_GET_SIZE(head);
    char *bytes = PyMem_Malloc(head_size + (size_t)size + 1);
    if (bytes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    made->bytes = bytes;
    made->keys = Py_NewRef(keys);
    made->head = (Piece){bytes, head_size, 0, ROOMS};
    made->size = IDS_AND_TIMES + head_size;
    made->size += made->likeness.traits & HAS_PARENT ? PARENT_SIZE : 0;
    bytes = put_bytes(bytes, PyBytes_AS_STRING(head), head_size);
    for (Py_ssize_t nth = 0; nth < PyTuple_GET_SIZE(pieces); nth++) {
        if (add_piece(made, PyTuple_GET_ITEM(pieces, nth), bytes) < 0) {
            made->number = 0;
            return -1;
        }
        bytes += made->pieces[nth].size;
    }
    made->state = MADE;
    return 0;
}
