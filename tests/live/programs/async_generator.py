"""An async generator that never yields again."""

import asyncio
from collections.abc import AsyncIterator

news = asyncio.Event()


async def feed() -> AsyncIterator[int]:
    yield 1
    await news.wait()  # culprit
    yield 2


async def main() -> None:
    async for _ in feed():
        pass


asyncio.run(main())
