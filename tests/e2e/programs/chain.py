"""A chain of tasks, too deep for one trace: each starts the next and is done; the last is long."""

import asyncio

LENGTH = 60


_links: list["asyncio.Task[None]"] = []


async def link(left: int, done: asyncio.Event) -> None:
    if left:
        _links.append(asyncio.create_task(link(left - 1, done)))
    else:
        await asyncio.sleep(0.1)
        done.set()


async def main() -> None:
    done = asyncio.Event()
    _links.append(asyncio.create_task(link(LENGTH - 1, done)))
    await done.wait()


asyncio.run(main())
