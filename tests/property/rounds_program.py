"""`python rounds_program.py LOOP hooked|recorded`: rounds of many lives, one kind after the other.

Prints for each kind, after each round, how many blocks Python has allocated and how many bytes the
process has; as JSON.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import whence
from whence import AsyncLocalStorage, AsyncResource, create_hook, engine
from whence.engine import blocks, recorder, ring

ROUNDS = 16
LIVES = 1000

Kind = Callable[[], Coroutine[Any, Any, object]]


async def callbacks() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(LIVES):
        loop.call_soon(int)
        loop.call_soon(int).cancel()
    await asyncio.sleep(0)


async def failing_callbacks() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    for _ in range(LIVES // 4):
        loop.call_soon(int, "no number")
    await asyncio.sleep(0)


async def timers() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(LIVES):
        loop.call_later(0, int)
        loop.call_later(1000, int).cancel()
    await asyncio.sleep(0.002)


async def calls_of_threads() -> None:
    loop = asyncio.get_running_loop()

    def call(done: asyncio.Event) -> None:
        for _ in range(LIVES // 4):
            loop.call_soon_threadsafe(int)
        loop.call_soon_threadsafe(done.set)

    for _ in range(4):
        done = asyncio.Event()
        thread = threading.Thread(target=call, args=(done,))
        thread.start()
        await done.wait()
        thread.join()


async def threads() -> None:
    """Each with a stack, and finished spans, of its own.

    So many that in a few rounds the free lists are full: each may leave them a handle."""
    loop = asyncio.get_running_loop()

    def live(done: asyncio.Event) -> None:
        for _ in range(5):
            AsyncResource("Mine").run_in_async_scope(int)
        asyncio.run(asyncio.sleep(0))
        loop.call_soon_threadsafe(done.set)

    for _ in range(LIVES // 5):
        done = asyncio.Event()
        thread = threading.Thread(target=live, args=(done,))
        thread.start()
        await done.wait()
        thread.join()


async def futures() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(LIVES // 4):
        loop.create_future().set_result(None)
        loop.create_future().cancel()
        failed: asyncio.Future[None] = asyncio.Future()
        failed.set_exception(LookupError())
        failed.exception()
        loop.create_future().add_done_callback(ignore)
    await asyncio.sleep(0)


async def tasks() -> None:
    async def wait(future: "asyncio.Future[None]") -> None:
        await future

    async def fail() -> None:
        raise LookupError

    loop = asyncio.get_running_loop()
    for _ in range(LIVES // 10):
        future = loop.create_future()
        waiting = [loop.create_task(wait(future)) for _ in range(3)]
        cancelled = loop.create_task(wait(loop.create_future()))
        failing = loop.create_task(fail())
        await asyncio.sleep(0)
        future.set_result(None)
        cancelled.cancel()
        await asyncio.gather(*waiting, cancelled, failing, return_exceptions=True)


async def descriptors_and_signals() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    for _ in range(LIVES // 20):
        called = asyncio.Event()
        loop.add_reader(ours, called.set)
        theirs.send(b"x")
        await called.wait()
        ours.recv(1)
        loop.remove_reader(ours)
        loop.add_writer(ours, int)
        loop.remove_writer(ours)
        loop.add_signal_handler(signal.SIGUSR1, int)
        loop.remove_signal_handler(signal.SIGUSR1)
    ours.close()
    theirs.close()


async def jobs() -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        for _ in range(LIVES // 10):
            await loop.run_in_executor(pool, int)


async def resources_and_stores() -> None:
    storage: AsyncLocalStorage[int] = AsyncLocalStorage()
    for nth in range(LIVES // 2):
        resource = AsyncResource("Mine")
        storage.run(nth, resource.run_in_async_scope, int)
        resource.emit_destroy()
        resource.bind(int)()
        AsyncResource("Dropped")


async def streams() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    for _ in range(LIVES // 20):
        reader, writer = await asyncio.open_connection(*address[:2])
        writer.write(b"x")
        assert await reader.read() == b"x"
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


KINDS: tuple[Kind, ...] = (
    callbacks,
    failing_callbacks,
    timers,
    calls_of_threads,
    futures,
    tasks,
    descriptors_and_signals,
    jobs,
    resources_and_stores,
    streams,
    threads,
)


def resident() -> int:
    """Bytes of the process in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(kind: Kind) -> list[tuple[int, int]]:
    found = []
    for _ in range(ROUNDS):
        with new_runner() as runner:
            runner.run(kind())
        ring.clear()
        blocks.blocks.clear()
        gc.collect()
        engine.drain_collected(engine.local.state)
        found.append((sys.getallocatedblocks(), resident()))
    return found


def new_runner() -> "asyncio.Runner":
    if sys.argv[1] == "uvloop":
        import uvloop

        return asyncio.Runner(loop_factory=uvloop.new_event_loop)
    return asyncio.Runner()


def ignore(*_: object) -> None:
    """A hook that hears everything."""


def watching() -> contextlib.AbstractContextManager[object]:
    if sys.argv[2] == "hooked":
        return create_hook(ignore_all())
    engine.want_instrumentation(True)
    recorder.on = True
    return contextlib.nullcontext()


def ignore_all() -> dict[str, Callable[..., None]]:
    return dict.fromkeys(("init", "before", "after", "destroy", "promise_resolve"), ignore)


if __name__ == "__main__":
    whence.set_hook_error_policy("log")
    with watching():
        found = {kind.__name__: measure(kind) for kind in KINDS}
    print(json.dumps(found))
