"""Requests and other scopes: their times are those of the task that carries them."""

import asyncio
import time
from collections.abc import Iterator

import pytest

import whence
from clocks import patch_clock
from whence.engine import SpanLifetime, close_scope, local, open_scope
from whence.engine.blocks import blocks
from whence.engine.resource_types import REQUEST

pytestmark = pytest.mark.usefixtures("recording")

MILLISECOND = 1_000_000


@pytest.fixture
def recording() -> Iterator[None]:
    """The agent records meanwhile."""
    whence.attach(export=("none",))
    yield
    whence.detach()


def keep_busy(seconds: float) -> None:
    time.sleep(seconds)


class Work:
    """What a scope stands for."""


async def serve(seconds_waiting: float, seconds_running: float) -> SpanLifetime:
    scope = open_scope(local.state, REQUEST, work := Work())
    assert scope is not None
    await asyncio.sleep(seconds_waiting)
    keep_busy(seconds_running)
    close_scope(local.state, scope)
    assert work is not None
    assert isinstance(scope.lifetime, SpanLifetime)
    return scope.lifetime


def test_a_scope_that_waits_is_not_ready() -> None:
    lifetime = asyncio.run(serve(0.03, 0.02))
    assert lifetime.wait >= 29 * MILLISECOND
    assert lifetime.run >= 20 * MILLISECOND
    assert lifetime.run + lifetime.ready + lifetime.wait == lifetime.ended - lifetime.created


def test_a_scope_is_ready_while_another_task_holds_the_loop() -> None:
    async def hold(due: asyncio.Event) -> None:
        await due.wait()
        keep_busy(0.03)

    async def main() -> SpanLifetime:
        due = asyncio.Event()
        holding = asyncio.create_task(hold(due))
        scope = open_scope(local.state, REQUEST, work := Work())
        assert scope is not None
        await asyncio.sleep(0)
        due.set()
        await asyncio.sleep(0)
        close_scope(local.state, scope)
        await holding
        assert work is not None
        assert isinstance(scope.lifetime, SpanLifetime)
        return scope.lifetime

    lifetime = asyncio.run(main())
    assert lifetime.ready >= 30 * MILLISECOND
    assert lifetime.wait < 30 * MILLISECOND


class HeldClock:
    """Moves a little with each reading, and by much while something holds the loop."""

    def __init__(self) -> None:
        self.now = 1_000 * MILLISECOND

    def __call__(self) -> int:
        self.now += 1000
        return self.now

    def hold(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


@pytest.fixture
def held_clock(monkeypatch: pytest.MonkeyPatch) -> HeldClock:
    clock = HeldClock()
    patch_clock(monkeypatch, clock)
    monkeypatch.setitem(globals(), "keep_busy", clock.hold)
    return clock


@pytest.mark.usefixtures("held_clock")
def test_what_holds_the_loop_is_named_by_the_innermost_that_does() -> None:
    async def main() -> list[SpanLifetime]:
        return [await asyncio.create_task(serve(0.0, 0.2)) for _ in range(3)]

    blocks.worst = None
    lifetimes = asyncio.run(main())
    assert [len(lifetime.events or ()) for lifetime in lifetimes] == [1, 1, 1]
    assert blocks.worst is not None
    assert blocks.worst.type == "Request"
    assert blocks.worst.nanoseconds >= 200 * MILLISECOND


def test_a_job_that_takes_long_holds_no_loop() -> None:
    async def main() -> SpanLifetime:
        await asyncio.to_thread(keep_busy, 0.3)
        return await serve(0.0, 0.15)

    blocks.worst = None
    asyncio.run(main())
    assert blocks.worst is not None
    assert blocks.worst.type == "Request"
