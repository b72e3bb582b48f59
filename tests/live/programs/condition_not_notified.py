"""A condition of which nobody tells."""

import asyncio

changed = asyncio.Condition()


async def watch() -> None:
    async with changed:
        await changed.wait()  # culprit


asyncio.run(watch())
