"""Forty times the same small trace: after the first few, spans are sent by a template."""

import asyncio

TIMES = 40


async def notify(_: int) -> None:
    await asyncio.sleep(0.001)


async def order() -> None:
    await asyncio.gather(*(asyncio.create_task(notify(number)) for number in range(3)))


async def main() -> None:
    for _ in range(TIMES):
        await asyncio.create_task(order())


asyncio.run(main())
