"""The programs that are measured: four storms of the loop's own resources, then two small servers.

Rules:
- A scenario is an async context manager. Only what it yields is measured, not its way in and out.
- What it yields takes a number of units, does that many, and returns how many were really done.
- Nothing but asyncio is imported before a scenario asks for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

Storm = Callable[[int], Coroutine[Any, Any, int]]

LOCALHOST = "127.0.0.1"
CONNECTIONS = 10
MESSAGE = b"x" * 100

# Large enough that a turn of the loop (one select) does not show, small enough to stay in the
# cache: with 1,000 callbacks at a time, cache misses are a seventh of what is measured.
HANDLES_AT_A_TIME = 100

# A lifetime of less than a millisecond is no span by default. Every task of a thousand lives for
# several, and so does every timer that fires, on any machine and under any engine; a timer that is
# cancelled lives for none. So the ratios do not jump where a machine is a little faster.
TASKS_AT_A_TIME = 1000
TIMERS_AT_A_TIME = 1000
SHORTEST_DELAY = 2e-3
LONGEST_DELAY = 3e-3

# Out of order: a heap that is filled in ascending order spares timers their comparisons.
DELAYS = [
    SHORTEST_DELAY + index * 7919 % TIMERS_AT_A_TIME * 1e-6 for index in range(TIMERS_AT_A_TIME)
]


def batches(units: int, size: int) -> Iterator[int]:
    """Yield batch sizes of at most `size` that add up to `units`."""
    for start in range(0, units, size):
        yield min(size, units - start)


def shares(units: int, parts: int) -> list[int]:
    """Split `units` into `parts` numbers that differ by at most one."""
    return [units // parts + (part < units % parts) for part in range(parts)]


@asynccontextmanager
async def call_soon_storm() -> AsyncIterator[Storm]:
    """Unit: one callback through `call_soon`."""
    loop = asyncio.get_running_loop()

    async def storm(units: int) -> int:
        done = 0

        def callback() -> None:
            nonlocal done
            done += 1

        for batch in batches(units, HANDLES_AT_A_TIME):
            for _ in range(batch):
                loop.call_soon(callback)
            await asyncio.sleep(0)
        return done

    yield storm


@asynccontextmanager
async def task_storm() -> AsyncIterator[Storm]:
    """Unit: one task that does `sleep(0)` five times."""

    async def five_sleeps() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def storm(units: int) -> int:
        done = 0
        for batch in batches(units, TASKS_AT_A_TIME):
            for task in [asyncio.create_task(five_sleeps()) for _ in range(batch)]:
                await task
                done += 1
        return done

    yield storm


@asynccontextmanager
async def future_ping_pong() -> AsyncIterator[Storm]:
    """Unit: one future made, settled from a callback, and awaited."""
    loop = asyncio.get_running_loop()

    async def storm(units: int) -> int:
        done = 0
        for _ in range(units):
            future = loop.create_future()
            loop.call_soon(future.set_result, 1)
            done += await future
        return done

    yield storm


@asynccontextmanager
async def timer_storm() -> AsyncIterator[Storm]:
    """Unit: one timer through `call_later`; every other one is cancelled at once."""
    loop = asyncio.get_running_loop()

    async def storm(units: int) -> int:
        done = 0

        def fire() -> None:
            nonlocal done
            done += 1

        for batch in batches(units, TIMERS_AT_A_TIME):
            for number, delay in enumerate(DELAYS[:batch]):
                timer = loop.call_later(delay, fire)
                if number % 2:
                    timer.cancel()
                    done += 1
            await asyncio.sleep(LONGEST_DELAY)
        return done

    yield storm


@asynccontextmanager
async def streams_echo() -> AsyncIterator[Storm]:
    """Unit: one message there and back; client and server in this process, on ten connections."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trips: int) -> int:
        done = 0
        for _ in range(trips):
            writer.write(MESSAGE)
            await writer.drain()
            done += await reader.readexactly(len(MESSAGE)) == MESSAGE
        return done

    async with await asyncio.start_server(serve, LOCALHOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        streams = [await asyncio.open_connection(LOCALHOST, port) for _ in range(CONNECTIONS)]

        async def storm(units: int) -> int:
            trips = shares(units, CONNECTIONS)
            talks = (talk(*stream, trip) for stream, trip in zip(streams, trips, strict=True))
            return sum(await asyncio.gather(*talks))

        yield storm
        for _, writer in streams:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def aiohttp_requests() -> AsyncIterator[Storm]:
    """Unit: one GET; aiohttp's client and server in this process, on ten keep-alive connections."""
    from aiohttp import ClientSession, web

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOCALHOST, 0).start()
    url = f"http://{LOCALHOST}:{runner.addresses[0][1]}/whence"

    async with ClientSession() as session:

        async def get(requests: int) -> int:
            done = 0
            for _ in range(requests):
                async with session.get(url) as response:
                    done += await response.text() == "hello"
            return done

        async def storm(units: int) -> int:
            return sum(await asyncio.gather(*map(get, shares(units, CONNECTIONS))))

        yield storm
    await runner.cleanup()


class Scenario(NamedTuple):
    """One row of the table: what a unit is, how many make up a repetition, and what does them."""

    unit: str
    units: int
    open: Callable[[], AbstractAsyncContextManager[Storm]]
    needs: tuple[str, ...] = ()


# The units of a repetition take 0.1 to 0.2 s of CPU without whence.
SCENARIOS = {
    "a": Scenario("call_soon", 200_000, call_soon_storm),
    "b": Scenario("task", 20_000, task_storm),
    "c": Scenario("future", 40_000, future_ping_pong),
    "d": Scenario("call_later", 80_000, timer_storm),
    "e": Scenario("echo", 6_000, streams_echo),
    "f": Scenario("request", 1_500, aiohttp_requests, needs=("aiohttp",)),
}
