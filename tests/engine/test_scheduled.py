"""Timers that are cancelled: a timeout that did not come to pass is no span."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from importlib.util import find_spec
from typing import Any

import pytest

from lives import Lives
from telling import recorded
from whence.engine import CANCELLED, SpanLifetime, hide, recorder, ring
from whence.engine.resource_types import HANDLE, TIMER_HANDLE
from whence.engine.scheduled import callback_name, describe_timer, hide_unfired
from whence.testing import record

Main = Callable[[], Coroutine[Any, Any, object]]

on_both_loops = pytest.mark.parametrize(
    "loop",
    [
        "asyncio",
        pytest.param(
            "uvloop",
            marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="not for this system"),
        ),
    ],
)


def run(main: Main, loop: str) -> None:
    if loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    else:
        asyncio.run(main())


def timers_of(main: Main, loop: str) -> list[tuple[str | None, str]]:
    """Name and outcome of every timer that becomes a span."""
    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        try:
            run(main, loop)
        finally:
            recorder.min_duration = before
        spans = [span for span in ring.drain(1000) if isinstance(span, SpanLifetime)]
    return [(span.name, span.outcome) for span in spans if span.type is TIMER_HANDLE]


async def in_time() -> None:
    async with asyncio.timeout(60):
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(60, print).cancel()


@on_both_loops
def test_a_timeout_that_did_not_come_to_pass_is_no_span(loop: str) -> None:
    assert timers_of(in_time, loop) == []


@on_both_loops
def test_it_has_its_events_all_the_same(loop: str) -> None:
    with record() as events:
        run(in_time, loop)
    timers = events.ids("TimerHandle")
    assert len(timers) == 2
    assert [events.names(timer) for timer in timers] == [["init", "destroy"]] * 2


@on_both_loops
def test_a_timeout_that_came_to_pass_is_a_span(loop: str) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()

    assert timers_of(main, loop) == [("Timeout._on_timeout", "done")]


@on_both_loops
def test_a_sleep_that_was_cancelled_is_a_span_for_a_task_waited_for_it(loop: str) -> None:
    async def main() -> None:
        sleeping = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        sleeping.cancel()
        await asyncio.wait([sleeping])

    assert timers_of(main, loop) == [("_set_result_unless_cancelled", "cancelled")]


@on_both_loops
def test_a_timer_that_cancels_itself_has_fired(loop: str) -> None:
    async def main() -> None:
        fired = asyncio.Event()

        def fire() -> None:
            timer.cancel()
            fired.set()

        timer = asyncio.get_running_loop().call_later(0.001, fire)
        await fired.wait()

    ((name, _),) = timers_of(main, loop)
    assert str(name).endswith("fire")


def test_what_has_spans_already_has_a_last_one(lives: Lives) -> None:
    timer = lives.begin("retry", row=TIMER_HANDLE)
    lives.wait(60_000)
    lives.cut(timer)
    hide_unfired(timer)
    lives.end(timer, CANCELLED, after=5)
    assert [span.outcome for span in lives.come_out()] == ["cancelled"]


def test_nothing_but_timers_is_hidden(lives: Lives) -> None:
    other, timer = lives.begin("work"), lives.begin("retry", row=TIMER_HANDLE)
    for each in (other, timer, lives.record(None, HANDLE)):
        hide_unfired(each)
    assert (other.transparent, timer.transparent) == (False, True)


class Proxy:
    """What stands in for something of which there is none at present."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("outside of a request")

    @__class__.setter
    def __class__(self, other: Any) -> None: ...

    def __call__(self) -> None:
        raise AssertionError("it is cancelled")


@on_both_loops
def test_a_callback_is_not_asked_what_it_would_like_to_be(loop: str) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(60, Proxy()).cancel()

    assert timers_of(main, loop) == []
    assert callback_name(Proxy()) == "Proxy"
    assert callback_name(partial(Proxy())) == "Proxy"


def test_a_timeout_of_plumbing_that_is_armed_again_leaves_its_ancestor_once(lives: Lives) -> None:
    ancestor = lives.begin("retry", row=TIMER_HANDLE)
    helper = lives.begin("helper", by=ancestor)
    hide(helper)

    def retry() -> None: ...

    retry.__qualname__ = "retry"
    timer = lives.begin("", row=TIMER_HANDLE, by=helper)
    assert ancestor.children == 1
    describe_timer(timer, helper, retry)
    assert timer.transparent
    assert ancestor.children == 0
