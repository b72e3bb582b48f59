"""A script whose main task is the whole program: it awaits one thing after the other."""

import asyncio
import sys
from pathlib import Path

STEPS = 5


async def fetch(number: int) -> bytes:
    await asyncio.sleep(0.002)
    return b"%d" % number


async def parse(found: bytes) -> int:
    return await asyncio.to_thread(int, found)


def is_there(path: Path) -> bool:
    return path.exists()


async def check(total: int) -> None:
    async with asyncio.timeout(60):
        process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "")
        assert (total, await process.wait()) == (10, 0)


async def main() -> None:
    total = 0
    for number in range(STEPS):
        total += await parse(await fetch(number))
    assert (await asyncio.to_thread(is_there, Path(__file__))) is True
    await check(total)


asyncio.run(main())
