"""Three ways to hold a loop while pollers are due: a task sleeps or computes, a callback sleeps."""

import asyncio
import time

HELD = 0.25
"""Seconds."""


def charge() -> None:
    time.sleep(HELD)  # the card


async def checkout() -> None:
    charge()


def total() -> int:
    until, number = time.monotonic() + HELD, 0
    while time.monotonic() < until:
        number += 1  # the sum
    return number


async def report() -> None:
    await asyncio.sleep(0)
    total()


def flush() -> None:
    time.sleep(HELD)  # the log


async def poll(over: asyncio.Future[None]) -> None:
    for _ in range(10_000):
        if over.done():
            break
        await asyncio.sleep(0.01)


async def main() -> None:
    for work in (checkout, report):
        over = asyncio.get_running_loop().create_future()
        pollers = [asyncio.create_task(poll(over)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.create_task(work())
        over.set_result(None)
        await asyncio.gather(*pollers)
    asyncio.get_running_loop().call_soon(flush)
    await asyncio.sleep(0.001)


asyncio.run(main())
