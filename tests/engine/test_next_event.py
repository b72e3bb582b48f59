"""What is called at the next event: when, where, how often."""

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

import whence
from telling import recorded
from whence.engine import at_next_event, drain_collected, local
from whence.engine.events import forget_collected, restart_in_child


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    with recorded():
        yield
        restart_in_child()


def test_it_is_called_once_by_the_next_callback_of_a_loop() -> None:
    called: list[int] = []
    at_next_event(lambda: called.append(threading.get_ident()))
    assert called == []
    loop = asyncio.new_event_loop()
    loop.call_soon(lambda: called.append(0))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert called == [threading.get_ident(), 0]
    asyncio.run(asyncio.sleep(0))
    assert len(called) == 2
    loop.close()


def test_a_resource_of_the_users_own_is_an_event_too() -> None:
    called: list[int] = []
    at_next_event(lambda: called.append(1))
    whence.AsyncResource("X").run_in_async_scope(int)
    assert called == [1]


def test_what_executes_is_not_disturbed() -> None:
    seen: list[int] = []

    async def main() -> None:
        at_next_event(lambda: seen.append(local.state.current.async_id))
        before = whence.execution_async_id()
        await asyncio.sleep(0)
        assert whence.execution_async_id() == before

    asyncio.run(main())
    assert len(seen) == 1


def test_it_may_ask_to_be_called_again() -> None:
    called: list[int] = []

    def again() -> None:
        called.append(1)
        if len(called) < 3:
            at_next_event(again)

    at_next_event(again)
    for number in (1, 2, 3, 3, 3):
        drain_collected(local.state)
        assert len(called) == number


def test_it_is_forgotten_with_the_last_hook() -> None:
    called: list[int] = []
    at_next_event(lambda: called.append(1))
    forget_collected()
    asyncio.run(asyncio.sleep(0))
    assert called == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_calls_nothing_of_its_parents() -> None:
    reader, writer = os.pipe()

    def tell() -> None:
        os.write(writer, b"called")

    at_next_event(tell)
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(asyncio.sleep(0))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    assert os.read(reader, 100) == b""
    os.close(reader)
