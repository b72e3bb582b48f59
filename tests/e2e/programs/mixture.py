"""A task group, jobs of a thread pool, a subprocess, timers and threads, all at once.

A thread speaks to the loop in both ways that there are: a callback, and a coroutine.
"""

import asyncio
import sys
import threading
import time
from concurrent.futures import Future


def digest(number: int) -> int:
    time.sleep(0.002)
    return number * number


async def compute() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.run_in_executor(None, digest, n) for n in range(2)))
    await asyncio.to_thread(digest, 3)


async def convert() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", "print('converted')", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.split() == [b"converted"]


async def tick() -> None:
    ticked = asyncio.Event()
    asyncio.get_running_loop().call_later(0.002, ticked.set)
    await ticked.wait()
    async with asyncio.timeout(60):
        await asyncio.sleep(0.002)


async def answer() -> str:
    await asyncio.sleep(0.002)
    return "heard"


def ask(loop: asyncio.AbstractEventLoop, heard: asyncio.Event) -> None:
    said: Future[str] = asyncio.run_coroutine_threadsafe(answer(), loop)
    assert said.result() == "heard"
    loop.call_soon_threadsafe(heard.set)


async def consult() -> None:
    heard = asyncio.Event()
    thread = threading.Thread(target=ask, args=(asyncio.get_running_loop(), heard))
    thread.start()
    await heard.wait()
    # Off the loop, on which the thread has nothing more to do.
    thread.join()


async def alarm() -> None:
    rung = threading.Event()
    timer = threading.Timer(0.002, rung.set)
    timer.start()
    timer.join()
    assert rung.is_set()


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for work in (compute, convert, tick, consult, alarm):
            group.create_task(work())


asyncio.run(main())
