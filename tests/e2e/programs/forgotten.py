"""Tasks that are started and not waited for: they are at work when their starter is done."""

import asyncio

NOTICES = 2

_background: set["asyncio.Task[None]"] = set()


async def notify(ordered: asyncio.Event) -> None:
    await ordered.wait()
    await asyncio.sleep(0.002)


async def confirm() -> None:
    await asyncio.sleep(0.002)


async def order(ordered: asyncio.Event) -> None:
    for _ in range(NOTICES):
        task = asyncio.create_task(notify(ordered))
        _background.add(task)
        task.add_done_callback(_background.discard)
    await asyncio.create_task(confirm())


async def main() -> None:
    ordered = asyncio.Event()
    await asyncio.create_task(order(ordered))
    ordered.set()
    await asyncio.wait(set(_background))


asyncio.run(main())
