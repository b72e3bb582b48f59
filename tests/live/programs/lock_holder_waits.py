"""Many wait for a lock; who has it waits for something else."""

import asyncio

lock = asyncio.Lock()
reply = asyncio.Event()


async def refresh() -> None:
    async with lock:
        await reply.wait()  # culprit


async def use() -> None:
    async with lock:
        pass


async def main() -> None:
    refreshing = asyncio.create_task(refresh())
    await asyncio.sleep(0)
    await asyncio.gather(refreshing, use(), use())


asyncio.run(main())
