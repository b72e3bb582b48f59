"""Producers, a queue between, and consumers that work in a thread pool and in a process pool."""

import asyncio
import multiprocessing
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

PARTS = 4
"""Of each producer."""

Queue = asyncio.Queue[int | None]


def cut(part: int) -> int:
    time.sleep(0.002)
    return part


def polish(part: int) -> int:
    time.sleep(0.002)
    return part * part


async def mine(queue: Queue) -> None:
    for part in range(PARTS):
        await asyncio.sleep(0.002)
        await queue.put(part)


async def make(part: int, threads: Executor, processes: Executor) -> int:
    loop = asyncio.get_running_loop()
    part = await loop.run_in_executor(threads, cut, part)
    return await loop.run_in_executor(processes, polish, part)


async def assemble(queue: Queue, threads: Executor, processes: Executor) -> int:
    made = 0
    while (part := await queue.get()) is not None:
        made += await asyncio.create_task(make(part, threads, processes))
    return made


async def main() -> None:
    queue: Queue = asyncio.Queue(2)
    spawn = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(1, mp_context=spawn) as processes:
        async with asyncio.TaskGroup() as group:
            consumer = group.create_task(assemble(queue, threads, processes))
            await asyncio.gather(mine(queue), mine(queue))
            await queue.put(None)
    assert consumer.result() == 2 * sum(part * part for part in range(PARTS))


if __name__ == "__main__":
    asyncio.run(main())
