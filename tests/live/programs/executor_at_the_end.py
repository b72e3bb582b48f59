"""The program gives up on a job; the runner waits for its thread."""

import asyncio
import threading

stop = threading.Event()


def export() -> None:
    stop.wait()  # culprit


async def main() -> None:
    try:
        await asyncio.wait_for(asyncio.to_thread(export), 0.05)
    except TimeoutError:
        pass


asyncio.run(main())
