"""When a trace is finished, and what becomes of one that never is."""

from collections.abc import Sequence
from typing import Any

import pytest

from lives import Lives
from whence.engine import RecordedLifetime, SpanLifetime, open_lifetimes
from whence.engine.resource_types import FUTURE, HANDLE, REQUEST, SERVER, TIMER_HANDLE
from whence.listening import gathering as module
from whence.listening.gathering import Gathering

SEGMENT = 60


class Heard:
    """A listener that notes what it is given."""

    waits = False

    def __init__(self) -> None:
        self.traces: list[tuple[set[str | None], bool]] = []

    def put(self, records: Sequence[SpanLifetime], has_all: bool) -> None:
        self.traces.append(({record.name for record in records}, has_all))

    def go_on(self) -> None:
        """Nothing is waiting."""


class Gathered:
    """What a listener hears of lives that come out of the ring."""

    def __init__(self, lives: Lives) -> None:
        self.lives = lives
        self.heard = Heard()
        self.gathering = Gathering(SEGMENT)
        listener: Any = self.heard
        self.gathering.listeners = (listener,)

    def turn(self) -> list[tuple[set[str | None], bool]]:
        """What the sender does: drains, then looks; what has been heard since."""
        before = len(self.heard.traces)
        self.gathering.take(self.lives.come_out())
        self.gathering.look()
        return self.heard.traces[before:]


@pytest.fixture
def gathered(lives: Lives) -> Gathered:
    return Gathered(lives)


def test_a_trace_is_handed_over_when_two_looks_find_it_finished(
    lives: Lives, gathered: Gathered
) -> None:
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    assert gathered.turn() == []
    assert gathered.turn() == []
    lives.end(main)
    assert gathered.turn() == []
    assert gathered.gathering.waits
    assert gathered.turn() == [({"main", "child"}, True)]
    assert not gathered.gathering.waits


def test_traces_are_told_apart(lives: Lives, gathered: Gathered) -> None:
    for name in "ab":
        request = lives.begin(name, row=REQUEST)
        lives.live(2, f"child of {name}", by=request)
        lives.end(request)
    gathered.turn()
    assert gathered.turn() == [({"a", "child of a"}, True), ({"b", "child of b"}, True)]


def test_what_outlives_the_root_is_waited_for(lives: Lives, gathered: Gathered) -> None:
    main = lives.begin("main")
    child = lives.begin("child", by=main)
    lives.end(main, after=2)
    for _ in range(5):
        assert gathered.turn() == []
    lives.end(child, after=2)
    gathered.turn()
    assert gathered.turn() == [({"main", "child"}, True)]


def test_what_a_dropped_child_of_the_root_started_is_waited_for(
    lives: Lives, gathered: Gathered
) -> None:
    main = lives.begin("main")
    short = lives.begin("short", by=main)
    late = lives.begin("late", by=short)
    lives.end(short)
    lives.end(main, after=2)
    for _ in range(5):
        assert gathered.turn() == []
    lives.end(late, after=2)
    gathered.turn()
    assert gathered.turn() == [({"main", "late"}, True)]


@pytest.mark.parametrize("row", [HANDLE, TIMER_HANDLE])
def test_a_callback_that_has_still_to_run_is_waited_for(
    row: Any, lives: Lives, gathered: Gathered
) -> None:
    main = lives.begin("main")
    callback = lives.record(main, row)
    lives.end(main, after=2)
    for _ in range(3):
        assert gathered.turn() == []
    child = lives.begin("child", by=callback)
    lives.end(callback)
    assert gathered.turn() == []
    lives.end(child, after=2)
    gathered.turn()
    ((names, has_all),) = gathered.turn()
    assert (names - {None}, has_all) == ({"main", "child"}, True)


def test_a_future_that_nobody_settles_is_not_waited_for(lives: Lives, gathered: Gathered) -> None:
    main = lives.begin("main")
    forgotten = lives.record(main, FUTURE)
    lives.end(main, after=2)
    gathered.turn()
    assert gathered.turn() == [({"main"}, True)]
    assert forgotten.open


def test_what_is_open_in_other_traces_is_not_waited_for(lives: Lives, gathered: Gathered) -> None:
    server = lives.begin("server", row=SERVER)
    lives.begin("accept", by=server)
    lives.begin("other")
    lives.live(2, "main")
    gathered.turn()
    assert gathered.turn() == [({"main"}, True)]


def test_what_comes_between_two_looks_is_part_of_it(lives: Lives, gathered: Gathered) -> None:
    """It was in neither place when the first look was taken: ended, and on its way to the ring."""
    main = lives.begin("main")
    child = lives.begin("child", by=main)
    lives.end(main, after=2)
    ending = open_lifetimes.pop(child.async_id)
    assert isinstance(ending, RecordedLifetime)
    assert gathered.turn() == []
    open_lifetimes[child.async_id] = ending
    lives.end(child, after=2)
    assert gathered.turn() == []
    assert gathered.turn() == [({"main", "child"}, True)]


def test_a_segment_ends_the_waiting(lives: Lives, gathered: Gathered) -> None:
    main = lives.begin("main")
    lives.live(2, "before", by=main)
    lives.wait(60_000)
    gathered.gathering.take([*lives.come_out(), lives.cut(main)])
    lives.live(2, "after", by=main)
    gathered.turn()
    assert gathered.turn() == [({"main", "before"}, True)]
    lives.end(main)
    gathered.turn()
    assert gathered.turn() == [({"main", "after"}, True)]


def test_a_trace_that_lost_something_is_handed_over_after_two_segments(
    lives: Lives, gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    main = lives.begin("lost")
    lives.live(2, "child", by=main)
    gathered.turn()
    now[0] = 2 * SEGMENT - 0.001
    assert gathered.turn() == []
    now[0] = 2 * SEGMENT
    assert gathered.turn() == [({"child"}, False)]


def test_no_more_is_held_than_there_is_room_for(
    lives: Lives, gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_HELD", 3)
    main, other = lives.begin("main"), lives.begin("other")
    for name in ("a", "b"):
        lives.live(2, name, by=main)
    lives.live(2, "c", by=other)
    assert gathered.turn() == []
    lives.live(2, "d", by=other)
    assert gathered.turn() == [({"a", "b"}, False)]


def test_at_the_end_everything_is_handed_over_as_it_is(lives: Lives, gathered: Gathered) -> None:
    lives.live(2, "whole")
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    gathered.gathering.take(lives.come_out())
    gathered.gathering.hand_over_all()
    assert gathered.heard.traces == [({"whole"}, True), ({"child"}, False)]


def test_without_listeners_nothing_is_held(lives: Lives, gathered: Gathered) -> None:
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    gathered.turn()
    gathered.gathering.listeners = ()
    lives.end(main)
    gathered.turn()
    assert not gathered.gathering.waits
    gathered.gathering.hand_over_all()
    assert gathered.heard.traces == []
