"""A worker that takes jobs from a queue: what it does for a job it does on its own account."""

import asyncio

JOBS = 3


async def deliver(number: int) -> None:
    await asyncio.sleep(0.002)


async def work(queue: "asyncio.Queue[int]") -> None:
    while True:
        number = await queue.get()
        await asyncio.create_task(deliver(number))
        queue.task_done()


async def order(queue: "asyncio.Queue[int]", number: int) -> None:
    await asyncio.sleep(0.001 * number)
    await queue.put(number)


async def main() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    worker = asyncio.create_task(work(queue))
    await asyncio.gather(*(order(queue, number) for number in range(JOBS)))
    await queue.join()
    worker.cancel()
    await asyncio.wait([worker])


asyncio.run(main())
