"""Spans as an ExportTraceServiceRequest in OTLP's JSON: ids in hex, 64-bit numbers as strings.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding

Written as text, for a dictionary of dictionaries for each span would take ten times as long.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from json import dumps as quoted
from math import isfinite
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext

from whence.version import VERSION

from ..spans import Span
from .fields import STATUS_ERROR, as_text, flags, is_int, trace_state

_SCOPE = f'{{"name":"whence","version":{quoted(VERSION)}}}'
_MAX_CACHED = 10_000


class JsonEncoder:
    """Encodes spans; remembers what many of them say."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Any], str] = {}
        self._before_doubles: dict[str, str] = {}

    def request(self, spans: Iterable[Span], resource: Resource) -> str:
        """One request, on one line."""
        schema = f',"schemaUrl":{_text(resource.schema_url)}' if resource.schema_url else ""
        return (
            f'{{"resourceSpans":[{{"resource":{{"attributes":'
            f"{self._attributes(resource.attributes or {})}}},"
            f'"scopeSpans":[{{"scope":{_SCOPE},"spans":['
            f"{','.join([self._span(span) for span in spans])}]}}]{schema}}}]}}"
        )

    def _span(self, span: Span) -> str:
        parts = [
            f'{{"traceId":"{span.context.trace_id:032x}","spanId":"{span.context.span_id:016x}"',
            f'"name":{_text(span.name)},"kind":{span.kind.value + 1}',
            f'"startTimeUnixNano":"{span.start}","endTimeUnixNano":"{span.end}"',
            f'"attributes":{self._attributes(span.attributes)}',
            f'"status":{_status(span)},"flags":{flags(span.parent)}',
        ]
        if state := trace_state(span.context):
            parts.append(f'"traceState":{_text(state)}')
        if span.parent is not None:
            parts.append(f'"parentSpanId":"{span.parent.span_id:016x}"')
        if span.dropped_attributes:
            parts.append(f'"droppedAttributesCount":{span.dropped_attributes}')
        if span.events:
            events = ",".join([self._event(*event) for event in span.events])
            parts.append(f'"events":[{events}]')
        if span.links:
            parts.append(f'"links":[{",".join([self._link(*link) for link in span.links])}]')
        return ",".join(parts) + "}"

    def _event(self, name: str, at: int, attributes: Mapping[str, Any]) -> str:
        told = self._attributes(attributes)
        return f'{{"timeUnixNano":"{at}","name":{_text(name)},"attributes":{told}}}'

    def _link(self, context: SpanContext, attributes: Mapping[str, Any]) -> str:
        state = trace_state(context)
        return (
            f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}",'
            f'"attributes":{self._attributes(attributes)},"flags":{flags(context)}'
            + (f',"traceState":{_text(state)}' if state else "")
            + "}"
        )

    def _attributes(self, attributes: Mapping[str, Any]) -> str:
        return f"[{','.join([self._attribute(key, value) for key, value in attributes.items()])}]"

    def _attribute(self, key: str, value: Any) -> str:
        kind = type(value)
        if kind is float and isfinite(value):
            before = self._before_doubles.get(key)
            if before is None:
                before = f'{{"key":{_text(key)},"value":{{"doubleValue":'
                _remember(self._before_doubles, key, before)
            return f"{before}{value!r}}}}}"
        if kind is not str and kind is not int:
            # True and 1 are one key of a dict, and a list is none.
            return _key_value(key, value)
        encoded = self._known.get((key, value))
        if encoded is None:
            encoded = _key_value(key, value)
            _remember(self._known, (key, value), encoded)
        return encoded


def _key_value(key: str, value: Any) -> str:
    return f'{{"key":{_text(key)},"value":{_value(value)}}}'


def _value(value: Any) -> str:
    if isinstance(value, str):
        return f'{{"stringValue":{_text(value)}}}'
    if isinstance(value, bool):
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if is_int(value):
        return f'{{"intValue":"{int(value)}"}}'
    if isinstance(value, float):
        return f'{{"doubleValue":{_double(value)}}}'
    if isinstance(value, bytes):
        return f'{{"bytesValue":"{b64encode(value).decode()}"}}'
    if isinstance(value, Sequence):
        return f'{{"arrayValue":{{"values":[{",".join([_value(item) for item in value])}]}}}}'
    return f'{{"stringValue":{_text(as_text(value))}}}'


def _double(number: float) -> str:
    """JSON knows only finite ones; protobuf's JSON has names for the others."""
    if isfinite(number):
        return repr(float(number))
    if number != number:
        return '"NaN"'
    return '"Infinity"' if number > 0 else '"-Infinity"'


def _status(span: Span) -> str:
    if span.error is None:
        return "{}"
    return f'{{"code":{STATUS_ERROR},"message":{_text(span.status_text)}}}'


def _text(text: str) -> str:
    """A lone surrogate, such as file names have, is no text for anybody else."""
    return quoted(text.encode(errors="replace").decode())


def _remember(cache: dict[Any, str], key: Any, encoded: str) -> None:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
    cache[key] = encoded
