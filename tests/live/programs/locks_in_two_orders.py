"""Two tasks that take two locks in different orders."""

import asyncio

accounts = asyncio.Lock()
orders = asyncio.Lock()


async def pay() -> None:
    async with accounts:
        await asyncio.sleep(0)
        async with orders:  # culprit
            pass


async def ship() -> None:
    async with orders:
        await asyncio.sleep(0)
        async with accounts:
            pass


async def main() -> None:
    await asyncio.gather(pay(), ship())


asyncio.run(main())
