"""Jobs that wait for a thread that others keep."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

stop = threading.Event()
pool = ThreadPoolExecutor(max_workers=1)


def hold() -> None:
    stop.wait()  # culprit


def small() -> int:
    return 1


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.run_in_executor(pool, hold)
    await loop.run_in_executor(pool, small)


asyncio.run(main())
