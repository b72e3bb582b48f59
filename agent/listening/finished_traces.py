"""A finished trace, as `on_trace` gives it: plain objects, grouped under what triggered them.

Times of day are seconds since 1970, as of `time.time()`; lengths of time are seconds.
"""

from collections.abc import Iterator, Sequence
from time import monotonic_ns, time_ns
from typing import Any

from ..engine import OPEN, Site, SpanLifetime, TraceIdentity, site
from ..engine.places import Span as Place
from ..naming import span_name

_PRIVATE = ("kind", "carrier")
"""What instrumentations leave among the attributes for exporters alone."""


class Event:
    """Something that happened in a span: its name, when, and attributes."""

    __slots__ = ("attributes", "name", "time")

    def __init__(self, name: str, time: float, attributes: dict[str, Any]) -> None:
        self.name = name
        self.time = time
        self.attributes = attributes

    def __repr__(self) -> str:
        return f"<Event {self.name} {self.attributes}>"


class Span:
    """The life of one resource: a task, a timer, a connection, a job ...

    Its time is `run`, in which it executed, `ready`, in which it waited for its turn on the loop
    (a job: for a thread), and `wait`, in which it waited for something else."""

    __slots__ = (
        "async_id",
        "attributes",
        "children",
        "counted",
        "end",
        "error",
        "events",
        "execution_async_id",
        "name",
        "outcome",
        "parent",
        "ready",
        "run",
        "site",
        "start",
        "steps",
        "thread_id",
        "trigger_async_id",
        "type",
        "wait",
    )

    async_id: int
    trigger_async_id: int
    """The id of what triggered it, as hooks are told.  That may be a callback or a future, which
    have no spans: `parent` is the nearest that has one."""
    execution_async_id: int
    """The id of what executed when it was created."""
    type: str
    """As hooks are told: `Task`, `TimerHandle`, `ExecutorJob` ..."""
    name: str
    """Its type and what it is called: `task checkout`, `timer sleep`, `GET /items/{id}`."""
    parent: "Span | None"
    """What triggered it."""
    children: "list[Span]"
    """What it triggered, in order of creation."""
    counted: dict[str, tuple[int, float]]
    """Of what it triggered, directly or not, what was too much for one trace: by name, the number
    and the sum of durations."""
    start: float
    end: float
    run: float
    ready: float
    wait: float
    steps: int
    """How often its callback ran."""
    outcome: str
    """done, failed, cancelled, closed, collected; or open: it goes on, in a trace of its own."""
    error: tuple[str, str] | None
    """Of a failure: the type and the message of the exception."""
    site: Site | None
    """Where the program created it: `file`, `line`, `function`."""
    thread_id: int
    attributes: dict[str, Any]
    events: list[Event]

    @property
    def duration(self) -> float:
        """From start to end."""
        return self.end - self.start

    def walk(self) -> "Iterator[Span]":
        """It and all that is below it, parents first."""
        waiting = [self]
        while waiting:
            span = waiting.pop()
            yield span
            waiting.extend(reversed(span.children))

    def __repr__(self) -> str:
        return f"<Span {self.async_id} {self.name}>"


class Trace:
    """What a root triggered, and what that triggered, and so on."""

    __slots__ = ("is_complete", "root", "spans", "trace_id")

    def __init__(
        self, root: Span, spans: list[Span], is_complete: bool, trace_id: str | None
    ) -> None:
        self.root = root
        """What all of it goes back to."""
        self.spans = spans
        """All of them, the root too, in order of creation."""
        self.is_complete = is_complete
        """False if something in it was still open, at the end of the process or after a segment's
        length, or if a part is missing: what comes late is a trace without its root."""
        self.trace_id = trace_id
        """Under which it is exported, as hexadecimal digits; None if it is not."""

    @property
    def start(self) -> float:
        """When its first span began."""
        return min(span.start for span in self.spans)

    @property
    def end(self) -> float:
        """When its last span ended, which may be after its root."""
        return max(span.end for span in self.spans)

    @property
    def duration(self) -> float:
        """From start to end."""
        return self.end - self.start

    def __repr__(self) -> str:
        return f"<Trace {self.root.name}, {len(self.spans)} spans>"


def trace_of(records: Sequence[SpanLifetime], has_all: bool) -> Trace:
    """The trace of these lifetimes, of which there is at least one; each has its place."""
    epoch = time_ns() - monotonic_ns()
    places: dict[tuple[int, int], Span] = {}
    made: list[tuple[Span, Place]] = []
    for record in sorted(records, key=lambda record: (record.created, record.async_id)):
        place = record.span
        assert place is not None
        span = places[place.async_id, place.segment] = _span_of(record, epoch)
        made.append((span, place))
    root: Span | None = None
    by_id: dict[int, Span] = {}
    for span, place in made:
        if place.parent is not None:
            span.parent = places.get(place.parent)
        elif root is None:
            root = span
        else:
            # It is under a span of the application's, which is not ours to show.
            span.parent = by_id.get(span.execution_async_id) or by_id.get(span.trigger_async_id)
        if span.parent is not None:
            span.parent.children.append(span)
        by_id[span.async_id] = span
    spans = [span for span, _ in made]
    ended = all(span.outcome != OPEN for span in spans)
    return Trace(
        root or spans[0],
        spans,
        has_all and root is not None and ended,
        _trace_id(made[0][1].trace.identity),
    )


def _span_of(record: SpanLifetime, epoch: int) -> Span:
    span = Span()
    span.async_id = record.async_id
    span.trigger_async_id = record.trigger_async_id
    span.execution_async_id = record.execution_async_id
    span.type = record.type.name
    span.name = span_name(record.type.name, record.name)
    span.parent, span.children = None, []
    span.counted = _counted(record)
    life = max(0, record.ended - record.created)
    run = min(max(0, record.run), life)
    ready = min(max(0, record.ready), life - run)
    span.start = (epoch + record.created) / 1e9
    span.end = (epoch + record.created + life) / 1e9
    span.run, span.ready, span.wait = run / 1e9, ready / 1e9, (life - run - ready) / 1e9
    span.steps = record.steps
    span.outcome = record.outcome
    span.error = record.error
    span.site = site(record.code, record.lasti)
    span.thread_id = record.thread_id
    attributes = record.attributes or {}
    span.attributes = {key: value for key, value in attributes.items() if key not in _PRIVATE}
    span.events = [
        Event(name, (epoch + when) / 1e9, dict(about)) for name, when, about in record.events or ()
    ]
    return span


def _trace_id(identity: TraceIdentity | None) -> str | None:
    return None if identity is None or not identity.sampled else f"{identity.trace_id:032x}"


def _counted(record: SpanLifetime) -> dict[str, tuple[int, float]]:
    totals: dict[str, tuple[int, float]] = {}
    if record.span is not None:
        for (type_name, name), (number, time) in (record.span.counted or {}).items():
            word = span_name(type_name, name)
            before = totals.get(word, (0, 0.0))
            totals[word] = before[0] + number, before[1] + time / 1e9
    return totals
