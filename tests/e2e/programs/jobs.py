"""Many short jobs of a thread pool, each awaited by a task that has nothing else to do."""

import asyncio

JOBS = 300


def job() -> None:
    pass


async def wait_for_job() -> None:
    await asyncio.get_running_loop().run_in_executor(None, job)


async def main() -> None:
    for _ in range(JOBS):
        await asyncio.create_task(wait_for_job())


asyncio.run(main())
