"""A task starts a thread, the loop ends, and the thread goes on."""

import asyncio
import threading

stop = threading.Event()


def listen() -> None:
    stop.wait()


async def main() -> None:
    threading.Thread(target=listen).start()  # culprit


asyncio.run(main())
