"""A coroutine that sleeps in the way of threads."""

import asyncio
import time


async def work() -> None:
    time.sleep(3600)  # culprit


async def main() -> None:
    await asyncio.gather(work(), asyncio.sleep(0.01))


asyncio.run(main())
