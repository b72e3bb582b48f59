"""What waits for its turn on a loop."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import whence
from whence.engine import RecordedLifetime, clock
from whence.engine.waiting import MAX_LOOKED_AT, Waiting


def new_uvloop() -> Any:
    return pytest.importorskip("uvloop").new_event_loop()


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    """The agent records meanwhile."""
    whence.attach(export=("none",))
    yield
    whence.detach()


@pytest.fixture(params=[asyncio.new_event_loop, new_uvloop])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a coroutine on each of the loops."""

    def run(coroutine: Any) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run


def names(waiting: Waiting) -> list[tuple[str, str | None]]:
    return [(one.type.name, one.name) for one in waiting.lifetimes]


async def nothing() -> None:
    """A task of one step."""


def test_nothing_waits_where_no_loop_runs() -> None:
    waiting = Waiting(clock())
    assert (waiting.lifetimes, waiting.more) == ([], 0)


def test_callbacks_steps_and_timers_that_are_due_wait(run: Callable[..., Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            loop.call_later(1000, int)
        due = [loop.call_later(0.001 * n, float) for n in (3, 2, 1)]
        loop.call_soon(str)
        task = asyncio.create_task(nothing())
        now = clock() + 500_000_000
        waiting = Waiting(now)
        assert names(waiting)[:2] == [("Handle", None), ("Task", "nothing")]
        assert sorted(names(waiting)[2:], key=str) == [("TimerHandle", "float")] * 3
        assert waiting.more == 0
        del due
        await task

    run(main())


def test_timers_wait_from_when_they_are_due(run: Callable[..., Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, float)
        now = clock()
        assert Waiting(now + 100_000_000).lifetimes == []
        (timer,) = Waiting(now + 300_000_000).lifetimes
        assert isinstance(timer, RecordedLifetime)
        assert timer.scheduled - now == pytest.approx(200_000_000, abs=50_000_000)

    run(main())


def test_what_never_comes_never_waits(run: Callable[..., Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        try:
            loop.call_later(float("inf"), int)
        except (OverflowError, ValueError):
            return  # uvloop's own answer
        assert Waiting(clock() + 10**12).lifetimes == []

    run(main())


def test_timers_of_types_without_spans_wait_no_longer(run: Callable[..., Any]) -> None:
    whence.detach()
    whence.attach(export=("none",), types="Task")

    async def main() -> None:
        asyncio.get_running_loop().call_later(1000, int)
        assert Waiting(clock() + 10**9).lifetimes == []

    run(main())


def test_what_is_cancelled_does_not_wait(run: Callable[..., Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(int).cancel()
        loop.call_later(0.001, int).cancel()
        assert Waiting(clock() + 10**9).lifetimes == []

    run(main())


def test_what_was_there_before_the_agent_is_passed_over(run: Callable[..., Any]) -> None:
    whence.detach()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(int)
        loop.call_later(0.001, int)
        whence.attach(export=("none",))
        loop.call_soon(str)
        assert len(Waiting(clock() + 10**9).lifetimes) == 1

    run(main())


def test_of_very_many_the_rest_is_a_number(run: Callable[..., Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(MAX_LOOKED_AT + 50):
            loop.call_soon(int)
        waiting = Waiting(clock() + 10**9)
        assert len(waiting.lifetimes) == MAX_LOOKED_AT
        assert waiting.more == 50

    run(main())


def test_a_loop_that_keeps_its_handles_elsewhere_has_none() -> None:
    class Loop(asyncio.SelectorEventLoop):
        def look(self) -> list[RecordedLifetime]:
            kept = self._ready, self._scheduled  # type: ignore[has-type]
            self._ready, self._scheduled = "elsewhere", 5
            try:
                return Waiting(clock() + 10**9).lifetimes
            finally:
                self._ready, self._scheduled = kept

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        loop.call_soon(int)
        assert loop.look() == []

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
