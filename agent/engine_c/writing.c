/* Spans as elements of OTLP's ScopeSpans, in protobuf: from records to bytes.

   Nothing here knows Python, so it runs without the GIL.  The tags are those of Span in
   opentelemetry/proto/trace/v1/trace.proto. */

#include "encoder.h"

#define SPAN 0x12
#define TRACE_ID 0x0a
#define SPAN_ID 0x12
#define PARENT_ID 0x22
#define START 0x39
#define END 0x41

/* An attribute that is an integer.  The bytes before it end with the length of the value and the
   value's tag; both lengths in them are those of a value without its varint. */
static inline char *
put_int_attribute(char *at, const Piece *piece, int64_t number)
{
    size_t size = varint_size((uint64_t)number);
    char *value = put_bytes(at, piece->bytes, piece->size);
    at[piece->length_at] = (char)(at[piece->length_at] + (char)size);
    value[-2] = (char)(value[-2] + (char)size);
    return put_varint(value, (uint64_t)number);
}

static inline char *
put_piece(char *at, const Piece *piece, const Record *record)
{
    if (piece->room < INT_ROOMS) {
        return put_int_attribute(at, piece, record->numbers[piece->room]);
    }
    at = put_bytes(at, piece->bytes, piece->size);
    if (piece->room < ROOMS) {
        at = put_double(at, (double)record->numbers[piece->room] / 1e9);
    }
    return at;
}

static inline char *
put_ids_and_times(char *at, const Record *record)
{
    const Template *template = record->template;
    *at++ = TRACE_ID;
    *at++ = 16;
    at = put_bytes(at, record->trace_id, 16);
    *at++ = SPAN_ID;
    *at++ = 8;
    at = put_fixed64(at, record->span_id);
    if (template->likeness.traits & HAS_PARENT) {
        *at++ = PARENT_ID;
        *at++ = 8;
        at = put_fixed64(at, record->parent_id);
    }
    at = put_bytes(at, template->head.bytes, template->head.size);
    *at++ = START;
    at = put_fixed64(at, record->start);
    *at++ = END;
    return put_fixed64(at, record->end);
}

char *
write_records(char *at, const Record *records, size_t number, const char *appended)
{
    for (size_t nth = 0; nth < number; nth++) {
        const Record *record = &records[nth];
        if (record->template == NULL) {
            at = put_bytes(at, record->encoded, record->size);
            continue;
        }
        *at++ = SPAN;
        at = put_varint(at, record->size);
        at = put_ids_and_times(at, record);
        for (int piece = 0; piece < record->template->number; piece++) {
            at = put_piece(at, &record->template->pieces[piece], record);
        }
        if (record->appended_size > 0) {
            at = put_bytes(at, appended + record->appended_at, record->appended_size);
        }
    }
    return at;
}
