"""Of which trace a kept lifetime's span is; segments, and how much a trace may hold.

The sender thread runs this, one lifetime after the other as they come out of the ring.  How a
place is given stands in `placing.py`.

- A lifetime is given its place (`Span`) when it, or a child of it, comes out: children end first.
  The place of an open parent is fixed by its first child, and used when it ends.
- A lifetime that stays open is cut into segments: each but the first roots a new trace, linked to
  the one before, so every parent appears in time.
- A trace has at most `max_spans` spans, and as many failures again; what comes after that is
  counted on its nearest ancestor that is still to be exported.
- A trace that the user does not want to see is placed all the same, and not exported: so is what
  its spans trigger later.
- With a `Rate`, a trace that finds no room when its first span comes out is left out; if something
  in it fails or blocks, what comes after that is exported all the same.
"""

from collections.abc import Callable

from .lifetimes import DROPPED, KEPT, OPEN, SpanLifetime
from .parents import forget_family
from .places import Segments, Span, Trace
from .placing import (
    MAX_DEPTH,
    first_place,
    give,
    nearest_span,
    new_span,
    place_each,
    place_ordinary,
    root_span,
    settled,
    settled_link,
    span_at,
    span_of,
)
from .rate import Rate
from .recorder import open_lifetimes
from .selected import Wanted

MAX_COUNTED_NAMES = 100
"""Names that are told apart among what was too much for a trace; the rest is one."""
_SEGMENTS_KEPT = 3
"""A child asks for the segment in which it was created.  It is itself cut, and so placed, one
segment's length after its creation, so an older segment than these is never asked for."""


class Tracer:
    """Gives kept lifetimes their places."""

    def __init__(
        self, max_spans: int = 2000, max_rate: int = 0, wants: Wanted | None = None
    ) -> None:
        """`max_rate` spans a second; 0 is any number.  `wants` tells of the root of a trace whether
        the user wants to see that."""
        self.max_spans = max_spans
        self.wants = wants
        self.rate = Rate(max_rate) if max_rate else None
        self.is_sampled: Callable[[Trace], bool] = lambda trace: True
        """Whether any sampler wants a trace: of what none wants, no room is taken.  Only asked if
        there is a rate."""
        self.counted = 0
        """How many lifetimes were too much for their traces, and counted instead of exported."""
        self.over_rate = 0
        """How many were left out with their traces, for which there was no room."""

    def place_all(self, lifetimes: list[SpanLifetime]) -> list[SpanLifetime]:
        """Place ended lifetimes: the list, which has those left that are exported."""
        if self._takes_all:
            return place_each(lifetimes, self.max_spans, self.place)
        lifetimes[:] = [lifetime for lifetime in lifetimes if self.place(lifetime)]
        return lifetimes

    @property
    def _takes_all(self) -> bool:
        """Whether nothing is left out but what is too much for its trace."""
        return self.rate is None and self.wants is None

    def place(self, lifetime: SpanLifetime) -> bool:
        """Place an ended lifetime.  False: nobody wants to see it, or there is no room for it, and
        it was counted instead."""
        if self._takes_all and place_ordinary(lifetime, self.max_spans):
            return True
        parent = None if lifetime.segments is not None else settled(lifetime.parent)
        if not self._is_wanted(lifetime):
            # What it has triggered finds that out there.
            self._place(lifetime, parent)
            return False
        if self.rate is not None and not self._is_admitted(lifetime, self.rate):
            self.over_rate += 1
        elif lifetime.span is None and parent is not None and self._is_full(lifetime):
            self.counted += 1
        else:
            self._place(lifetime, parent)
            return True
        if parent is not None:
            _count(lifetime, parent)
        lifetime.fate = DROPPED
        forget_family(lifetime)
        return False

    def _place(self, lifetime: SpanLifetime, parent: SpanLifetime | None) -> None:
        span = span_of(lifetime)
        span.consumer = parent is not None and _outlived(lifetime, parent)
        span.out = True
        if span is span.trace.top:
            span.trace.top = None
        lifetime.link, lifetime.links = self._link_of(lifetime), self._links_of(lifetime)
        lifetime.spliced = None
        # Whoever is triggered by it later needs its span, and must not keep its ancestors.
        lifetime.parent = None
        if lifetime.segments is not None:
            _leave_last_segment(lifetime, lifetime.segments)

    def due(self, now: int, length: int) -> list[SpanLifetime]:
        """The open lifetimes whose present segment is `length` nanoseconds old, parents first."""
        found = []
        for lifetime in list(open_lifetimes.values()):
            if now - lifetime.created < length:
                # They are in the order of their creation: the rest is younger.
                break
            if lifetime.transparent or not isinstance(lifetime, SpanLifetime):
                continue
            segments = lifetime.segments
            is_due = segments is None or now - segments.start >= length
            if is_due and self._is_wanted(lifetime):
                found.append(lifetime)
        return found

    def cut(self, lifetime: SpanLifetime, now: int) -> SpanLifetime:
        """Close the present segment of an open lifetime: the record to export of it.

        The lifetime goes on, in a trace of its own, linked to this segment."""
        if lifetime.span is None:
            parent = settled(lifetime.parent)
            if parent is not None and self._is_full(lifetime):
                # It will be in a trace of its own from now on in any case.
                lifetime.span = root_span(lifetime, nearest_span(lifetime, parent))
        span = span_of(lifetime)
        span.out = span.trace.admitted = True
        if span is span.trace.top:
            span.trace.top = None
        record = lifetime.copy()
        lifetime.events = None
        record.link, record.links = self._link_of(lifetime), self._links_of(lifetime)
        record.run = run = lifetime.run + _running_since(lifetime, now)
        segments = lifetime.segments
        if segments is None:
            segments = lifetime.segments = Segments(lifetime.created, span)
        record.ended, record.outcome, record.open = now, OPEN, False
        record.fire_and_forget, record.parent, record.segments = False, None, segments
        _leave_last_segment(record, segments)
        lifetime.keep = True
        lifetime.span = Span(Trace(lifetime), lifetime.async_id, span.segment + 1, None)
        goes_on = lifetime.span.trace
        goes_on.spans, goes_on.top, goes_on.wanted = 1, lifetime.span, span.trace.wanted
        lifetime.link, lifetime.links = span, None
        segments.start = now
        segments.run, segments.ready, segments.steps = run, lifetime.ready, lifetime.steps
        segments.spans = [*segments.spans[1 - _SEGMENTS_KEPT :], (now, lifetime.span)]
        return record

    def _is_full(self, lifetime: SpanLifetime) -> bool:
        """Whether its trace has no room for it and for its ancestors that have no place yet."""
        most = self.max_spans * (2 if _is_preferred(lifetime) else 1)
        needed, child, ancestor = 1, lifetime, settled(lifetime.parent)
        while ancestor is not None and ancestor.span is None:
            needed, child, ancestor = needed + 1, ancestor, settled(ancestor.parent)
        if ancestor is None:
            if min(needed, MAX_DEPTH + 1) <= most:
                return False
            # The root alone, to count it on.
            give(child, new_span(child, None))
            return True
        place = span_at(ancestor, child)
        # What is too deep will be in another trace.
        return place.trace.spans + min(needed, MAX_DEPTH - place.depth) > most

    def _is_wanted(self, lifetime: SpanLifetime) -> bool:
        if self.wants is None:
            return True
        trace = first_place(lifetime).trace
        if trace.wanted is None:
            # Of the application's traces the root is not known.
            trace.wanted = trace.root is None or self.wants(trace.root)
        return trace.wanted

    def _is_admitted(self, lifetime: SpanLifetime, rate: Rate) -> bool:
        trace = first_place(lifetime).trace
        is_sampled = trace.identity.sampled if trace.identity else self.is_sampled(trace)
        if not is_sampled:
            return True
        if not trace.admitted:
            preferred = _is_preferred(lifetime)
            if trace.admitted is None or preferred:
                trace.admitted = rate.has_room(lifetime.ended, preferred=preferred)
            if not trace.admitted:
                return False
        rate.take()
        return True

    def _link_of(self, lifetime: SpanLifetime) -> Span | None:
        """The span that a root is linked to; what it was linked to is kept and placed for that."""
        return self._link_to(lifetime.link, lifetime)

    def _links_of(self, lifetime: SpanLifetime) -> list[tuple[SpanLifetime | Span, str]] | None:
        """The same of its other links."""
        if lifetime.links is None:
            return None
        found: list[tuple[SpanLifetime | Span, str]] = []
        for target, reason in lifetime.links:
            place = self._link_to(target, lifetime)
            if place is not None:
                found.append((place, reason))
        return found or None

    def _link_to(self, target: SpanLifetime | Span | None, lifetime: SpanLifetime) -> Span | None:
        if not isinstance(target, SpanLifetime):
            return target
        target = settled_link(target)
        if target is None:
            return None
        if target.span is None and self._is_full(target):
            # It will be counted, on what stands for it here.
            place = first_place(target)
        else:
            span_of(target)
            place = span_at(target, lifetime)
        place.trace.admitted = True
        return place if self._is_wanted(target) else None


def _is_preferred(lifetime: SpanLifetime) -> bool:
    """Whether it tells of a failure, or of what blocked a loop."""
    return lifetime.error is not None or bool(lifetime.events)


def _count(lifetime: SpanLifetime, parent: SpanLifetime) -> None:
    """Count it on the nearest ancestor whose own record is still to come."""
    ancestor: SpanLifetime | None = parent
    place: Span | None = None
    while ancestor is not None and (ancestor.span is None or ancestor.span.out):
        if ancestor.span is not None:
            # What is above one that is out is not known any more, but for the root.
            place = ancestor.span.trace.top
        ancestor = settled(ancestor.parent)
    if ancestor is not None:
        place = ancestor.span
    if place is None:
        return
    counted = place.counted
    if counted is None:
        counted = place.counted = {}
    key: tuple[str, str | None] = (lifetime.type.name, lifetime.name)
    if key not in counted and len(counted) >= MAX_COUNTED_NAMES:
        key = ("other", None)
    total = counted.setdefault(key, [0, 0])
    total[0] += 1
    total[1] += lifetime.ended - lifetime.created


def _outlived(child: SpanLifetime, parent: SpanLifetime) -> bool:
    return parent.fate is KEPT and parent.fire_and_forget and parent.ended <= child.ended


def _running_since(lifetime: SpanLifetime, now: int) -> int:
    """What the present step of an open lifetime has taken so far."""
    # It may be beginning its first step at this very moment, in its own thread.
    entered = getattr(lifetime, "entered", 0)
    if getattr(lifetime, "resource", None) is None or not entered:
        return 0
    return max(0, now - entered)


def _leave_last_segment(record: SpanLifetime, segments: Segments) -> None:
    """Leave in a record only what belongs to its last segment."""
    # It may have ended between the reading of the clock and the cut.
    record.created = min(segments.start, record.ended)
    record.run = max(0, record.run - segments.run)
    record.ready = max(0, record.ready - segments.ready)
    record.steps -= segments.steps
