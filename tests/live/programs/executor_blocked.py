"""A job that reads from a pipe into which nobody writes."""

import asyncio
import os

readable, writable = os.pipe()


def read() -> bytes:
    return os.read(readable, 1)  # culprit


async def main() -> None:
    await asyncio.to_thread(read)


asyncio.run(main())
