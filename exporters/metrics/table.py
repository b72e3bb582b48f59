"""The table of metrics: one row says all that there is to know about one.

Whoever exports metrics goes through this table, with a window of its own: what is read is read from
the engine's own counters at that moment, in the reader's thread.  docs/metrics.md is this table for
users.

Names that are not ours are those of OpenTelemetry's semantic conventions.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from whence.engine import ring
from whence.engine.measures import MEASURES, blocked
from whence.engine.resource_types import known_types
from whence.sending.pipeline import destinations

from . import process
from .process import Point
from .window import Window

COUNTER = "counter"
UP_DOWN = "up-down counter"
GAUGE = "gauge"

_PROCESSOR = {
    "otel.component.type": "whence_span_processor",
    "otel.component.name": "whence_span_processor/0",
}


class Metric(NamedTuple):
    """A metric of numbers."""

    name: str
    kind: str
    unit: str
    """UCUM; what is counted stands in braces."""
    description: str
    read: Callable[[Window], Iterable[Point]]


class Distribution(NamedTuple):
    """A metric that is a histogram, of seconds, since the process began."""

    name: str
    description: str
    measure: str


def _active(_: Window) -> Iterator[Point]:
    for row in known_types():
        destroyed = row.destroyed
        if row.created:
            yield max(0, row.created - destroyed), {"whence.type": row.name}


def _created(_: Window) -> Iterator[Point]:
    for row in known_types():
        if row.created:
            yield row.created, {"whence.type": row.name}


def _destroyed(_: Window) -> Iterator[Point]:
    for row in known_types():
        for outcome, number in row.outcomes.items():
            yield number, {"whence.type": row.name, "whence.outcome": outcome}


def _leaked(_: Window) -> Iterator[Point]:
    for row in known_types():
        if row.created:
            yield row.leaked, {"whence.type": row.name}


def _utilization(window: Window) -> Iterator[Point]:
    for ident, ratio in window.utilization().items():
        yield ratio, {"thread.id": ident}


def _blocked(_: Window) -> Iterator[Point]:
    yield blocked.number, {}


def _queue_size(_: Window) -> Iterator[Point]:
    yield len(ring), _PROCESSOR


def _queue_capacity(_: Window) -> Iterator[Point]:
    yield ring.capacity, _PROCESSOR


def _processed(_: Window) -> Iterator[Point]:
    yield ring.drained, _PROCESSOR
    yield ring.dropped, {**_PROCESSOR, "error.type": "queue_full"}


def _exported(_: Window) -> Iterator[Point]:
    for number, destination in enumerate(destinations()):
        component = f"{destination.name}_span_exporter"
        about = {
            "otel.component.type": component,
            "otel.component.name": f"{component}/{number}",
        }
        yield destination.sent, about
        yield destination.failed, {**about, "error.type": "_OTHER"}


def _statistic(measure: str, part: str, window: Window) -> Iterator[Point]:
    measured = window.since(measure)
    if measured.count:
        if part.startswith("p"):
            yield measured.percentile(float(part[1:])), {}
        else:
            yield getattr(measured, part), {}


def _statistics() -> Iterator[Metric]:
    """Gauges, for a histogram cannot be observed through the API of OpenTelemetry; as Node has them
    for its loop."""
    for measure in MEASURES:
        for part, words in _PARTS.items():
            yield Metric(
                f"{measure.name}.{part}",
                GAUGE,
                "s",
                f"{words} since the last collection: {measure.meaning}.",
                partial(_statistic, measure.name, part),
            )


_PARTS = {
    "min": "Shortest",
    "max": "Longest",
    "mean": "Mean",
    "p50": "Median",
    "p90": "90th percentile",
    "p99": "99th percentile",
}


def _of_process(read: Callable[[], Iterable[Point]]) -> Callable[[Window], Iterable[Point]]:
    def points(_: Window) -> Iterable[Point]:
        try:
            return list(read())
        except (OSError, ValueError, IndexError):
            # A file of the system that reads otherwise than on Linux as we know it.
            return ()

    return points


OWN = (
    Metric(
        "whence.resource.active",
        UP_DOWN,
        "{resource}",
        "Resources that were created and not yet destroyed.",
        _active,
    ),
    Metric(
        "whence.resource.created",
        COUNTER,
        "{resource}",
        "Resources that were created.",
        _created,
    ),
    Metric(
        "whence.resource.destroyed",
        COUNTER,
        "{resource}",
        "Resources that were destroyed, by how they ended.",
        _destroyed,
    ),
    Metric(
        "whence.resource.leaked",
        COUNTER,
        "{resource}",
        "Resources that were garbage before they were settled or closed.",
        _leaked,
    ),
    Metric(
        "whence.eventloop.utilization",
        GAUGE,
        "1",
        "Part of the time since the last collection that the event loop was busy.",
        _utilization,
    ),
    Metric(
        "whence.blocked",
        COUNTER,
        "{block}",
        "Callbacks and steps that held their event loop for too long.",
        _blocked,
    ),
    *_statistics(),
    Metric(
        "otel.sdk.processor.span.queue.size",
        UP_DOWN,
        "{span}",
        "Spans in the queue of the span processor.",
        _queue_size,
    ),
    Metric(
        "otel.sdk.processor.span.queue.capacity",
        UP_DOWN,
        "{span}",
        "Spans that the queue of the span processor can hold.",
        _queue_capacity,
    ),
    Metric(
        "otel.sdk.processor.span.processed",
        COUNTER,
        "{span}",
        "Spans for which the processing has finished, either successful or failed.",
        _processed,
    ),
    Metric(
        "otel.sdk.exporter.span.exported",
        COUNTER,
        "{span}",
        "Spans for which the export has finished, either successful or failed.",
        _exported,
    ),
)

OF_PROCESS = (
    Metric(
        "process.cpu.time",
        COUNTER,
        "s",
        "Total CPU seconds broken down by different states.",
        _of_process(process.cpu_time),
    ),
    Metric(
        "process.memory.usage",
        UP_DOWN,
        "By",
        "The amount of physical memory in use.",
        _of_process(process.memory),
    ),
    Metric(
        "process.memory.virtual",
        UP_DOWN,
        "By",
        "The amount of committed virtual memory.",
        _of_process(process.virtual_memory),
    ),
    Metric(
        "process.thread.count",
        UP_DOWN,
        "{thread}",
        "Process threads count.",
        _of_process(process.threads),
    ),
    Metric(
        "process.unix.file_descriptor.count",
        UP_DOWN,
        "{file_descriptor}",
        "Number of unix file descriptors in use by the process.",
        _of_process(process.open_descriptors),
    ),
    Metric(
        "process.uptime",
        GAUGE,
        "s",
        "The time the process has been running.",
        _of_process(process.uptime),
    ),
    Metric(
        "cpython.gc.collections",
        COUNTER,
        "{collection}",
        "The number of times a generation was collected since interpreter start.",
        _of_process(process.collections),
    ),
    Metric(
        "cpython.gc.collected_objects",
        COUNTER,
        "{object}",
        "The total number of objects collected inside a generation since interpreter start.",
        _of_process(process.collected_objects),
    ),
    Metric(
        "cpython.gc.uncollectable_objects",
        COUNTER,
        "{object}",
        "The total number of objects which were found to be uncollectable inside a generation "
        "since interpreter start.",
        _of_process(process.uncollectable_objects),
    ),
)
"""What others may export of the same process as well."""

DISTRIBUTIONS = tuple(
    Distribution(
        # A name that is the beginning of others breaks stores that nest names at their dots.
        f"{measure.name}.distribution",
        measure.meaning[:1].upper() + measure.meaning[1:] + ".",
        measure.name,
    )
    for measure in MEASURES
)
