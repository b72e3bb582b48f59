"""A process that works, has a child that works, and works on: `family.py WAY`.

WAY is how the child is started: by os.fork, by multiprocessing, or as a subprocess.
"""

import asyncio
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor


async def before() -> None:
    await asyncio.sleep(0.002)


async def after() -> None:
    await asyncio.sleep(0.002)


async def inside() -> None:
    await asyncio.sleep(0.002)


def child() -> None:
    asyncio.run(inside())


def by_os_fork() -> int:
    pid = os.fork()
    if pid == 0:
        child()
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def by_multiprocessing(method: str) -> int | None:
    process = multiprocessing.get_context(method).Process(target=child)  # type: ignore[attr-defined]
    process.start()
    process.join()
    code: int | None = process.exitcode
    return code


def by_pool() -> int:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(child).result()
    return 0


def by_subprocess() -> int:
    return subprocess.run([sys.executable, __file__, "child"], check=False).returncode


WAYS = {
    "os.fork": by_os_fork,
    "fork": lambda: by_multiprocessing("fork"),
    "spawn": lambda: by_multiprocessing("spawn"),
    "forkserver": lambda: by_multiprocessing("forkserver"),
    "pool": by_pool,
    "subprocess": by_subprocess,
}

if __name__ == "__main__":
    if sys.argv[1] == "child":
        child()
    else:
        asyncio.run(before())
        code = WAYS[sys.argv[1]]()
        asyncio.run(after())
        sys.exit(code)
