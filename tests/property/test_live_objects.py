"""Round after round of a program leaves as many live objects of whence's as the round before."""

import asyncio
import concurrent.futures
import gc
import importlib.util
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FunctionType
from typing import Any

import pytest

import whence
from loops import LOOPS, Loops
from whence import background, create_hook, engine
from whence.engine import execution
from whence.engine.blocks import blocks

ROUNDS = 10
_SETTLING = 2
"""Rounds in which caches fill."""


async def echo() -> None:
    """A server and clients made of streams."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    async def talk(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for line in (b"one\n", b"two\n", b"three\n"):
            writer.write(line)
            assert await reader.readline() == line
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.gather(talk(port), talk(port))
    server.close()
    await server.wait_closed()


async def keep_alive() -> None:
    """Requests of aiohttp, one after the other on one connection."""
    import aiohttp
    from aiohttp import web

    async def hello(request: web.Request) -> web.Response:
        await asyncio.sleep(0)
        return web.Response(text=request.match_info["name"])

    app = web.Application()
    app.add_routes([web.get("/{name}", hello)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        for name in ("a", "b", "c"):
            async with session.get(f"http://127.0.0.1:{port}/{name}") as response:
                assert await response.text() == name
    await runner.cleanup()


async def mixture() -> None:
    """A task group, jobs, a subprocess, timers, and tasks that fail or are dropped."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)

    async def run_child() -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-Sc", "pass", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate()
        assert out == b""

    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_child())
        group.create_task(asyncio.to_thread(sum, (1, 2)))
        for _ in range(3):
            group.create_task(asyncio.sleep(0.001))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, abs, -1) for _ in range(3)))
    loop.call_later(3600, int).cancel()
    loop.call_later(3600, int)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(for_ever(), 0.001)
    with pytest.raises(ExceptionGroup):
        await together(fail(), for_ever())
    loop.create_future()
    dropped = loop.create_task(for_ever())
    await asyncio.sleep(0)
    dropped.cancel()


async def threads() -> None:
    """Threads that call the loop, that have loops of their own, and threading.Timer."""
    loop = asyncio.get_running_loop()
    called = asyncio.Event()

    async def inner() -> None:
        await asyncio.sleep(0)

    def work() -> None:
        asyncio.run(inner())
        asyncio.run_coroutine_threadsafe(inner(), loop).result(30)
        loop.call_soon_threadsafe(called.set)

    started = [threading.Thread(target=work) for _ in range(2)]
    started.append(threading.Timer(0, int))
    for thread in started:
        thread.start()
    await called.wait()
    for thread in started:
        await loop.run_in_executor(None, thread.join)


Program = Callable[[], Coroutine[Any, Any, None]]

PROGRAMS: list[Program] = [echo, keep_alive, mixture, threads]


def _ignore(*_: object) -> None:
    """A hook's callback."""


@contextmanager
def hooked() -> Iterator[None]:
    names = ("init", "before", "after", "destroy", "promise_resolve")
    with create_hook(dict.fromkeys(names, _ignore)):
        yield


@contextmanager
def attached() -> Iterator[None]:
    # Nobody may ask it meanwhile: what answers would be imported then.
    types = "Task,Handle,TimerHandle,Future,Transport,Request"
    whence.attach(export=("none",), no_live=True, types=types)
    try:
        yield
    finally:
        whence.detach()


Way = Callable[[], AbstractContextManager[None]]

ALWAYS_AND_EACH_ROUND: dict[str, tuple[Way, Way]] = {
    "hooked": (hooked, nullcontext),
    "hooked anew each round": (nullcontext, hooked),
    "attached": (attached, nullcontext),
    "attached anew each round": (nullcontext, attached),
}


def live() -> Counter[str]:
    """Objects and functions of whence's that the collector knows of, by type."""
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        if kind is execution.ThreadState and execution.threads.get(thing.thread_id) is thing:
            # Of a thread that has ended it stays until the thread's id is used again.
            continue
        if str(kind.__module__).startswith("whence"):
            found[f"{kind.__module__}.{kind.__qualname__}"] += 1
        elif kind is FunctionType and str(thing.__module__).startswith("whence"):
            found[f"function {thing.__module__}.{thing.__qualname__}"] += 1
    return found


def play_round(program: Program, loops: Loops) -> Counter[str]:
    async def main() -> None:
        await program()
        await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=loops.make) as runner:
        runner.run(main())
    for _ in range(3):
        # What is collected is told of on a turn of a loop.
        gc.collect()
        with asyncio.Runner(loop_factory=loops.make) as runner:
            runner.run(asyncio.sleep(0))
    engine.ring.clear()
    # The worst block so far is kept, and where there were others, whichever they were.
    blocks.clear()
    return live()


def wait_until_our_threads_have_ended() -> None:
    """`detach` waits for them for a moment only."""
    until = time.monotonic() + 30
    while background._uncounted:
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.mark.parametrize("way", ALWAYS_AND_EACH_ROUND)
@pytest.mark.parametrize("loops", LOOPS, ids=lambda loops: loops.name)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_each_round_leaves_as_many_objects(program: Program, loops: Loops, way: str) -> None:
    if program is keep_alive and not importlib.util.find_spec("aiohttp"):
        pytest.skip("aiohttp is not installed")
    always, each_round = ALWAYS_AND_EACH_ROUND[way]
    counts = []
    gc.collect()
    gc.freeze()
    try:
        with always():
            for _ in range(ROUNDS):
                with each_round():
                    play_round(program, loops)
                if each_round is not nullcontext:
                    wait_until_our_threads_have_ended()
                gc.collect()
                counts.append(live())
            assert not engine.open_lifetimes
            # Beside these there may be calls that wait for the next event.
            assert not any(lifetime.open for lifetime in engine.collected)
    finally:
        gc.unfreeze()
    settled = counts[_SETTLING:]
    for nth, count in enumerate(settled[1:], _SETTLING + 1):
        assert count == settled[0], f"round {nth}: {count - settled[0]}, {settled[0] - count}"
