"""The first to take the lock gives it back only if all goes well."""

import asyncio

lock = asyncio.Lock()


async def charge() -> None:
    await lock.acquire()
    raise ValueError("no such card")


async def refund() -> None:
    await lock.acquire()  # culprit
    lock.release()


async def main() -> None:
    await asyncio.gather(charge(), return_exceptions=True)
    await asyncio.create_task(refund())


asyncio.run(main())
