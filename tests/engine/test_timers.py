"""Timers on both loops: what their spans are called, and where they stand."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

import whence
from whence.engine import SpanLifetime, open_lifetimes

SOON = 0.001


LOOPS: dict[str, Any] = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError:
    pass
else:
    LOOPS["uvloop"] = uvloop.new_event_loop

pytestmark = pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    whence.attach(export=("none",), min_duration=0)
    yield
    whence.detach()


class Stands(NamedTuple):
    """A timer, and where it stands while its callback runs."""

    timer: SpanLifetime
    parent: SpanLifetime | None
    link: Any


def where() -> Stands:
    timer = open_lifetimes[whence.execution_async_id()]
    assert isinstance(timer, SpanLifetime)
    return Stands(timer, timer.parent, timer.link)


class Ticks:
    """Arms itself again, and notes each of its timers."""

    def __init__(self, ended: asyncio.Event, again: Callable[["Ticks"], object]) -> None:
        self.timers: list[Stands] = []
        self.ended = ended
        self.again = again

    def tick(self) -> None:
        self.timers.append(where())
        if len(self.timers) == 4:
            self.ended.set()
        else:
            self.again(self)


def run(new_loop: Any, again: Callable[[Ticks], object]) -> list[Stands]:
    async def main() -> list[Stands]:
        ticks = Ticks(asyncio.Event(), again)
        asyncio.get_running_loop().call_later(SOON, ticks.tick)
        await ticks.ended.wait()
        return ticks.timers

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main())


def arm(ticks: Ticks) -> None:
    asyncio.get_running_loop().call_later(SOON, ticks.tick)


def arm_in_a_task(ticks: Ticks) -> None:
    async def work() -> None:
        arm(ticks)

    ticks.task = asyncio.ensure_future(work())  # type: ignore[attr-defined]


@pytest.mark.parametrize("again", [arm, arm_in_a_task])
def test_every_timer_of_a_period_roots_a_trace_but_the_one_that_began_it(
    new_loop: Any, again: Callable[[Ticks], object]
) -> None:
    first, *others = run(new_loop, again)
    assert first.parent is not None
    assert first.parent.type.name == "Task"
    for before, after in zip([first, *others], others, strict=False):
        assert (after.timer.name, after.parent) == ("Ticks.tick", None)
        assert before.timer.async_id in {after.link.async_id, after.link.trigger_async_id}


def test_timers_with_other_callbacks_are_a_descent(new_loop: Any) -> None:
    timers: list[Stands] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def one() -> None:
            timers.append(where())
            loop.call_later(SOON, two)

        def two() -> None:
            timers.append(where())
            ended.set()

        loop.call_later(SOON, one)
        await ended.wait()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    assert timers[1].parent is timers[0].timer


class Called:
    """Says nothing of itself."""

    def __call__(self) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("on purpose")


@pytest.mark.parametrize(
    ("callback", "name"),
    [
        (print, "print"),
        (partial(print, 5), "print"),
        (Ticks.tick, "Ticks.tick"),
        (Called, "Called"),
        ([].append, "list.append"),
    ],
)
def test_a_timer_is_called_as_its_callback(new_loop: Any, callback: Any, name: str) -> None:
    async def main() -> Any:
        call = callback() if callback is Called else callback
        timer = asyncio.get_running_loop().call_later(10, call)
        (found,) = [one for one in open_lifetimes.values() if one.type.name == "TimerHandle"]
        timer.cancel()
        return found

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(main()).name == name
