"""What a reader of metrics has not seen yet."""

import sys
from _thread import get_ident
from collections.abc import Iterator

import pytest

from whence.engine.execution import local
from whence.engine.measures import LOOP_DELAY, QUEUE_TIME
from whence.engine.resource_types import EXECUTOR_JOB
from whence.exporters.metrics import window as module
from whence.exporters.metrics.window import SAME_LOOK, Window

assert EXECUTOR_JOB.queue is not None
HISTOGRAM = EXECUTOR_JOB.queue
QUEUE = QUEUE_TIME.name


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    began = made.now
    monkeypatch.setattr(module, "since", lambda: began)
    return made


@pytest.fixture(autouse=True)
def _counted_from_nothing() -> Iterator[None]:
    state, busy = local.state, local.state.busy
    HISTOGRAM.clear()
    yield
    HISTOGRAM.clear()
    state.busy = busy


def test_it_reaches_from_one_look_to_the_next(clock: Clock) -> None:
    window = Window(clock=clock)
    HISTOGRAM.record(1_000_000)
    window.look()
    assert window.since(QUEUE).count == 1
    HISTOGRAM.record(4_000_000)
    HISTOGRAM.record(4_000_000)
    clock.now += 15
    window.look()
    assert (window.since(QUEUE).count, window.since(QUEUE).sum) == (2, 0.008)
    assert window.total(QUEUE).count == 3
    window.look()
    assert window.since(QUEUE).count == 0
    assert window.since(LOOP_DELAY.name).count == 0


def test_what_comes_after_a_look_belongs_to_the_next_one(clock: Clock) -> None:
    window = Window(clock=clock)
    window.look()
    HISTOGRAM.record(1)
    assert window.since(QUEUE).count == 0


def test_readers_take_nothing_from_each_other(clock: Clock) -> None:
    one, other = Window(clock=clock), Window(clock=clock)
    HISTOGRAM.record(1)
    one.look()
    one.look()
    other.look()
    assert (one.since(QUEUE).count, other.since(QUEUE).count) == (0, 1)


def test_where_several_look_through_one_none_gets_less_than_the_shortest(clock: Clock) -> None:
    window = Window(5.0, clock)
    seen = []
    for _ in range(12):
        HISTOGRAM.record(1)
        clock.now += 1
        window.look()
        seen.append(window.since(QUEUE).count)
    assert seen == [1, 2, 3, 4, 5, 5, 5, 5, 5, 5, 5, 5]
    clock.now += 60
    HISTOGRAM.record(1)
    window.look()
    assert window.since(QUEUE).count == 1


def test_what_is_asked_together_is_one_look(clock: Clock) -> None:
    window = Window(clock=clock)
    HISTOGRAM.record(1)
    window.look_once()
    HISTOGRAM.record(1)
    clock.now += SAME_LOOK / 2
    window.look_once()
    assert window.since(QUEUE).count == 1
    clock.now += SAME_LOOK
    window.look_once()
    assert window.since(QUEUE).count == 1
    assert window.total(QUEUE).count == 2


def test_utilization_is_the_part_of_the_time_that_a_thread_was_busy(clock: Clock) -> None:
    me = get_ident()
    local.state.busy = 7_000_000_000
    window = Window(clock=clock)
    window.look()
    local.state.busy += 3_000_000_000
    clock.now += 12
    window.look()
    assert window.utilization()[me] == 0.25
    clock.now += 10
    window.look()
    assert window.utilization()[me] == 0.0
    local.state.busy += 90_000_000_000
    clock.now += 10
    window.look()
    assert window.utilization()[me] == 1.0


def test_the_first_window_begins_where_counting_did(clock: Clock) -> None:
    """It may be long before the first one looks."""
    local.state.busy = 2_000_000_000
    clock.now += 10
    window = Window(clock=clock)
    window.look()
    assert window.utilization()[get_ident()] == 0.2


def test_threads_that_have_ended_are_not_listed(clock: Clock) -> None:
    window = Window(clock=clock)
    window.look()
    clock.now += 1
    window.look()
    assert window.utilization().keys() <= sys._current_frames().keys()
