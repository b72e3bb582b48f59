"""The load: customers who come, look round, buy and come again.

    python customers.py ADDRESS NUMBER [SECONDS]

Each has a connection of their own, which is kept alive, and does the same things in the same order.
The first one is the manager, who reads the report at the end of every visit.
"""

import asyncio
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp

_BASKETS = (1, 3, 2, 6, 4)
"""Numbers of items, of which each visit takes the next one."""
_PAUSE = 0.05
"""Seconds between two visits."""


class Clock:
    """How long the customers waited, for what."""

    def __init__(self) -> None:
        self.waits: list[tuple[float, str]] = []
        self.failures = 0

    @asynccontextmanager
    async def time(self, what: str) -> AsyncIterator[None]:
        """Measure a request."""
        started = time.perf_counter()
        yield
        self.waits.append((time.perf_counter() - started, what))

    def __str__(self) -> str:
        if not self.waits:
            return "customers: nobody was served"
        longest, what = max(self.waits)
        typical = statistics.median(seconds for seconds, _ in self.waits)
        return (
            f"customers: {len(self.waits)} requests, {self.failures} failed; they waited "
            f"{typical * 1000:.0f} ms typically, {longest * 1000:.0f} ms at most ({what})"
        )


class Customer:
    """Somebody with a connection to the shop."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, number: int) -> None:
        self._session = session
        self._clock = clock
        self._number = number

    async def come_again_and_again(self) -> None:
        """Visit the shop until cancelled."""
        visit = self._number
        while True:
            await self._visit(_BASKETS[visit % len(_BASKETS)])
            await asyncio.sleep(_PAUSE)
            visit += 1

    async def _visit(self, item: int) -> None:
        await self._get("/search?q=e")
        await self._get(f"/items/{item}")
        order = await self._buy(item)
        if order is not None:
            await self._get(f"/invoices/{order}")
        if self._number == 0:
            await self._get("/report")

    async def _get(self, path: str) -> None:
        async with self._clock.time(f"GET {path}"), self._session.get(path) as answer:
            await answer.read()

    async def _buy(self, item: int) -> int | None:
        async with (
            self._clock.time("POST /checkout"),
            self._session.post("/checkout", json={"item": item}) as answer,
        ):
            if answer.status != 200:
                self._clock.failures += 1
                return None
            order: int = (await answer.json())["order"]
            return order


async def main(address: str, number: int, seconds: float | None) -> None:
    """Let so many customers visit the shop until SIGINT, SIGTERM, the end of that time, or nobody
    serves them any more."""
    leaving = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(name, leaving.set)
    clock = Clock()
    visitors = [asyncio.create_task(_bring(address, clock, index)) for index in range(number)]
    told = asyncio.create_task(leaving.wait())
    await asyncio.wait([told, *visitors], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in (told, *visitors):
        task.cancel()
    outcomes = await asyncio.gather(*visitors, return_exceptions=True)
    print(clock, flush=True)
    for outcome in outcomes:
        if not isinstance(outcome, asyncio.CancelledError):
            sys.exit(f"customers: expected to be served at {address} ({outcome!r})")


async def _bring(address: str, clock: Clock, number: int) -> None:
    one = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(address, connector=one) as session:
        await Customer(session, clock, number).come_again_and_again()


if __name__ == "__main__":
    _, address, number, *seconds = sys.argv
    asyncio.run(main(address, int(number), float(seconds[0]) if seconds else None))
