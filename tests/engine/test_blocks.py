"""What held its loop for too long, and for whom it was late."""

from collections.abc import Iterator
from typing import Any

import pytest

from lives import MS, Lives
from whence.engine import (
    SpanLifetime,
    create,
    end,
    enter,
    leave,
    local,
    open_lifetimes,
    recorder,
    ring,
)
from whence.engine.blocks import EVENT, MAX_EVENTS, blocks, restart_in_child
from whence.engine.lifetimes import KEPT
from whence.engine.measures import blocked
from whence.engine.resource_types import (
    EXECUTOR_JOB,
    HANDLE,
    READER,
    REQUEST,
    TASK,
    type_named,
)
from whence.engine.sites import Site
from whence.engine.stacks import Sample, Stack


@pytest.fixture(autouse=True)
def nothing_blocked(lives: Lives) -> Iterator[None]:
    """Nothing has blocked yet."""
    restart_in_child()
    yield
    restart_in_child()


def told(lifetime: Any) -> list[dict[str, Any]]:
    """What the events of a lifetime say."""
    events = lifetime.events or []
    assert {name for name, _, _ in events} <= {EVENT}
    return [attributes for _, _, attributes in events]


def a_step(line: int = 7) -> None:
    """Has a code object with a file."""


def sample(lives: Lives, file: str | None = None) -> None:
    """As the watchdog would, with a stack of one frame."""
    code = a_step.__code__ if file is None else a_step.__code__.replace(co_filename=file)
    state = local.state
    taken = Sample(state.entered, lives.now, Stack([(code, 7)]))
    state.samples = (*state.samples, taken)


def test_a_step_that_takes_longer_than_slow_is_an_event_of_what_ran(lives: Lives) -> None:
    one = lives.begin("checkout")
    with lives.running(one):
        began = lives.now
        lives.wait(101)
    assert one.events == [(EVENT, began, {"whence.blocked.time": 0.101})]
    assert one.attributes == {"whence.blocked.total_time": 0.101}


def test_a_step_that_takes_just_as_long_is_none(lives: Lives) -> None:
    one = lives.begin()
    with lives.running(one):
        lives.wait(100)
    assert (one.events, one.attributes, blocks.worst) == (None, None, None)


@pytest.mark.parametrize("slow", [1, 5, 500])
def test_what_is_too_long_is_for_the_user_to_say(lives: Lives, slow: int) -> None:
    recorder.find_slow(slow * MS)
    one, other = lives.begin(), lives.begin()
    with lives.running(one):
        lives.wait(slow)
    with lives.running(other):
        lives.wait(slow + 0.001)
    assert (len(told(one)), len(told(other))) == (0, 1)


@pytest.mark.parametrize("row", [EXECUTOR_JOB, type_named("Own")])
def test_what_runs_on_no_loop_blocks_none(lives: Lives, row: Any) -> None:
    one = lives.begin(row=row)
    with lives.running(one):
        lives.wait(5000)
    assert (one.events, blocked.number) == (None, 0)


def test_waiting_is_not_blocking(lives: Lives) -> None:
    one = lives.begin()
    for _ in range(3):
        lives.wait(1000)
        with lives.running(one):
            lives.wait(99)
    assert one.events is None


def test_what_blocked_is_exported_however_short_it_was(lives: Lives) -> None:
    recorder.min_duration = 10_000 * MS
    one = lives.begin()
    with lives.running(one):
        lives.wait(200)
    lives.end(one)
    assert one.fate == KEPT
    assert lives.come_out() == [one]


def test_each_step_that_blocks_is_an_event_and_all_are_added_up(lives: Lives) -> None:
    one = lives.begin()
    for ms in (200, 50, 300):
        with lives.running(one):
            lives.wait(ms)
    assert [attributes["whence.blocked.time"] for attributes in told(one)] == [0.2, 0.3]
    assert one.attributes == {"whence.blocked.total_time": 0.5}
    assert (blocked.number, blocked.time) == (2, 500 * MS)


def test_events_are_bounded_and_the_total_is_not(lives: Lives) -> None:
    one = lives.begin()
    for _ in range(MAX_EVENTS + 10):
        with lives.running(one):
            lives.wait(200)
    assert len(told(one)) == MAX_EVENTS
    assert one.attributes is not None
    assert one.attributes["whence.blocked.total_time"] == pytest.approx(0.2 * (MAX_EVENTS + 10))


def test_what_ran_inside_takes_the_blame(lives: Lives) -> None:
    """A request in the step of its connection's task: blamed once, on the request."""
    task = lives.begin("RequestHandler.start")
    request = lives.begin("GET /report", by=task, row=REQUEST)
    with lives.running(task):
        with lives.running(request):
            lives.wait(300)
        lives.wait(90)
    assert [attributes["whence.blocked.time"] for attributes in told(request)] == [0.3]
    assert task.events is None
    assert blocked.number == 1


def test_what_is_left_is_blamed_on_the_outer_one_if_it_is_too_long_as_well(lives: Lives) -> None:
    task = lives.begin()
    request = lives.begin(by=task, row=REQUEST)
    with lives.running(task):
        with lives.running(request):
            lives.wait(300)
        lives.wait(150)
    assert [attributes["whence.blocked.time"] for attributes in told(request)] == [0.3]
    assert [attributes["whence.blocked.time"] for attributes in told(task)] == [0.15]
    with lives.running(task):
        lives.wait(200)
    assert len(told(task)) == 2, "the blame of an earlier step is forgotten"


def test_several_short_ones_inside_leave_the_blame_outside(lives: Lives) -> None:
    task = lives.begin()
    with lives.running(task):
        for _ in range(4):
            request = lives.begin(by=task, row=REQUEST)
            with lives.running(request):
                lives.wait(60)
            assert request.events is None
    assert [attributes["whence.blocked.time"] for attributes in told(task)] == [0.24]


def test_what_has_no_span_has_its_nearest_open_ancestor_tell(lives: Lives) -> None:
    task = lives.begin("main")
    callback = lives.record(task, HANDLE)
    with lives.running(callback):
        lives.wait(150)
    (event,) = told(task)
    assert event["whence.type"] == "Handle"
    assert event["whence.async_id"] == callback.async_id
    assert task.keep


def test_an_ancestor_that_has_ended_is_passed_over(lives: Lives) -> None:
    grandparent = lives.begin("grandparent")
    parent = lives.begin("parent", by=grandparent)
    callback = lives.record(parent, HANDLE)
    lives.end(parent, after=5)
    with lives.running(callback):
        lives.wait(150)
    assert (len(told(grandparent)), parent.events) == (1, None)


def test_a_callback_without_open_ancestors_has_this_step_for_a_span(lives: Lives) -> None:
    parent = lives.begin("parent")
    callback = lives.record(parent, HANDLE)
    lives.end(parent, after=5)
    with lives.running(callback):
        began = lives.now
        lives.wait(110)
        sample(lives)
        lives.wait(40)
    out = lives.come_out()
    (step,) = [lifetime for lifetime in out if lifetime is not parent]
    assert (step.async_id, step.type, step.created) == (callback.async_id, HANDLE, began)
    assert step.name == "a_step", "what the loop has called"
    assert step.ended - step.created == 150 * MS
    assert (step.run, step.steps) == (150 * MS, 1)
    assert len(told(step)) == 1
    assert step.span is not None
    assert step.span.parent == (parent.async_id, 0), "its place is under what led to it"
    assert parent.children == 0
    assert list(open_lifetimes.values()) == [callback], "the callback itself goes on"


def test_a_type_that_the_user_wants_no_spans_of_gets_none_for_blocking(lives: Lives) -> None:
    TASK.spans = False
    try:
        task = lives.record(None, TASK)
        with lives.running(task):
            lives.wait(150)
    finally:
        TASK.spans = True
    assert len(ring) == 0
    assert blocked.number == 1, "it is counted all the same"


def test_the_worst_of_all_is_remembered_with_where_it_was(lives: Lives) -> None:
    for ms in (150, 700, 300):
        one = lives.begin(f"{ms} ms")
        with lives.running(one):
            lives.wait(100)
            sample(lives)
            lives.wait(ms - 100)
    assert blocks.worst is not None
    assert (blocks.worst.nanoseconds, blocks.worst.name) == (700 * MS, "700 ms")
    assert blocks.worst.site == Site(__file__, 7, "a_step")


def test_without_a_stack_the_worst_is_where_it_was_created(lives: Lives) -> None:
    one = lives.begin("one")
    with lives.running(one):
        lives.wait(150)
    assert blocks.worst is not None
    assert blocks.worst.site is not None
    assert blocks.worst.site.function.endswith("worst_is_where_it_was_created")


@pytest.mark.parametrize(
    ("seen", "typical"),
    [("a", "a"), ("ab", "b"), ("aab", "a"), ("abba", "a"), ("cabb", "b"), ("abcd", "d")],
)
def test_an_event_has_the_stack_that_was_seen_most_and_last(
    lives: Lives, seen: str, typical: str
) -> None:
    one = lives.begin()
    with lives.running(one):
        for place in seen:
            lives.wait(100)
            sample(lives, f"/srv/{place}.py")
        lives.wait(50)
    (event,) = told(one)
    assert event["code.file.path"] == f"/srv/{typical}.py"
    assert event["code.line.number"] == 7
    assert event["code.function.name"] == "a_step"
    assert event["code.stacktrace"] == f'  File "/srv/{typical}.py", line 7, in a_step'


def test_a_stack_of_another_step_is_not_told(lives: Lives) -> None:
    one = lives.begin()
    with lives.running(one):
        lives.wait(99)
        sample(lives)
    with lives.running(one):
        lives.wait(150)
    assert "code.stacktrace" not in told(one)[0]


def test_a_stack_taken_inside_is_not_told_of_what_came_after(lives: Lives) -> None:
    task = lives.begin()
    request = lives.begin(by=task, row=REQUEST)
    with lives.running(task):
        lives.wait(150)
        sample(lives, "/srv/before.py")
        with lives.running(request):
            lives.wait(250)
    assert "code.stacktrace" not in told(request)[0]
    assert told(task)[0]["code.file.path"] == "/srv/before.py"


def test_a_stack_taken_inside_is_not_told_of_what_it_was_inside_of(lives: Lives) -> None:
    task = lives.begin()
    request = lives.begin(by=task, row=REQUEST)
    with lives.running(task):
        with lives.running(request):
            lives.wait(150)
            sample(lives, "/srv/inside.py")
            lives.wait(150)
        lives.wait(150)
    assert told(request)[0]["code.file.path"] == "/srv/inside.py"
    assert "code.stacktrace" not in told(task)[0]


@pytest.mark.parametrize("debugger", ["/usr/lib/python3.12/bdb.py", "/opt/debugpy/pydevd.py"])
def test_who_is_stopped_in_a_debugger_blocks_nothing(lives: Lives, debugger: str) -> None:
    one = lives.begin()
    with lives.running(one):
        lives.wait(100)
        sample(lives, debugger)
        lives.wait(60_000)
    assert (one.events, blocks.worst, blocked.number, one.run) == (None, None, 0, 0)


def test_the_record_of_a_segment_keeps_the_events_of_its_time(lives: Lives) -> None:
    one = lives.begin()
    with lives.running(one):
        lives.wait(200)
    first = lives.cut(one)
    with lives.running(one):
        lives.wait(300)
    assert [attributes["whence.blocked.time"] for attributes in told(first)] == [0.2]
    assert [attributes["whence.blocked.time"] for attributes in told(one)] == [0.3]


def test_a_step_that_ends_what_it_ran_is_told_of_what_is_open(lives: Lives) -> None:
    task = lives.begin("task")
    reader = create(local.state, READER, object(), task)
    state = local.state
    previous = state.current
    enter(state, reader, object())
    lives.wait(90)
    end(state, reader)
    lives.wait(90)
    leave(state, reader, previous)
    (event,) = told(task)
    assert event["whence.blocked.time"] == 0.18


def test_what_a_span_lifetime_has_is_all_that_a_step_as_a_span_has(lives: Lives) -> None:
    """A field that another file adds to the record must not be missing in this one."""
    callback = lives.record(None, HANDLE)
    with lives.running(callback):
        lives.wait(150)
    (step,) = lives.come_out()
    ordinary = lives.live(5)
    fields = {field for record in type(step).__mro__[:-2] for field in record.__slots__}  # type: ignore[attr-defined]
    assert isinstance(step, SpanLifetime)
    assert {f for f in fields if hasattr(ordinary, f) and not hasattr(step, f)} == set()
