"""A background task that swallows its cancellation: the runner waits for it at the end."""

import asyncio

wake = asyncio.Event()


async def poll() -> None:
    while True:
        try:
            await wake.wait()  # culprit
        except asyncio.CancelledError:
            continue


async def main() -> None:
    background.append(asyncio.create_task(poll()))
    await asyncio.sleep(0)


background: list[asyncio.Task[None]] = []
asyncio.run(main())
