"""A main task that goes on for long, and starts a short task now and then."""

import asyncio

STEPS = 30


async def step() -> None:
    await asyncio.sleep(0.02)


async def main() -> None:
    for _ in range(STEPS):
        await asyncio.create_task(step())
        await asyncio.sleep(0.03)


asyncio.run(main())
