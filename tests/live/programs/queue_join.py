"""`join` waits for `task_done`, which the consumer forgets."""

import asyncio

queue: asyncio.Queue[int] = asyncio.Queue()


async def consume() -> None:
    await queue.get()


async def main() -> None:
    consumer = asyncio.create_task(consume())
    await queue.put(1)
    await consumer
    await queue.join()  # culprit


asyncio.run(main())
