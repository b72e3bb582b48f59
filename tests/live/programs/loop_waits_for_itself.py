"""A callback that waits for a coroutine of the loop that it holds."""

import asyncio


async def value() -> int:
    return 1


async def main() -> None:
    future = asyncio.run_coroutine_threadsafe(value(), asyncio.get_running_loop())
    future.result()  # culprit


asyncio.run(main())
