"""Permits that are taken and not given back."""

import asyncio

permits = asyncio.Semaphore(2)


async def fetch() -> None:
    await permits.acquire()  # culprit


async def main() -> None:
    await asyncio.gather(fetch(), fetch(), fetch())


asyncio.run(main())
