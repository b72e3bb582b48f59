"""A producer, and nobody who consumes."""

import asyncio

queue: asyncio.Queue[int] = asyncio.Queue(maxsize=2)


async def produce() -> None:
    for number in range(10):
        await queue.put(number)  # culprit


asyncio.run(produce())
