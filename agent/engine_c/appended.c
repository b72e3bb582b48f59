/* What is appended to a span that has a template: its own attributes, and a link.

   In protobuf the order of fields is free.  Texts, whole numbers of 64 bits, decimals and truth
   values are encoded here; whoever has others goes the long way. */

#include "encoder.h"

#define ATTRIBUTE 0x4a
#define LINK 0x6a
#define KEY 0x0a
#define VALUE 0x12
#define STRING_VALUE 0x0a
#define BOOL_VALUE 0x10
#define INT_VALUE 0x18
#define DOUBLE_VALUE 0x21
#define LINK_TRACE_ID 0x0a
#define LINK_SPAN_ID 0x12
#define LINK_FLAGS 0x35
#define MAX_VARINT 10

/* Of a link's target: whether it is remote is known, and it is not. */
static const char local_flags[4] = {0, 1, 0, 0};

/* Room for so many bytes more: where they go, or NULL without memory. */
static char *
room_for(Growing *to, size_t more)
{
    if (to->size + more > to->allocated) {
        size_t allocated = (to->size + more) * 2;
        char *bytes = PyMem_Realloc(to->bytes, allocated);
        if (bytes == NULL) {
            return NULL;
        }
        to->bytes = bytes;
        to->allocated = allocated;
    }
    return to->bytes + to->size;
}

/* A text as it is sent, or NULL if it has no bytes: one with a lone surrogate. */
static inline const char *
bytes_of_text(PyObject *text, size_t *size)
{
    Py_ssize_t found;
    const char *bytes;
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        found = PyUnicode_GET_LENGTH(text);
        bytes = PyUnicode_DATA(text);
    }
    else {
        bytes = PyUnicode_AsUTF8AndSize(text, &found);
        if (bytes == NULL) {
            PyErr_Clear();
            return NULL;
        }
    }
    *size = (size_t)found;
    return bytes;
}

/* A value, as far as its size can be said before it is written. */
typedef struct {
    char tag;
    const char *text;
    size_t text_size;
    uint64_t number;
    size_t size;
} Value;

static bool
value_of(PyObject *object, Value *value)
{
    if (PyUnicode_CheckExact(object)) {
        value->tag = STRING_VALUE;
        value->text = bytes_of_text(object, &value->text_size);
        value->size = 1 + varint_size(value->text_size) + value->text_size;
        return value->text != NULL;
    }
    if (PyBool_Check(object)) {
        value->tag = BOOL_VALUE;
        value->number = object == Py_True;
        value->size = 2;
        return true;
    }
    if (PyLong_CheckExact(object)) {
        int overflow;
        value->tag = INT_VALUE;
        value->number = (uint64_t)PyLong_AsLongLongAndOverflow(object, &overflow);
        value->size = 1 + varint_size(value->number);
        return overflow == 0;
    }
    if (PyFloat_CheckExact(object)) {
        double number = PyFloat_AS_DOUBLE(object);
        memcpy(&value->number, &number, sizeof(number));
        value->tag = DOUBLE_VALUE;
        value->size = 9;
        return true;
    }
    return false;
}

static char *
put_value(char *at, const Value *value)
{
    *at++ = value->tag;
    if (value->tag == STRING_VALUE) {
        at = put_varint(at, value->text_size);
        return put_bytes(at, value->text, value->text_size);
    }
    if (value->tag == DOUBLE_VALUE) {
        return put_fixed64(at, value->number);
    }
    return put_varint(at, value->number);
}

static bool
append_attribute(Growing *to, PyObject *key, PyObject *object)
{
    size_t key_size;
    Value value;
    const char *text = bytes_of_text(key, &key_size);
    if (text == NULL || !value_of(object, &value)) {
        return false;
    }
    size_t size = 1 + varint_size(key_size) + key_size + 1 + varint_size(value.size) + value.size;
    char *at = room_for(to, 1 + MAX_VARINT + size);
    if (at == NULL) {
        return false;
    }
    *at++ = ATTRIBUTE;
    at = put_varint(at, size);
    *at++ = KEY;
    at = put_varint(at, key_size);
    at = put_bytes(at, text, key_size);
    *at++ = VALUE;
    at = put_varint(at, value.size);
    at = put_value(at, &value);
    to->size = (size_t)(at - to->bytes);
    return true;
}

bool
append_attributes(Growing *to, PyObject *attributes, const Template *template,
                  PyObject *private_keys)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(attributes, &position, &key, &value)) {
        /* What stands in the template would be there twice. */
        if (!PyUnicode_CheckExact(key) || PySet_Contains(template->keys, key) != 0) {
            return false;
        }
        if (PySet_Contains(private_keys, key) == 0 && !append_attribute(to, key, value)) {
            return false;
        }
    }
    return true;
}

bool
append_link(Growing *to, const uint8_t trace_id[16], uint64_t span_id, PyObject *reason)
{
    size_t reason_size = (size_t)PyBytes_GET_SIZE(reason);
    size_t size = 2 + 16 + 2 + 8 + reason_size + 1 + sizeof(local_flags);
    char *at = room_for(to, 1 + MAX_VARINT + size);
    if (at == NULL) {
        return false;
    }
    *at++ = LINK;
    at = put_varint(at, size);
    *at++ = LINK_TRACE_ID;
    *at++ = 16;
    at = put_bytes(at, trace_id, 16);
    *at++ = LINK_SPAN_ID;
    *at++ = 8;
    at = put_fixed64(at, span_id);
    at = put_bytes(at, PyBytes_AS_STRING(reason), reason_size);
    *at++ = LINK_FLAGS;
    at = put_bytes(at, local_flags, sizeof(local_flags));
    to->size = (size_t)(at - to->bytes);
    return true;
}
