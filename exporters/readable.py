"""Spans as the exporters of OpenTelemetry's SDK take them."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status, StatusCode

from whence.version import VERSION

from .spans import Span

SCOPE = InstrumentationScope("whence", VERSION)


class _Readable(ReadableSpan):
    """What limits took away is counted by whence, not by the containers of the SDK."""

    dropped = 0

    @property
    def dropped_attributes(self) -> int:
        return self.dropped


def readable(span: Span, resource: Resource) -> ReadableSpan:
    """The span in the form of the SDK's own."""
    made = _Readable(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=resource,
        attributes=span.attributes,
        events=[Event(name, attributes, at) for name, at, attributes in span.events],
        links=[Link(*link) for link in span.links],
        kind=span.kind,
        status=_status(span),
        start_time=span.start,
        end_time=span.end,
        instrumentation_scope=SCOPE,
    )
    made.dropped = span.dropped_attributes
    return made


def _status(span: Span) -> Status:
    if span.error is None:
        return Status(StatusCode.UNSET)
    return Status(StatusCode.ERROR, span.status_text or None)
