"""Whatever lives there are, and whatever is chosen of them: the laws of traces."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lives import MS, Lives, lives_on_a_clock_of_their_own
from whence.engine import SpanLifetime, Tracer, open_lifetimes, ring
from whence.engine.places import Span
from whence.engine.placing import MAX_DEPTH
from whence.engine.resource_types import (
    HANDLE,
    REQUEST,
    SERVER,
    TASK,
    TIMER_HANDLE,
    TRANSPORT,
    ResourceType,
)
from whence.engine.selected import Wanted, select

ROWS = (TASK, TASK, TASK, HANDLE, TIMER_HANDLE, REQUEST, SERVER, TRANSPORT)
SEGMENT = 1_000
"""Milliseconds."""
NAMES = ("left out", "a", "b", None)

_NUMBER = st.integers(0, 9)
_BEGIN = st.tuples(st.just("begin"), _NUMBER, st.sampled_from(ROWS), st.sampled_from(NAMES))

ACTS = st.lists(
    st.one_of(
        _BEGIN,
        _BEGIN,
        st.tuples(st.sampled_from(("end", "end", "fail", "block")), _NUMBER),
        st.tuples(st.just("wait"), st.sampled_from((0.1, 1, 30, 2 * SEGMENT))),
        st.tuples(st.sampled_from(("drain", "cut"))),
    ),
    min_size=30,
    max_size=200,
)
"""What happens to lives; a number names one of the last ones that are open."""


class World:
    """Lives to which all sorts of things happen, and what came out of them."""

    def __init__(self, lives: Lives, max_spans: int, max_rate: int, wants: Wanted | None) -> None:
        lives.tracer = Tracer(max_spans, max_rate, wants)
        self.lives = lives
        self.open: list[SpanLifetime] = []
        self.out: list[SpanLifetime] = []
        self.segments: list[SpanLifetime] = []

    def begin(self, which: int, row: ResourceType, name: str | None) -> None:
        by = self._one(which)
        if row is HANDLE:
            # What it triggers passes it over, while it is open and after.
            by, row = self.lives.record(by, HANDLE), TASK  # type: ignore[assignment]
        self.open.append(self.lives.begin(name, by, row))

    def end(self, which: int) -> None:
        if lifetime := self._one(which):
            self.open.remove(lifetime)
            self.lives.end(lifetime)

    def fail(self, which: int) -> None:
        if lifetime := self._one(which):
            self.open.remove(lifetime)
            self.lives.fail(lifetime, ValueError())

    def block(self, which: int) -> None:
        if lifetime := self._one(which):
            lifetime.events = [("whence.blocked", self.lives.now, {})]
            lifetime.keep = True

    def wait(self, ms: float) -> None:
        self.lives.wait(ms)

    def drain(self) -> None:
        self.out += self.lives.come_out()

    def cut(self) -> None:
        for lifetime in self.lives.tracer.due(self.lives.now, SEGMENT * MS):
            self.segments.append(self.lives.cut(lifetime))

    def finish(self) -> None:
        while self.open:
            self.end(0)
        self.drain()

    def _one(self, which: int) -> SpanLifetime | None:
        return self.open[-1 - which % len(self.open)] if self.open else None


@settings(max_examples=300, deadline=None)
@given(
    acts=ACTS,
    max_spans=st.sampled_from((1, 2, 3, 7, 2000)),
    max_rate=st.sampled_from((0, 0, 1, 5, 50)),
    selects=st.booleans(),
    wants=st.sampled_from((None, None, lambda root: root.name != "a")),
)
def test_no_span_is_an_orphan_and_every_one_is_accounted_for(
    acts: list[tuple[object, ...]],
    max_spans: int,
    max_rate: int,
    selects: bool,
    wants: Wanted | None,
) -> None:
    with pytest.MonkeyPatch.context() as patch, lives_on_a_clock_of_their_own(patch) as lives:
        select((lambda lifetime: lifetime.name != "left out") if selects else None)
        try:
            world = World(lives, max_spans, max_rate, wants)
            for act, *details in acts:
                getattr(world, str(act))(*details)
            world.finish()
            check(world, max_spans, selects)
        finally:
            select(None)


def check(world: World, max_spans: int, selects: bool) -> None:
    tracer = world.lives.tracer
    out = world.out + world.segments
    places = [place_of(lifetime) for lifetime in out]
    known = {(place.trace, place.async_id, place.segment) for place in places}
    assert len(known) == len(out), "two spans are one"
    for place in places:
        assert place.parent is None or (place.trace, *place.parent) in known, "an orphan"
        assert place.depth <= MAX_DEPTH
    if tracer.wants is None:
        assert len(world.out) + tracer.counted + tracer.over_rate == ring.pushed
    else:
        assert all(place.trace.wanted for place in places)
        roots = [it for place, it in zip(places, out, strict=True) if place.parent is None]
        assert all(tracer.wants(root) for root in roots if root.link is None)
    assert not any(isinstance(open_, SpanLifetime) for open_ in open_lifetimes.values())
    if selects:
        assert not any(lifetime.name == "left out" and not lifetime.keep for lifetime in out)
    sizes = Counter(place.trace for place in places)
    preferred = {place_of(it).trace for it in out if it.error is not None or it.events}
    for trace, size in sizes.items():
        # A segment is exported however full its trace is: it goes on in another one.
        cut = sum(place_of(segment).trace is trace for segment in world.segments)
        assert size - cut <= max_spans * (2 if trace in preferred else 1)
    # A link is to a span that is exported, if not to one that nobody had room for any more.
    for lifetime in out:
        if isinstance(lifetime.link, Span) and lifetime.link.out:
            assert (lifetime.link.trace, lifetime.link.async_id, lifetime.link.segment) in known


def place_of(lifetime: SpanLifetime) -> Span:
    assert lifetime.span is not None
    return lifetime.span
