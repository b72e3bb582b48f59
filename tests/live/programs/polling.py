"""A task that looks again and again for what does not come."""

import asyncio

ready: list[int] = []


async def poll() -> None:
    while not ready:
        await asyncio.sleep(30)  # culprit


asyncio.run(poll())
