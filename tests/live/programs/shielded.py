"""What is shielded goes on when its waiter has given up."""

import asyncio

never = asyncio.Event()


async def save() -> None:
    await never.wait()  # culprit


async def main() -> None:
    await asyncio.shield(asyncio.create_task(save()))


asyncio.run(main())
