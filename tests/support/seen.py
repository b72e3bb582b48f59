"""Spans as an OTLP receiver saw them, decoded."""

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from receivers import attributes_of


class SeenSpan:
    """A span.  Ids are hexadecimal, times nanoseconds since 1970."""

    def __init__(self, span: Span, resource: dict[str, Any], scope: str) -> None:
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        """Empty for a root."""
        self.name = span.name
        self.kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
        self.start = span.start_time_unix_nano
        self.end = span.end_time_unix_nano
        self.attributes = attributes_of(span)
        self.status = Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_")
        self.status_text = span.status.message
        self.events = [(event.name, attributes_of(event)) for event in span.events]
        self.links = [
            (link.trace_id.hex(), link.span_id.hex(), attributes_of(link)) for link in span.links
        ]
        self.trace_state = span.trace_state
        self.flags = span.flags
        self.resource = resource
        self.scope = scope

    @property
    def duration(self) -> int:
        """From start to end."""
        return self.end - self.start

    @property
    def type(self) -> str:
        """The type of the resource of which it is a span."""
        return str(self.attributes["whence.type"])

    @property
    def async_id(self) -> int:
        """The id of that resource."""
        return int(self.attributes["whence.async_id"])

    @property
    def outcome(self) -> str:
        """How that resource ended."""
        return str(self.attributes["whence.outcome"])

    def __repr__(self) -> str:
        return f"<{self.name} {self.span_id} under {self.parent_id or 'nothing'}>"


def spans_of(requests: Iterable[ExportTraceServiceRequest]) -> list[SeenSpan]:
    """The spans of these requests, in the order in which they came."""
    return [
        SeenSpan(span, attributes_of(resource_spans.resource), scope_spans.scope.name)
        for request in requests
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
