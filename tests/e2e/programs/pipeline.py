"""Two subprocesses in a row: what the first prints is what the second reads, line by line."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process

LINES = 5

_COUNT = f"for number in range({LINES}): print(number, flush=True)"
_DOUBLE = "import sys\nfor line in sys.stdin: print(2 * int(line), flush=True)"


async def start(source: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", source, stdin=PIPE, stdout=PIPE
    )


async def feed(source: Process, target: Process) -> None:
    assert source.stdout is not None
    assert target.stdin is not None
    async for line in source.stdout:
        target.stdin.write(line)
        await target.stdin.drain()
    target.stdin.close()


async def collect(source: Process) -> list[int]:
    assert source.stdout is not None
    return [int(line) async for line in source.stdout]


async def main() -> None:
    count, double = await start(_COUNT), await start(_DOUBLE)
    async with asyncio.TaskGroup() as group:
        group.create_task(feed(count, double))
        doubled = group.create_task(collect(double))
    assert doubled.result() == [2 * number for number in range(LINES)]
    assert await asyncio.gather(count.wait(), double.wait()) == [0, 0]


asyncio.run(main())
