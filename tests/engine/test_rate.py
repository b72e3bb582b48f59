"""How many spans a second are exported, and which traces those are."""

from collections import Counter

import pytest

from lives import MS, Lives
from whence.engine import SpanLifetime, Trace, Tracer
from whence.engine.places import Span, TraceIdentity
from whence.engine.placing import place_now
from whence.engine.rate import Rate
from whence.engine.resource_types import REQUEST, TASK, TIMER_HANDLE, ResourceType

SECOND = 1_000 * MS


@pytest.fixture
def lives(lives: Lives) -> Lives:
    """With room for ten spans a second."""
    lives.tracer = Tracer(max_rate=10)
    return lives


def serve(lives: Lives, name: str = "GET /", children: int = 3) -> SpanLifetime:
    """A request, of as many spans and one more, within a tenth of a second."""
    request = lives.begin(name, row=REQUEST)
    for _ in range(children):
        lives.live(2, "child", by=request)
    lives.end(request, after=100 - 2 * children)
    return request


def fill(lives: Lives) -> None:
    """Leave no room, but for what is preferred."""
    serve(lives, "first", children=15)
    serve(lives, "left out")
    assert len(lives.come_out()) == 16
    assert lives.tracer.over_rate == 4


def check_family(came_out: list[SpanLifetime]) -> None:
    """No span without its parent."""
    places = [lifetime.span for lifetime in came_out]
    known = {(place.trace, place.async_id) for place in places if place is not None}
    for place in places:
        assert place is not None
        assert place.parent is None or (place.trace, place.parent[0]) in known


# The room


def test_there_is_room_for_one_second_at_first_and_no_more_than_that_later() -> None:
    rate = Rate(2)
    for now in (0, 1000 * SECOND):
        for _ in range(2):
            assert rate.has_room(now, preferred=False)
            rate.take()
        assert not rate.has_room(now, preferred=False)


def test_the_room_grows_with_time() -> None:
    rate = Rate(2)
    rate.take()
    rate.take()
    assert not rate.has_room(0, preferred=False)
    assert rate.has_room(SECOND // 4, preferred=False)
    rate.take()
    assert not rate.has_room(SECOND // 2, preferred=False)
    assert rate.has_room(SECOND // 2 + 1, preferred=False)


def test_what_comes_out_of_order_makes_no_room() -> None:
    rate = Rate(1)
    assert rate.has_room(10 * SECOND, preferred=False)
    rate.take()
    for now in (0, 10 * SECOND, 5 * SECOND, 10 * SECOND):
        assert not rate.has_room(now, preferred=False)


def test_what_is_preferred_finds_as_much_room_again() -> None:
    rate = Rate(2)
    for _ in range(4):
        assert rate.has_room(0, preferred=True)
        rate.take()
    assert not rate.has_room(0, preferred=True)


# The traces


def test_traces_are_whole_or_left_out(lives: Lives) -> None:
    for _ in range(100):
        serve(lives)
    came_out = lives.come_out()
    traces = Counter(lifetime.span.trace for lifetime in came_out if lifetime.span is not None)
    assert set(traces.values()) == {4}
    check_family(came_out)
    # Ten seconds, and the room that there was at first; a trace may take more than is left.
    assert 100 <= len(came_out) <= 10 * 10 + 10 + 3
    assert lives.tracer.over_rate == 400 - len(came_out)
    assert lives.tracer.counted == 0


def test_below_the_rate_nothing_is_left_out(lives: Lives) -> None:
    for _ in range(20):
        serve(lives)
        lives.wait(300)
    assert len(lives.come_out()) == 80
    assert lives.tracer.over_rate == 0


def test_a_failure_finds_room_where_others_do_not(lives: Lives) -> None:
    fill(lives)
    request = lives.begin("POST /", row=REQUEST)
    failing = lives.begin("failing", by=request)
    lives.fail(failing, ValueError(), after=2)
    lives.end(request)
    came_out = lives.come_out()
    assert [lifetime.name for lifetime in came_out] == ["failing", "POST /"]
    check_family(came_out)


def test_what_blocked_is_preferred_as_well(lives: Lives) -> None:
    fill(lives)
    request = lives.begin("POST /", row=REQUEST)
    request.events = [("whence.blocked", lives.now, {})]
    lives.end(request, after=2)
    assert lives.come_out() == [request]


def test_a_failure_brings_in_what_comes_after_it_and_numbers_of_what_came_before(
    lives: Lives,
) -> None:
    fill(lives)
    request = lives.begin("POST /", row=REQUEST)
    lives.live(2, "before", by=request)
    ended = lives.begin("ended", by=request)
    inner = lives.begin("inner", by=ended)
    lives.end(ended, after=2)
    lives.fail(inner, ValueError(), after=2)
    lives.live(2, "after", by=request)
    lives.end(request)
    came_out = lives.come_out()
    assert [lifetime.name for lifetime in came_out] == ["inner", "after", "POST /"]
    check_family(came_out)
    assert request.span is not None
    assert request.span.counted == {("Task", "before"): [1, 2 * MS], ("Task", "ended"): [1, 2 * MS]}


def test_failures_without_end_find_an_end_too(lives: Lives) -> None:
    for _ in range(100):
        lives.fail(lives.begin("failing", row=REQUEST), ValueError(), after=2)
    # In the fifth of a second 2 are added to twice the room of a second.
    assert 20 <= len(lives.come_out()) <= 23


def test_a_long_life_is_exported_with_what_it_stands_for(lives: Lives) -> None:
    fill(lives)
    main = lives.begin("main")
    lives.live(2, "before", by=main)
    assert lives.come_out() == []
    lives.wait(60_000)
    first = lives.cut(main)
    assert first.span is not None
    assert first.span.counted == {("Task", "before"): [1, 2 * MS]}
    lives.end(main)


def test_a_segment_goes_on_from_the_one_before_whatever_became_of_its_parent(
    lives: Lives,
) -> None:
    main = lives.begin("main")
    child = lives.begin("child", by=main)
    lives.wait(60_000)
    lives.cut(main)
    lives.cut(child)
    fill(lives)
    lives.end(main)
    assert lives.come_out() == [], "there is no room for the last segment"
    lives.wait(60_000)
    lives.end(child)
    (last,) = lives.come_out()
    assert isinstance(last.link, Span)
    assert (last.link.async_id, last.link.segment) == (child.async_id, 0)


def test_what_nobody_samples_takes_no_room(lives: Lives) -> None:
    """It goes on to the exporters, which count it."""
    asked: list[Trace] = []

    def is_sampled(trace: Trace) -> bool:
        asked.append(trace)
        trace.identify(TraceIdentity(1, None, None, sampled=False))
        return False

    lives.tracer.is_sampled = is_sampled
    for _ in range(10):
        serve(lives)
    assert len(lives.come_out()) == 40
    assert len(asked) == 10, "a sampler is asked once"
    lives.tracer.is_sampled = lambda trace: True
    serve(lives)
    assert len(lives.come_out()) == 4


def test_what_the_program_refers_to_is_exported(lives: Lives) -> None:
    fill(lives)
    request = lives.begin("GET /", row=REQUEST)
    lives.live(2, "before", by=request)
    assert lives.come_out() == []
    assert place_now(request) is not None
    lives.live(2, "after", by=request)
    lives.end(request)
    assert [lifetime.name for lifetime in lives.come_out()] == ["after", "GET /"]


def test_what_is_linked_to_is_exported(lives: Lives) -> None:
    fill(lives)
    main = lives.begin("main")
    lives.live(2, "before", by=main)
    assert lives.come_out() == []
    lives.wait(10_000)
    request = lives.begin("GET /", by=main, row=REQUEST)
    lives.end(request, after=2)
    lives.end(main)
    assert [lifetime.name for lifetime in lives.come_out()] == ["GET /", "main"]


def test_late_children_of_what_was_left_out_are_traces_of_their_own(lives: Lives) -> None:
    fill(lives)
    request = serve(lives)
    late = lives.begin("late", by=request)
    assert lives.come_out() == []
    lives.end(late, after=5_000)
    (out,) = lives.come_out()
    assert out is late
    check_family([out])


@pytest.mark.parametrize("row", [TASK, TIMER_HANDLE])
def test_a_chain_that_is_left_out_keeps_nothing_of_its_past(
    row: ResourceType, lives: Lives
) -> None:
    """Tasks of which each starts the next, timers of which each is linked to the one before."""
    fill(lives)
    last = lives.begin("link", row=row)
    for number in range(100):
        before, last = last, lives.begin("link", by=last, row=row)
        before.keep = True
        lives.end(before, after=0.01)
        if number % 10 == 0:
            lives.come_out()
    lives.come_out()
    past, ancestor = 0, before_of(last)
    while ancestor is not None:
        past, ancestor = past + 1, before_of(ancestor)
    assert past < 5


def before_of(lifetime: SpanLifetime) -> SpanLifetime | None:
    if lifetime.parent is None and isinstance(lifetime.link, SpanLifetime):
        return lifetime.link
    return lifetime.parent
