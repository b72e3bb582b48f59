"""Timers of connections: steps of them, not spans."""

import asyncio
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from types import MethodType
from typing import Any

import pytest
from stories import until

from telling import recorded
from whence.engine import SpanLifetime, recorder, ring
from whence.engine.connected import Connected, connected, is_of_connection
from whence.testing import record

LOOPS = [
    "asyncio",
    pytest.param(
        "uvloop",
        marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="not for this system"),
    ),
]
SLEEP = "_set_result_unless_cancelled"

on_both_loops = pytest.mark.parametrize("loop", LOOPS)


class Kept(asyncio.Protocol):
    """Sets a timer of its own, as servers do for connections that are kept, and one of a task."""

    def __init__(self) -> None:
        self.fired: list[str] = []
        self.transport: Any = None
        self.closing: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        loop = asyncio.get_running_loop()
        # In this order: the other one ends the connection.
        loop.call_later(0.001, reminder, self.fired)
        loop.call_later(0.001, self.be_idle)
        self.closing = loop.call_later(60, transport.close)

    def be_idle(self) -> None:
        self.fired.append("idle")
        asyncio.get_running_loop().create_task(say_goodbye(self))

    def connection_lost(self, exc: Exception | None) -> None:
        self.fired.append("lost")
        self.closing.cancel()


def reminder(fired: list[str]) -> None:
    fired.append("reminder")


async def say_goodbye(protocol: Kept) -> None:
    protocol.transport.close()


async def be_connected() -> Kept:
    loop = asyncio.get_running_loop()
    made: list[Kept] = []

    def make() -> Kept:
        made.append(Kept())
        return made[-1]

    server = await loop.create_server(make, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await until(lambda: made and len(made[0].fired) == 3)
    assert made[0].fired[-1] == "lost"
    writer.close()
    server.close()
    return made[0]


def run(main: Callable[[], Any], loop: str) -> Any:
    if loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())
    return asyncio.run(main())


@on_both_loops
def test_a_timer_of_a_protocol_is_no_span_and_another_is(loop: str) -> None:
    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        run(be_connected, loop)
        recorder.min_duration = before
        spans = [span for span in ring.drain(1000) if isinstance(span, SpanLifetime)]
    timers = [s for s in spans if s.type.name == "TimerHandle" and s.name != SLEEP]
    assert [timer.name for timer in timers] == ["reminder"]
    (goodbye,) = [s for s in spans if s.name == "say_goodbye"]
    link: Any = goodbye.link
    assert (goodbye.parent, link.name) == (None, "accept")


@on_both_loops
def test_a_timer_of_a_protocol_has_its_events(loop: str) -> None:
    with record() as events:
        run(be_connected, loop)
    triggers = {events.trigger_of(task) for task in events.ids("Task")}
    (timer,) = triggers.intersection(events.ids("TimerHandle"))
    assert events.names(timer) == ["init", "before", "after", "destroy"]
    assert events.type_of(events.trigger_of(timer)) == "Transport"


def test_a_method_is_of_a_connection_as_long_as_its_protocol_is_connected() -> None:
    seen: list[bool] = []

    async def main() -> None:
        protocol = await be_connected()
        seen.append(is_of_connection(protocol.be_idle))

    with recorded():
        asyncio.run(main())
    assert seen == [False]
    protocol = Kept()
    connected[id(protocol)] = Connected()

    class Proxy:
        def __init__(self, protocol: object) -> None:
            self.protocol = protocol

        def get_protocol(self) -> object:
            return self.protocol.missing  # type: ignore[attr-defined]

        def close(self) -> None: ...

    try:
        assert is_of_connection(protocol.be_idle)
        assert not is_of_connection(Kept().be_idle)
        assert not is_of_connection(reminder)
        assert not is_of_connection(Proxy(protocol).close)
    finally:
        del connected[id(protocol)]


def test_a_method_may_be_of_something_that_has_no_name() -> None:
    assert not is_of_connection(MethodType(partial(print), Kept()))
