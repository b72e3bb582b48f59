"""An event that is set if a signal comes, which does not."""

import asyncio

stop = asyncio.Event()


async def main() -> None:
    await stop.wait()  # culprit


asyncio.run(main())
