"""A barrier for three, and two come."""

import asyncio

barrier = asyncio.Barrier(3)


async def party() -> None:
    await barrier.wait()  # culprit


async def main() -> None:
    await asyncio.gather(party(), party())


asyncio.run(main())
