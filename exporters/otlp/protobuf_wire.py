"""Protobuf as bytes, and the field numbers of OTLP's traces.

Those of opentelemetry/proto/trace/v1/trace.proto, collector/trace/v1, common/v1 and resource/v1.
"""

from struct import Struct

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

pack_double = Struct("<d").pack
pack_fixed64 = Struct("<Q").pack
pack_fixed32 = Struct("<I").pack


def tag(field: int, wire_type: int) -> bytes:
    """What stands before a field's content."""
    return varint(field << 3 | wire_type)


def varint(number: int) -> bytes:
    """A number of 0 or more, seven bits to a byte."""
    if number < 0x80:
        return ONE_BYTE[number]
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


ONE_BYTE = [bytes((number,)) for number in range(0x80)]
SIGNED = (1 << 64) - 1
"""A negative int64 is the varint of its two's complement."""


def sized(before: bytes, content: bytes) -> bytes:
    """A field of any length, behind its tag."""
    return before + varint(len(content)) + content


def text(before: bytes, content: str) -> bytes:
    """A string.  A lone surrogate, such as file names have, would make the request unreadable."""
    return sized(before, content.encode(errors="replace"))


# Request and ResourceSpans
RESOURCE_SPANS = tag(1, _BYTES)
RESOURCE = tag(1, _BYTES)
SCOPE_SPANS = tag(2, _BYTES)
SCHEMA_URL = tag(3, _BYTES)
RESOURCE_ATTRIBUTE = tag(1, _BYTES)
# ScopeSpans and InstrumentationScope
SCOPE = tag(1, _BYTES)
SPAN = tag(2, _BYTES)
SCOPE_NAME = tag(1, _BYTES)
SCOPE_VERSION = tag(2, _BYTES)
# Span
TRACE_ID = tag(1, _BYTES) + varint(16)
SPAN_ID = tag(2, _BYTES) + varint(8)
TRACE_STATE = tag(3, _BYTES)
PARENT_ID = tag(4, _BYTES) + varint(8)
NAME = tag(5, _BYTES)
KIND = tag(6, _VARINT)
START = tag(7, _FIXED64)
END = tag(8, _FIXED64)
ATTRIBUTE = tag(9, _BYTES)
DROPPED_ATTRIBUTES = tag(10, _VARINT)
EVENT = tag(11, _BYTES)
LINK = tag(13, _BYTES)
STATUS = tag(15, _BYTES)
FLAGS = tag(16, _FIXED32)
# Event, Link, Status
EVENT_TIME = tag(1, _FIXED64)
EVENT_NAME = tag(2, _BYTES)
EVENT_ATTRIBUTE = tag(3, _BYTES)
LINK_TRACE_ID = TRACE_ID
LINK_SPAN_ID = SPAN_ID
LINK_STATE = TRACE_STATE
LINK_ATTRIBUTE = tag(4, _BYTES)
LINK_FLAGS = tag(6, _FIXED32)
STATUS_MESSAGE = tag(2, _BYTES)
STATUS_CODE = tag(3, _VARINT)
# KeyValue and AnyValue
KEY = tag(1, _BYTES)
VALUE = tag(2, _BYTES)
STRING_VALUE = tag(1, _BYTES)
BOOL_VALUE = tag(2, _VARINT)
INT_VALUE = tag(3, _VARINT)
DOUBLE_VALUE = tag(4, _FIXED64)
ARRAY_VALUE = tag(5, _BYTES)
BYTES_VALUE = tag(7, _BYTES)
ELEMENT = tag(1, _BYTES)
