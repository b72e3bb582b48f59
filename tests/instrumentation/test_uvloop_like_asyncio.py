"""The same program has the same events on both loops, as far as the contract says so."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import until

from whence.testing import Events, record

uvloop = pytest.importorskip("uvloop")

Action = Callable[[], Coroutine[Any, Any, object]]

LOOPS: tuple[Callable[[], asyncio.AbstractEventLoop], ...] = (
    asyncio.SelectorEventLoop,
    uvloop.new_event_loop,
)

MAY_EXECUTE = frozenset({"Server", "Process", "GetAddrInfo", "GetNameInfo"})
"""Types of which the contract leaves open whether they have before and after."""

AS_OFTEN_AS_IT_TAKES = frozenset({"Reader", "Writer", "Transport", "DatagramTransport"})
"""Types that execute as often as the system has something for them."""


def lives(main: Action, new_loop: Callable[[], Any], types: frozenset[str]) -> Counter[str]:
    """How often each sequence of events occurs among the resources of these types."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        events = runner.run(_recorded(main))
    return Counter(
        f"{events.type_of(async_id)}: {' '.join(_names(events, async_id))}"
        for async_id in events.ids()
        if events.type_of(async_id) in types
    )


async def _recorded(main: Action) -> Events:
    # In here, for the loops differ in what they make when they begin and end.
    with record() as events:
        await asyncio.create_task(main())
        await asyncio.sleep(0.001)
    return events


def _names(events: Events, async_id: int) -> list[str]:
    type_, names = events.type_of(async_id), events.names(async_id)
    if type_ in MAY_EXECUTE:
        return [name for name in names if name not in ("before", "after")]
    if type_ in AS_OFTEN_AS_IT_TAKES:
        return list(dict.fromkeys(names))
    return names


async def call_soon() -> None:
    asyncio.get_running_loop().call_soon(int)


async def call_and_fail() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    loop.call_soon(divmod, 1, 0)
    loop.call_later(0.0001, divmod, 1, 0)
    await asyncio.sleep(0.005)


async def cancel_calls() -> None:
    loop = asyncio.get_running_loop()
    for handle in (loop.call_soon(int), loop.call_later(1, int), loop.call_soon_threadsafe(int)):
        handle.cancel()


async def chain_of_calls() -> None:
    loop: Any = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, loop.call_soon, int)
    await asyncio.sleep(0.001)


async def timers() -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(0.0011, int)
    loop.call_at(loop.time() + 0.0011, int)
    await asyncio.sleep(0.01)


async def settle_futures() -> None:
    loop = asyncio.get_running_loop()
    loop.create_future().set_result(None)
    loop.create_future().cancel()
    failed = loop.create_future()
    failed.add_done_callback(lambda future: None)
    failed.set_exception(ValueError("on purpose"))
    failed.exception()


async def drop_a_future() -> None:
    asyncio.get_running_loop().create_future()


async def tasks() -> None:
    async def nest(depth: int) -> None:
        await asyncio.sleep(0)
        if depth:
            await asyncio.gather(nest(depth - 1), asyncio.create_task(nest(depth - 1)))

    await nest(2)


async def failing_and_cancelled_tasks() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("on purpose")

    never = asyncio.create_task(asyncio.sleep(10))
    waiting = asyncio.create_task(asyncio.sleep(10))
    failing = asyncio.create_task(fail())
    never.cancel()
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(never, waiting, failing, return_exceptions=True)


async def synchronise() -> None:
    lock, event, queue = asyncio.Lock(), asyncio.Event(), asyncio.Queue[int](1)

    async def work(number: int) -> None:
        async with lock:
            await asyncio.sleep(0)
        await queue.put(number)
        await event.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(work(number))
        for _ in range(3):
            await queue.get()
        event.set()


async def time_out() -> None:
    try:
        async with asyncio.timeout(0.002):
            await asyncio.sleep(10)
    except TimeoutError:
        pass
    await asyncio.wait_for(asyncio.sleep(0), 10)


async def work_in_a_thread() -> None:
    assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()


async def call_from_a_thread() -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set))
    thread.start()
    await done.wait()
    thread.join()


async def generate() -> None:
    async def numbers() -> Any:
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    assert [number async for number in numbers()] == [0, 1, 2]


ACTIONS: tuple[Action, ...] = (
    *(call_soon, call_and_fail, cancel_calls, chain_of_calls, timers, settle_futures),
    *(drop_a_future, tasks, failing_and_cancelled_tasks, synchronise, time_out),
    *(work_in_a_thread, call_from_a_thread, generate),
)
OWN_TYPES = frozenset({"Handle", "TimerHandle", "Future", "Task", "ExecutorJob"})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=6), st.booleans())
def test_what_a_program_does_by_itself_has_the_same_events(
    actions: list[Action], together: bool
) -> None:
    """SEMANTICS 6.18."""

    async def main() -> None:
        if together:
            await asyncio.gather(*(action() for action in actions))
        else:
            for action in actions:
                await action()

    on_asyncio, on_uvloop = (lives(main, new_loop, OWN_TYPES) for new_loop in LOOPS)
    assert on_uvloop == on_asyncio


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readexactly(1))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"x")
    assert await reader.read() == b"x"
    writer.close()
    await writer.wait_closed()


async def streams() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await talk(*await asyncio.open_connection(*server.sockets[0].getsockname()))
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)


async def unix_streams() -> None:
    path = Path(os.environ["SOCKET_FOLDER"]) / "socket"
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, path)
    await talk(*await asyncio.open_unix_connection(path))
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)


async def datagrams() -> None:
    class Received(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.datagrams: list[bytes] = []

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.datagrams.append(data)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.append(self)

    lost: list[Received] = []
    loop = asyncio.get_running_loop()
    one, received = await loop.create_datagram_endpoint(Received, ("127.0.0.1", 0))
    other, _ = await loop.create_datagram_endpoint(
        Received, remote_addr=one.get_extra_info("sockname")
    )
    other.sendto(b"x")
    await until(lambda: received.datagrams)
    one.close()
    other.close()
    await until(lambda: len(lost) == 2)


async def watch_a_socket() -> None:
    loop, got = asyncio.get_running_loop(), asyncio.Event()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop.add_reader(ours, lambda: (ours.recv(1), got.set()))
        loop.add_writer(theirs, lambda: (theirs.send(b"x"), loop.remove_writer(theirs)))
        await got.wait()
        loop.add_reader(ours, int)
        loop.remove_reader(ours)


async def handle_signals() -> None:
    loop, got = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await got.wait()
    loop.remove_signal_handler(signal.SIGUSR1)


async def look_up() -> None:
    loop = asyncio.get_running_loop()
    await loop.getaddrinfo("localhost", 80)
    await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)


async def run_processes() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(input())", stdin=-1, stdout=-1
    )
    assert (await process.communicate(b"x\n"))[0] == b"x\n"
    process = await asyncio.create_subprocess_shell("exit 3")
    assert await process.wait() == 3
    await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("action", "types"),
    [
        (streams, {"Server", "Transport"}),
        (unix_streams, {"Server", "Transport"}),
        (datagrams, {"DatagramTransport"}),
        (watch_a_socket, {"Writer", "Task", "Future"}),
        (handle_signals, {"SignalHandle", "Task", "Future"}),
        (look_up, {"GetAddrInfo", "GetNameInfo"}),
        (run_processes, {"Process"}),
    ],
)
def test_what_a_program_does_with_the_system_has_the_same_events(
    action: Action, types: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEMANTICS 6.18."""
    monkeypatch.setenv("SOCKET_FOLDER", str(tmp_path))
    # Tasks only where none waits for what the loops do in different numbers of steps.
    on_asyncio, on_uvloop = (lives(action, new_loop, frozenset(types)) for new_loop in LOOPS)
    assert on_asyncio
    assert on_uvloop == on_asyncio
