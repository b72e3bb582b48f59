"""A timer that arms itself again, and starts a task each time."""

import asyncio

TIMES = 5


async def poll() -> None:
    await asyncio.sleep(0.002)


async def main() -> None:
    loop = asyncio.get_running_loop()
    polls: list[asyncio.Task[None]] = []
    ended = asyncio.Event()

    def tick() -> None:
        polls.append(loop.create_task(poll()))
        if len(polls) < TIMES:
            loop.call_later(0.002, tick)
        else:
            ended.set()

    loop.call_later(0.002, tick)
    await ended.wait()
    await asyncio.wait(polls)


asyncio.run(main())
