"""Requests of OTLP, as any program might send them."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
"""When everything began."""
SHOP = {"service.name": "shop", "service.instance.id": "one"}


def trace_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def span_id(number: int) -> bytes:
    return number.to_bytes(8, "big")


def attributes(target: Any, told: Mapping[str, Any]) -> None:
    """Set the attributes of a message."""
    for key, value in told.items():
        item = target.attributes.add()
        item.key = key
        _set(item.value, value)


def _set(target: Any, value: Any) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    else:
        for item in value:
            _set(target.array_value.values.add(), item)


def span(
    trace: int,
    number: int,
    parent: int = 0,
    *,
    name: str = "task work",
    start: float = 0.0,
    duration: float = 1.0,
    failed: bool = False,
    kind: Span.SpanKind.ValueType = Span.SPAN_KIND_INTERNAL,
    links: Sequence[tuple[int, int, str]] = (),
    events: Sequence[tuple[str, float, Mapping[str, Any]]] = (),
    **told: Any,
) -> Span:
    """A span; times are seconds after START.  Attributes have _ for their dots."""
    made = Span(trace_id=trace_id(trace), span_id=span_id(number), name=name, kind=kind)
    if parent:
        made.parent_span_id = span_id(parent)
    made.start_time_unix_nano = START + int(start * SECOND)
    made.end_time_unix_nano = made.start_time_unix_nano + int(duration * SECOND)
    if failed:
        made.status.code = Status.STATUS_CODE_ERROR
    for of_trace, of_span, reason in links:
        link = made.links.add(trace_id=trace_id(of_trace), span_id=span_id(of_span))
        attributes(link, {"whence.link": reason})
    for event, at, about in events:
        added = made.events.add(name=event, time_unix_nano=START + int(at * SECOND))
        attributes(added, about)
    attributes(made, {key.replace("__", "."): value for key, value in told.items()})
    return made


def whence_span(trace: int, number: int, parent: int = 0, **told: Any) -> Span:
    """One as the agent sends it."""
    about = {
        "whence__type": "Task",
        "whence__async_id": number,
        "whence__outcome": "done",
        "whence__run_time": 0.1,
        "whence__ready_time": 0.2,
        "whence__wait_time": 0.7,
        "code__file__path": "/srv/app.py",
        "code__line__number": 7,
        "code__function__name": "main",
    }
    return span(trace, number, parent, **{**about, **told})


def traces(*spans: Span, resource: Mapping[str, Any] = SHOP) -> ExportTraceServiceRequest:
    """A request of these spans."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    attributes(of_resource.resource, resource)
    scope = of_resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "whence", "1"
    scope.spans.extend(spans)
    return request


class Metrics:
    """A request of metrics, filled one by one."""

    def __init__(self, resource: Mapping[str, Any] = SHOP) -> None:
        self.request = ExportMetricsServiceRequest()
        of_resource = self.request.resource_metrics.add()
        attributes(of_resource.resource, resource)
        self._metrics = of_resource.scope_metrics.add().metrics

    def gauge(self, name: str, value: float, at: float, **told: Any) -> "Metrics":
        metric = self._metrics.add(name=name, unit="s", description=f"of {name}")
        self._point(metric.gauge.data_points.add(as_double=value), at, told)
        return self

    def sum(
        self,
        name: str,
        value: int,
        at: float,
        *,
        since: float = 0.0,
        delta: bool = False,
        **told: Any,
    ) -> "Metrics":
        metric = self._metrics.add(name=name, unit="1")
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = 1 if delta else 2
        point = metric.sum.data_points.add(as_int=value)
        point.start_time_unix_nano = START + int(since * SECOND)
        self._point(point, at, told)
        return self

    def histogram(
        self, name: str, bounds: Sequence[float], counts: Sequence[int], at: float, **told: Any
    ) -> "Metrics":
        metric = self._metrics.add(name=name, unit="s")
        metric.histogram.aggregation_temporality = 2
        point = metric.histogram.data_points.add(count=sum(counts), sum=float(sum(counts)))
        point.explicit_bounds.extend(bounds)
        point.bucket_counts.extend(counts)
        self._point(point, at, told)
        return self

    def _point(self, point: Any, at: float, told: Mapping[str, Any]) -> None:
        point.time_unix_nano = START + int(at * SECOND)
        attributes(point, {key.replace("__", "."): value for key, value in told.items()})
