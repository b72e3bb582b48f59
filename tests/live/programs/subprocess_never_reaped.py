"""A subprocess that does not end, and a program that waits for it."""

import asyncio
import sys


async def main() -> None:
    program = "import sys; sys.stdin.read()"
    process = await asyncio.create_subprocess_exec(  # culprit
        sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE
    )
    await process.wait()


asyncio.run(main())
