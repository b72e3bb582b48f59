"""A callback that arms itself again and again."""

import asyncio

loop = asyncio.new_event_loop()


def tick() -> None:
    loop.call_later(0.01, tick)  # culprit


loop.call_soon(tick)
loop.run_forever()
