"""A task group waits for the one task of many that does not end."""

import asyncio

never = asyncio.Event()


async def quick() -> None:
    await asyncio.sleep(0)


async def slow() -> None:
    await never.wait()  # culprit


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(quick())
        group.create_task(slow())


asyncio.run(main())
