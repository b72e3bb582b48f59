"""Spans as an ExportTraceServiceRequest in protobuf, written by hand.

The encoder of OpenTelemetry's SDK takes ten times as long for each span, and holds the GIL that the
program's loop waits for.  The field numbers are those of opentelemetry/proto/trace/v1/trace.proto,
collector/trace/v1, common/v1 and resource/v1.
"""

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext

from whence.version import VERSION

from .otlp_fields import STATUS_ERROR, flags, trace_state
from .spans import Attributes, Span

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_pack_double = Struct("<d").pack
_pack_fixed64 = Struct("<Q").pack
_pack_fixed32 = Struct("<I").pack
_MAX_CACHED = 10_000


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(number: int) -> bytes:
    if number < 0x80:
        return _ONE_BYTE[number]
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_ONE_BYTE = [bytes((number,)) for number in range(0x80)]
_SIGNED = (1 << 64) - 1
"""A negative int64 is the varint of its two's complement."""


def _sized(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


# Request and ResourceSpans
_RESOURCE_SPANS = _tag(1, _BYTES)
_RESOURCE = _tag(1, _BYTES)
_SCOPE_SPANS = _tag(2, _BYTES)
_SCHEMA_URL = _tag(3, _BYTES)
_RESOURCE_ATTRIBUTE = _tag(1, _BYTES)
# ScopeSpans and InstrumentationScope
_SCOPE = _tag(1, _BYTES)
_SPAN = _tag(2, _BYTES)
_SCOPE_NAME = _tag(1, _BYTES)
_SCOPE_VERSION = _tag(2, _BYTES)
# Span
_TRACE_ID = _tag(1, _BYTES) + _varint(16)
_SPAN_ID = _tag(2, _BYTES) + _varint(8)
_TRACE_STATE = _tag(3, _BYTES)
_PARENT_ID = _tag(4, _BYTES) + _varint(8)
_NAME = _tag(5, _BYTES)
_KIND = _tag(6, _VARINT)
_START = _tag(7, _FIXED64)
_END = _tag(8, _FIXED64)
_ATTRIBUTE = _tag(9, _BYTES)
_DROPPED_ATTRIBUTES = _tag(10, _VARINT)
_EVENT = _tag(11, _BYTES)
_LINK = _tag(13, _BYTES)
_STATUS = _tag(15, _BYTES)
_FLAGS = _tag(16, _FIXED32)
# Event, Link, Status
_EVENT_TIME = _tag(1, _FIXED64)
_EVENT_NAME = _tag(2, _BYTES)
_EVENT_ATTRIBUTE = _tag(3, _BYTES)
_LINK_TRACE_ID = _TRACE_ID
_LINK_SPAN_ID = _SPAN_ID
_LINK_STATE = _TRACE_STATE
_LINK_ATTRIBUTE = _tag(4, _BYTES)
_LINK_FLAGS = _tag(6, _FIXED32)
_STATUS_MESSAGE = _tag(2, _BYTES)
_STATUS_CODE = _tag(3, _VARINT)
# KeyValue and AnyValue
_KEY = _tag(1, _BYTES)
_VALUE = _tag(2, _BYTES)
_STRING_VALUE = _tag(1, _BYTES)
_BOOL_VALUE = _tag(2, _VARINT)
_INT_VALUE = _tag(3, _VARINT)
_DOUBLE_VALUE = _tag(4, _FIXED64)
_ARRAY_VALUE = _tag(5, _BYTES)
_BYTES_VALUE = _tag(7, _BYTES)
_ELEMENT = _tag(1, _BYTES)


class AttributeEncoder:
    """Encodes attributes as elements of one field; remembers what many of them say."""

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._known: dict[tuple[str, Any], bytes] = {}
        self._before_doubles: dict[str, bytes] = {}

    def all(self, attributes: Mapping[str, Any]) -> bytes:
        """The attributes, one after the other."""
        return b"".join([self.one(key, value) for key, value in attributes.items()])

    def one(self, key: str, value: Any) -> bytes:
        """One KeyValue."""
        kind = type(value)
        if kind is float:
            before = self._before_doubles.get(key)
            if before is None:
                whole = self._encoded(key, value)
                before = _remember(self._before_doubles, key, whole[:-8])
            return before + _pack_double(value)
        if kind is not str and kind is not int:
            # True and 1 are one key of a dict, and a list is none.
            return self._encoded(key, value)
        encoded = self._known.get((key, value))
        if encoded is None:
            encoded = _remember(self._known, (key, value), self._encoded(key, value))
        return encoded

    def _encoded(self, key: str, value: Any) -> bytes:
        return _sized(self._tag, _sized(_KEY, _utf8(key)) + _sized(_VALUE, _value(value)))


class SpanEncoder:
    """Encodes spans; remembers what many of them say."""

    def __init__(self) -> None:
        self._names: dict[str, bytes] = {}
        self._attributes = AttributeEncoder(_ATTRIBUTE)
        self._of_events = AttributeEncoder(_EVENT_ATTRIBUTE)
        self._of_links = AttributeEncoder(_LINK_ATTRIBUTE)

    def span(self, span: Span) -> bytes:
        """A Span message, as an element of ScopeSpans."""
        context = span.context
        parts = [_TRACE_ID, context.trace_id.to_bytes(16), _SPAN_ID, context.span_id.to_bytes(8)]
        if state := trace_state(context):
            parts.append(_sized(_TRACE_STATE, _utf8(state)))
        if span.parent is not None:
            parts += (_PARENT_ID, span.parent.span_id.to_bytes(8))
        parts += (
            self._name(span.name),
            _KIND,
            _ONE_BYTE[span.kind.value + 1],
            _START,
            _pack_fixed64(span.start),
            _END,
            _pack_fixed64(span.end),
            self._attributes.all(span.attributes),
        )
        if span.dropped_attributes:
            parts += (_DROPPED_ATTRIBUTES, _varint(span.dropped_attributes))
        parts += [self._event(*event) for event in span.events]
        parts += [self._link(*link) for link in span.links]
        parts += (_status(span), _FLAGS, _pack_fixed32(flags(span.parent)))
        return _sized(_SPAN, b"".join(parts))

    def _name(self, name: str) -> bytes:
        encoded = self._names.get(name)
        if encoded is None:
            encoded = _remember(self._names, name, _sized(_NAME, _utf8(name)))
        return encoded

    def _event(self, name: str, at: int, attributes: Attributes) -> bytes:
        return _sized(
            _EVENT,
            _EVENT_TIME
            + _pack_fixed64(at)
            + _sized(_EVENT_NAME, _utf8(name))
            + self._of_events.all(attributes),
        )

    def _link(self, context: SpanContext, attributes: Attributes) -> bytes:
        state = trace_state(context)
        return _sized(
            _LINK,
            _LINK_TRACE_ID
            + context.trace_id.to_bytes(16)
            + _LINK_SPAN_ID
            + context.span_id.to_bytes(8)
            + (_sized(_LINK_STATE, _utf8(state)) if state else b"")
            + self._of_links.all(attributes)
            + _LINK_FLAGS
            + _pack_fixed32(flags(context)),
        )


def requests(
    encoder: SpanEncoder, spans: Iterable[Span], resource: Resource, most: int
) -> Iterable[tuple[int, bytes]]:
    """The spans as requests of about `most` bytes, each with how many spans are in it."""
    before, scope = _head(resource)
    schema = _sized(_SCHEMA_URL, _utf8(resource.schema_url)) if resource.schema_url else b""
    held: list[bytes] = []
    size = 0
    for span in spans:
        encoded = encoder.span(span)
        if held and size + len(encoded) > most:
            yield len(held), _request(before, scope, held, schema)
            held, size = [], 0
        held.append(encoded)
        size += len(encoded)
    if held:
        yield len(held), _request(before, scope, held, schema)


def _head(resource: Resource) -> tuple[bytes, bytes]:
    """What stands before the spans: the resource in ResourceSpans, the scope in ScopeSpans."""
    attributes = AttributeEncoder(_RESOURCE_ATTRIBUTE).all(resource.attributes or {})
    scope = _sized(_SCOPE_NAME, b"whence") + _sized(_SCOPE_VERSION, VERSION.encode())
    return _sized(_RESOURCE, attributes), _sized(_SCOPE, scope)


def _request(before: bytes, scope: bytes, spans: Sequence[bytes], schema: bytes) -> bytes:
    scope_spans = _sized(_SCOPE_SPANS, scope + b"".join(spans))
    return _sized(_RESOURCE_SPANS, before + scope_spans + schema)


def _value(value: Any) -> bytes:
    """An AnyValue."""
    if isinstance(value, str):
        return _sized(_STRING_VALUE, _utf8(value))
    if isinstance(value, bool):
        return _BOOL_VALUE + _ONE_BYTE[value]
    if isinstance(value, int):
        return _INT_VALUE + _varint(value & _SIGNED)
    if isinstance(value, float):
        return _DOUBLE_VALUE + _pack_double(value)
    if isinstance(value, bytes):
        return _sized(_BYTES_VALUE, value)
    if isinstance(value, Sequence):
        elements = b"".join(_sized(_ELEMENT, _value(item)) for item in value)
        return _sized(_ARRAY_VALUE, elements)
    return _sized(_STRING_VALUE, _utf8(str(value)))


def _status(span: Span) -> bytes:
    if span.error is None:
        return _sized(_STATUS, b"")
    message = _sized(_STATUS_MESSAGE, _utf8(span.status_text)) if span.status_text else b""
    return _sized(_STATUS, message + _STATUS_CODE + _ONE_BYTE[STATUS_ERROR])


def _utf8(text: str) -> bytes:
    """A lone surrogate, such as file names have, would make the whole request unreadable."""
    return text.encode(errors="replace")


def _remember(cache: dict[Any, bytes], key: Any, encoded: bytes) -> bytes:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    cache[key] = encoded
    return encoded
