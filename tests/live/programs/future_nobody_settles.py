"""The answer would be put into a future that nobody keeps."""

import asyncio


async def ask() -> None:
    answer = asyncio.get_running_loop().create_future()
    await answer  # culprit


async def main() -> None:
    await asyncio.create_task(ask())


asyncio.run(main())
