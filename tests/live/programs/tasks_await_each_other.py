"""Two tasks of which each awaits the other."""

import asyncio

tasks: dict[str, asyncio.Task[None]] = {}


async def first() -> None:
    await tasks["second"]  # culprit


async def second() -> None:
    await tasks["first"]


async def main() -> None:
    tasks["first"] = asyncio.create_task(first())
    tasks["second"] = asyncio.create_task(second())
    await asyncio.wait(tasks.values())


asyncio.run(main())
