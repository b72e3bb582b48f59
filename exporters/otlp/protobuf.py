"""Spans as an ExportTraceServiceRequest in protobuf, written by hand.

The encoder of OpenTelemetry's SDK takes ten times as long for each span, and holds the GIL that the
program's loop waits for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, SpanKind

from whence.version import VERSION

from ..spans import Attributes, Span
from . import protobuf_wire as wire
from .fields import STATUS_ERROR, as_text, flags, is_int, trace_state

Run = tuple[int, bytes | memoryview]
"""How many spans, and one element of ScopeSpans after the other."""

_MAX_CACHED = 10_000
KINDS = {kind: wire.ONE_BYTE[kind.value + 1] for kind in SpanKind}
NO_STATUS = wire.sized(wire.STATUS, b"")


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
            return before + wire.pack_double(value)
        if kind is not str and kind is not int:
            # True and 1 are one key of a dict, and a list is none.
            return self._encoded(key, value)
        encoded = self._known.get((key, value))
        if encoded is None:
            encoded = _remember(self._known, (key, value), self._encoded(key, value))
        return encoded

    def _encoded(self, key: str, value: Any) -> bytes:
        return wire.sized(
            self._tag, wire.text(wire.KEY, key) + wire.sized(wire.VALUE, _value(value))
        )


class SpanEncoder:
    """Encodes spans; remembers what many of them say."""

    def __init__(self) -> None:
        self._names: dict[str, bytes] = {}
        self.attributes = AttributeEncoder(wire.ATTRIBUTE)
        self._of_events = AttributeEncoder(wire.EVENT_ATTRIBUTE)
        self._of_links = AttributeEncoder(wire.LINK_ATTRIBUTE)

    def span(self, span: Span) -> bytes:
        """A Span message, as an element of ScopeSpans."""
        context = span.context
        parts = [
            wire.TRACE_ID,
            context.trace_id.to_bytes(16),
            wire.SPAN_ID,
            context.span_id.to_bytes(8),
        ]
        if state := trace_state(context):
            parts.append(wire.text(wire.TRACE_STATE, state))
        if span.parent is not None:
            parts += (wire.PARENT_ID, span.parent.span_id.to_bytes(8))
        parts += (
            self.name(span.name),
            wire.KIND,
            KINDS[span.kind],
            wire.START,
            wire.pack_fixed64(span.start),
            wire.END,
            wire.pack_fixed64(span.end),
            self.attributes.all(span.attributes),
        )
        if span.dropped_attributes:
            parts += (wire.DROPPED_ATTRIBUTES, wire.varint(span.dropped_attributes))
        parts += [self._event(*event) for event in span.events]
        parts += [self.link(*link) for link in span.links]
        parts += (_status(span), wire.FLAGS, wire.pack_fixed32(flags(span.parent)))
        return wire.sized(wire.SPAN, b"".join(parts))

    def name(self, name: str) -> bytes:
        """The name of a span."""
        encoded = self._names.get(name)
        if encoded is None:
            encoded = _remember(self._names, name, wire.text(wire.NAME, name))
        return encoded

    def _event(self, name: str, at: int, attributes: Attributes) -> bytes:
        return wire.sized(
            wire.EVENT,
            wire.EVENT_TIME
            + wire.pack_fixed64(at)
            + wire.text(wire.EVENT_NAME, name)
            + self._of_events.all(attributes),
        )

    def link(self, context: SpanContext, attributes: Attributes) -> bytes:
        """A link of a span."""
        state = trace_state(context)
        return wire.sized(
            wire.LINK,
            wire.LINK_TRACE_ID
            + context.trace_id.to_bytes(16)
            + wire.LINK_SPAN_ID
            + context.span_id.to_bytes(8)
            + (wire.text(wire.LINK_STATE, state) if state else b"")
            + self._of_links.all(attributes)
            + wire.LINK_FLAGS
            + wire.pack_fixed32(flags(context)),
        )


class Surroundings:
    """What stands around the spans of a process: resource, scope and their schemas."""

    def __init__(self, resource: Resource) -> None:
        attributes = AttributeEncoder(wire.RESOURCE_ATTRIBUTE).all(resource.attributes or {})
        scope = wire.text(wire.SCOPE_NAME, "whence") + wire.text(wire.SCOPE_VERSION, VERSION)
        self._resource = wire.sized(wire.RESOURCE, attributes)
        self._scope = wire.sized(wire.SCOPE, scope)
        self._schema = (
            wire.text(wire.SCHEMA_URL, resource.schema_url) if resource.schema_url else b""
        )

    def request(self, run: bytes | memoryview) -> list[bytes | memoryview]:
        """An ExportTraceServiceRequest of a run of spans, in parts: it may be a megabyte."""
        size = len(self._scope) + len(run)
        scope_spans = self._resource + wire.SCOPE_SPANS + wire.varint(size) + self._scope
        size = len(scope_spans) + len(run) + len(self._schema)
        start = wire.RESOURCE_SPANS + wire.varint(size) + scope_spans
        return [start, run, self._schema]


def _value(value: Any) -> bytes:
    """An AnyValue."""
    if isinstance(value, str):
        return wire.text(wire.STRING_VALUE, value)
    if isinstance(value, bool):
        return wire.BOOL_VALUE + wire.ONE_BYTE[value]
    if is_int(value):
        return wire.INT_VALUE + wire.varint(value & wire.SIGNED)
    if isinstance(value, float):
        return wire.DOUBLE_VALUE + wire.pack_double(value)
    if isinstance(value, bytes):
        return wire.sized(wire.BYTES_VALUE, value)
    if isinstance(value, Sequence):
        elements = b"".join(wire.sized(wire.ELEMENT, _value(item)) for item in value)
        return wire.sized(wire.ARRAY_VALUE, elements)
    return wire.text(wire.STRING_VALUE, as_text(value))


def _status(span: Span) -> bytes:
    if span.error is None:
        return NO_STATUS
    message = wire.text(wire.STATUS_MESSAGE, span.status_text) if span.status_text else b""
    return wire.sized(wire.STATUS, message + wire.STATUS_CODE + wire.ONE_BYTE[STATUS_ERROR])


def _remember(cache: dict[Any, bytes], key: Any, encoded: bytes) -> bytes:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    cache[key] = encoded
    return encoded
