"""Of which trace a kept lifetime's span is; segments, and how much a trace may hold.

Only the sender thread runs this, one lifetime after the other as they come out of the ring.

- A lifetime is given its place (`Span`) when it, or a child of it, comes out: children end first, so
  the place of an open parent is fixed by its first child, and used when it ends.
- A lifetime that stays open is cut into segments: each but the first roots a new trace, linked to
  the one before, so every parent appears in time.
- A trace has at most `max_spans` spans; what comes after that is counted, by name, on its nearest
  open ancestor.
- No trace is deeper than `MAX_DEPTH`: what would be below roots a new one, linked.
"""

from time import sleep

from .lifetimes import DROPPED, OPEN, SpanLifetime
from .parents import surviving

MAX_DEPTH = 48
_SEGMENTS_KEPT = 3
"""A child asks for the segment in which it was created.  It is itself cut, and so placed, one
segment's length after its creation, so an older segment than these is never asked for."""


class Trace:
    """One tree of spans.  Its id, and whether it is sampled, are decided with its first span."""

    __slots__ = ("carrier", "root", "sampled", "spans", "trace_id", "trace_state")

    def __init__(self, root: SpanLifetime) -> None:
        self.root: SpanLifetime | None = root
        """Until sampling is decided: what a sampler may look at."""
        self.carrier: dict[str, str] | None = None
        """The headers of the request that it serves: a remote parent, if they name one."""
        self.trace_id = 0
        self.sampled: bool | None = None
        self.trace_state: object = None
        self.spans = 0


class Span:
    """A lifetime's place in a trace; enough for others to name it as parent or link."""

    __slots__ = ("aggregated", "async_id", "depth", "parent", "segment", "trace")

    def __init__(self, trace: Trace, async_id: int, segment: int, parent: "Span | None") -> None:
        self.trace = trace
        self.async_id = async_id
        self.segment = segment
        # By value: a chain of Span objects would keep every ancestor for as long as a child lives.
        self.parent = None if parent is None else (parent.async_id, parent.segment)
        self.depth = 0 if parent is None else parent.depth + 1
        self.aggregated: dict[str, list[int]] | None = None
        """Span name -> [number, nanoseconds] of what was too much for the trace."""


class Segments:
    """The segments of a long life: where the present one began, and the spans of the last ones."""

    __slots__ = ("ready", "run", "spans", "start", "steps")

    def __init__(self, start: int, span: Span) -> None:
        self.start = start
        self.run = 0
        self.ready = 0
        self.steps = 0
        self.spans: list[tuple[int, Span]] = [(start, span)]

    def at(self, moment: int) -> Span:
        """The span of the segment in which `moment` was."""
        for start, span in reversed(self.spans):
            if start <= moment:
                return span
        return self.spans[0][1]


class Tracer:
    """Gives kept lifetimes their places."""

    def __init__(self, max_spans: int = 2000) -> None:
        self.max_spans = max_spans
        self.aggregated = 0
        """How many spans were counted on an ancestor instead of exported."""

    def place(self, lifetime: SpanLifetime) -> bool:
        """Place an ended lifetime.  False: its trace is full, and it was counted instead."""
        if lifetime.span is None:
            ancestor = lifetime.parent
            if ancestor is not None and self._full(ancestor) and lifetime.error is None:
                if _count_on_open_ancestor(lifetime):
                    self.aggregated += 1
                    lifetime.fate = DROPPED
                    return False
            _span_of(lifetime)
        lifetime.link = _link_of(lifetime)
        # Whoever is triggered by it later needs its span, and must not keep its ancestors.
        lifetime.parent = None
        if lifetime.segments is not None:
            _leave_last_segment(lifetime, lifetime.segments)
        return True

    def _full(self, ancestor: SpanLifetime) -> bool:
        return ancestor.span is not None and ancestor.span.trace.spans >= self.max_spans

    def cut(self, lifetime: SpanLifetime, now: int) -> SpanLifetime:
        """Close the present segment of an open lifetime: the record to export of it.

        The lifetime goes on, in a trace of its own, linked to this segment."""
        span = _span_of(lifetime)
        record = lifetime.copy()
        record.link = _link_of(lifetime)
        segments = lifetime.segments
        if segments is None:
            segments = lifetime.segments = Segments(lifetime.created, span)
        _leave_last_segment(record, segments)
        record.ended, record.outcome, record.open = now, OPEN, False
        record.fire_and_forget = False
        if lifetime.parent is not None:
            lifetime.parent.children -= 1
            lifetime.parent = None
        trace = Trace(lifetime)
        trace.spans = 1
        lifetime.keep = True
        lifetime.span = Span(trace, lifetime.async_id, span.segment + 1, None)
        lifetime.link = span
        segments.start = now
        segments.run, segments.ready, segments.steps = lifetime.run, lifetime.ready, lifetime.steps
        segments.spans = [*segments.spans[1 - _SEGMENTS_KEPT :], (now, lifetime.span)]
        return record


def _span_of(lifetime: SpanLifetime) -> Span:
    """The place of a lifetime; its ancestors that have none yet are placed first."""
    unplaced: list[SpanLifetime] = []
    link: SpanLifetime | None = lifetime
    while link is not None and link.span is None:
        unplaced.append(link)
        link = _settled_parent(link)
    parent = None if link is None else _span_at(link, unplaced[-1] if unplaced else lifetime)
    for child in reversed(unplaced):
        parent = child.span = _new_span(child, parent)
    assert lifetime.span is not None
    return lifetime.span


def _settled_parent(child: SpanLifetime) -> SpanLifetime | None:
    """The parent that is certain to be exported.

    An open one is told to be; one that is ending at this very moment, in another thread, has either
    heard it or is about to say that it was dropped."""
    while True:
        parent = surviving(child.parent)
        child.parent = parent
        if parent is None:
            return None
        parent.keep = True
        if parent.open or parent.fate is not None:
            if parent.fate is not DROPPED:
                return parent
        else:
            sleep(0)


def _new_span(child: SpanLifetime, parent: Span | None) -> Span:
    if parent is not None and parent.depth >= MAX_DEPTH:
        child.link = parent
        parent = None
    trace = Trace(child) if parent is None else parent.trace
    trace.spans += 1
    if parent is None and child.attributes is not None:
        trace.carrier = child.attributes.pop("carrier", None)
    return Span(trace, child.async_id, 0, parent)


def _span_at(parent: SpanLifetime, child: SpanLifetime) -> Span:
    if parent.segments is not None:
        return parent.segments.at(child.created)
    assert parent.span is not None
    return parent.span


def _link_of(lifetime: SpanLifetime) -> Span | None:
    target = lifetime.link
    if not isinstance(target, SpanLifetime):
        return target
    target.keep = True
    if target.open or target.span is not None or target.fate is not DROPPED:
        _span_of(target)
        return _span_at(target, lifetime)
    return None


def _count_on_open_ancestor(lifetime: SpanLifetime) -> bool:
    ancestor = lifetime.parent
    while ancestor is not None and not ancestor.open:
        ancestor = ancestor.parent
    if ancestor is None or ancestor.span is None:
        return False
    if ancestor.span.aggregated is None:
        ancestor.span.aggregated = {}
    name = f"{lifetime.type.name} {lifetime.name or ''}".strip()
    total = ancestor.span.aggregated.setdefault(name, [0, 0])
    total[0] += 1
    total[1] += lifetime.ended - lifetime.created
    return True


def _leave_last_segment(record: SpanLifetime, segments: Segments) -> None:
    """Leave in a record only what belongs to its last segment."""
    record.created = segments.start
    record.run -= segments.run
    record.ready -= segments.ready
    record.steps -= segments.steps
