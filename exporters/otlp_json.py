"""Spans as an ExportTraceServiceRequest in OTLP's JSON: ids in hex, 64-bit numbers as strings.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext

from whence.version import VERSION

from .otlp_fields import STATUS_ERROR, flags, trace_state
from .spans import Span


def request(spans: Iterable[Span], resource: Resource) -> str:
    """One request, on one line."""
    resource_spans: dict[str, Any] = {
        "resource": {"attributes": _attributes(resource.attributes or {})},
        "scopeSpans": [
            {
                "scope": {"name": "whence", "version": VERSION},
                "spans": [_span(span) for span in spans],
            }
        ],
    }
    if resource.schema_url:
        resource_spans["schemaUrl"] = resource.schema_url
    return json.dumps({"resourceSpans": [resource_spans]}, separators=(",", ":"))


def _span(span: Span) -> dict[str, Any]:
    made: dict[str, Any] = {
        "traceId": f"{span.context.trace_id:032x}",
        "spanId": f"{span.context.span_id:016x}",
        "name": _text(span.name),
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
        "status": {},
        "flags": flags(span.parent),
    }
    if state := trace_state(span.context):
        made["traceState"] = state
    if span.parent is not None:
        made["parentSpanId"] = f"{span.parent.span_id:016x}"
    if span.dropped_attributes:
        made["droppedAttributesCount"] = span.dropped_attributes
    if span.error is not None:
        made["status"] = {"code": STATUS_ERROR, "message": _text(span.status_text)}
    if span.exception:
        made["events"] = [
            {
                "timeUnixNano": str(span.end),
                "name": "exception",
                "attributes": _attributes(span.exception),
            }
        ]
    if span.link is not None:
        made["links"] = [_link(*span.link)]
    return made


def _link(context: SpanContext, attributes: Mapping[str, Any]) -> dict[str, Any]:
    made = {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "attributes": _attributes(attributes),
        "flags": flags(context),
    }
    if state := trace_state(context):
        made["traceState"] = state
    return made


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": _text(key), "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": _text(value)}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if isfinite(value) else _not_finite(value)}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if isinstance(value, Sequence):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": _text(str(value))}


def _not_finite(number: float) -> str:
    """JSON has no such numbers; protobuf's JSON has names for them."""
    if number != number:
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _text(text: str) -> str:
    """A lone surrogate, such as file names have, is no text for anybody else."""
    return text.encode(errors="replace").decode()
