/* What the files of the encoder share: packer.c has spans gathered into records by gathering.c,
   which asks whose.c for ids, templates.c for what spans have in common, and appended.c for what
   they have not; runs.c has writing.c make bytes of the records, and posting.c sends these.

   A batch is megabytes, and so are its bytes: what is needed soon of the first is fetched ahead,
   and the others are written and sent a piece at a time, while the processor has them in its
   cache. */

#ifndef WHENCE_ENCODER_H
#define WHENCE_ENCODER_H

#include "engine.h"

/* The numbers of a span that differ from one to the next and have an attribute each: first those
   that are sent as integers, then the times, which are sent as seconds. */
enum {
    ROOM_ASYNC_ID,
    ROOM_TRIGGER_ID,
    ROOM_EXECUTION_ID,
    ROOM_STEPS,
    INT_ROOMS,
    ROOM_RUN = INT_ROOMS,
    ROOM_READY,
    ROOM_WAIT,
    ROOMS
};

/* ---- templates.c -------------------------------------------------------------------------- */

/* Bytes that are the same in all spans of a kind, and then room for a number. */
typedef struct {
    const char *bytes;
    size_t size;
    size_t length_at; /* where in them the length of the attribute stands, if it is an integer's */
    int room;         /* ROOMS if there is none */
} Piece;

#define MAX_PIECES (ROOMS + 1)

/* What is the same in two spans that have a template in common.  Borrows its objects. */
typedef struct {
    ResourceType *type;
    PyObject *name; /* a str, or NULL, as the next ones but `code` */
    PyObject *outcome;
    PyObject *kind;
    PyObject *code;
    uint64_t thread_id;
    int lasti;
    unsigned char traits;
} Likeness;

enum { FIRE_AND_FORGET = 1, CONSUMER = 2, HAS_PARENT = 4, PARENT_IS_REMOTE = 8 };

typedef enum { MET, MADE, IMPOSSIBLE } TemplateState;

/* What all spans of a kind have in common, but for the ids, times and numbers between. */
typedef struct {
    Likeness likeness; /* owns its objects: another's would be taken for one that is gone */
    uint64_t hash;
    TemplateState state;
    char *bytes;    /* of its pieces */
    PyObject *keys; /* a frozenset of its attributes' keys */
    Piece head;     /* name and kind */
    Piece pieces[MAX_PIECES];
    int number;
    size_t size; /* of a span without its varints and what is appended */
} Template;

#define TEMPLATE_SLOTS 4096

/* By likeness.  All zero, it is empty. */
typedef struct {
    Template **slots;
    size_t number;
} Templates;

/* The template of a span, which is not MADE if it is met for the first time, or cannot be made;
   NULL if there are too many, or with an exception set. */
Template *templates_find(Templates *templates, const Likeness *likeness);

/* Make a template of what Python says its pieces are: -1 with an exception set. */
int template_make(Template *made, PyObject *description);

/* Whether there are so many that it is time to begin anew. */
bool templates_is_full(const Templates *templates);
void templates_clear(Templates *templates);

/* ---- appended.c --------------------------------------------------------------------------- */

/* Bytes that grow. */
typedef struct {
    char *bytes;
    size_t size;
    size_t allocated;
} Growing;

/* Append a span's own attributes; false if they have to go the long way. */
bool append_attributes(Growing *to, PyObject *attributes, const Template *template,
                       PyObject *private_keys);

/* Append a link to a span of this trace; false without memory. */
bool append_link(Growing *to, const uint8_t trace_id[16], uint64_t span_id, PyObject *reason);

/* ---- writing.c ---------------------------------------------------------------------------- */

/* What the bytes of one span are made of.  It is read without the GIL. */
typedef struct {
    const Template *template; /* NULL: `encoded` is all of it, with tag and length */
    const char *encoded;
    size_t size; /* of the message, or of `encoded` */
    size_t appended_at;
    size_t appended_size;
    uint8_t trace_id[16];
    uint64_t span_id; /* the numbers whose little-endian bytes they are */
    uint64_t parent_id;
    uint64_t start;
    uint64_t end;
    int64_t numbers[ROOMS]; /* times in nanoseconds */
} Record;

/* Bytes of every span that are not in its template: ids and times, with their tags. */
#define IDS_AND_TIMES (2 + 16 + 2 + 8 + 1 + 8 + 1 + 8)
#define PARENT_SIZE (2 + 8)

/* Write records one after the other, and give the end.  Needs no GIL. */
char *write_records(char *at, const Record *records, size_t number, const char *appended);

static inline size_t
varint_size(uint64_t number)
{
#if defined(__GNUC__) || defined(__clang__)
    return (size_t)((63 - __builtin_clzll(number | 1)) * 9 + 73) / 64;
#else
    size_t size = 1;
    for (; number >= 0x80; number >>= 7) {
        size++;
    }
    return size;
#endif
}

static inline char *
put_varint(char *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7) {
        *at++ = (char)(number | 0x80);
    }
    *at++ = (char)number;
    return at;
}

/* Little-endian on any machine; compilers make one instruction of it. */
static inline char *
put_fixed64(char *at, uint64_t number)
{
    for (int nth = 0; nth < 8; nth++) {
        at[nth] = (char)(number >> (8 * nth));
    }
    return at + 8;
}

static inline char *
put_double(char *at, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return put_fixed64(at, bits);
}

static inline char *
put_bytes(char *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

/* The bytes of a record's span, with tag and length. */
static inline size_t
record_size(const Record *record)
{
    return record->template == NULL ? record->size
                                    : 1 + varint_size(record->size) + record->size;
}

/* Bytes of the buffer beyond a run, for the span that ends it. */
#define SLACK (1 << 16)

/* ---- gathering.c -------------------------------------------------------------------------- */

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

/* What packs the batches of one exporter. */
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
    bool busy; /* its records are being gathered, or read without the GIL */
    Py_ssize_t unsampled;
    Templates templates;
    Whose whose;
    Foreign foreign;
    Growing appended;
    Record *records;
    size_t number;
    size_t allocated;
    size_t size;      /* of the run, as far as it is gathered */
    size_t largest;   /* of its spans */
    uint64_t runs;    /* how many were begun */
    PyObject *others; /* a list of the bytes that records point to */
    PyObject *buffer; /* bytes with room for a run, which are used again and again; or NULL */
    char *piece;      /* of a run that is written piece by piece; or NULL */
    size_t piece_size;
} Packer;

/* What became of one; BROKEN is an exception that is set, FULL that it has to wait for the next
   run. */
typedef enum { TAKEN, UNSAMPLED, FULL, LONG_WAY, BROKEN } Gathered;

Gathered gather_one(Packer *packer, SpanLifetime *lifetime);

/* ---- whose.c ------------------------------------------------------------------------------ */

/* The number whose little-endian bytes are a span's id: SpanIds.raw of exporters/identity.py. */
uint64_t span_id(uint64_t seed, int64_t async_id, int64_t segment);

/* The identity of a trace, a new reference; NULL with an exception set. */
TraceIdentity *identity_of(Packer *packer, Trace *trace);

/* Come to the spans of a trace; -1 with an exception set. */
int whose_is(Packer *packer, Trace *trace);
void whose_clear(Whose *whose);

/* Come to a parent that is not ours, by its SpanContext. */
void look_at_foreign(Foreign *foreign, PyObject *context);

/* Whether a field holds something that is true; -1 with an exception set. */
int says_something(PyObject *field);

/* ---- runs.c ------------------------------------------------------------------------------- */

/* The bytes of a run, made when they are first asked for; good until the packer's next run. */
typedef struct {
    PyObject_HEAD
    Packer *packer;    /* owned */
    uint64_t nth;      /* of the packer's runs */
    PyObject *storage; /* bytes with room for all of it, or NULL: nobody has asked for it whole */
    size_t size;
} Run;

extern PyTypeObject *Run_Type;

/* Of what the packer has gathered: a new reference, NULL with an exception set. */
Run *run_new(Packer *packer);

/* Make ready for writing it piece by piece; false with an exception set, if it is over. */
bool run_prepare(Run *run);

/* Write the records from here on that fit into a piece, into its packer's, and say how many bytes
   these are; where the next piece begins.  Needs no GIL, as long as its packer is busy. */
size_t run_write_piece(const Run *run, size_t record, size_t *size);

#endif
