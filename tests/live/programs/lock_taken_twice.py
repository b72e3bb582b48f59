"""A task that takes the lock that it has: asyncio's are not reentrant."""

import asyncio

lock = asyncio.Lock()


async def inner() -> None:
    async with lock:  # culprit
        pass


async def outer() -> None:
    async with lock:
        await inner()


asyncio.run(outer())
