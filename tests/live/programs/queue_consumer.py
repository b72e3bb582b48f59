"""A consumer goes on when the last item has been put."""

import asyncio

queue: asyncio.Queue[int] = asyncio.Queue()


async def consume() -> None:
    while True:
        await queue.get()  # culprit


async def main() -> None:
    consumer = asyncio.create_task(consume())
    for number in range(3):
        await queue.put(number)
    await consumer


asyncio.run(main())
