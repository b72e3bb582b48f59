"""Daemon threads go on scheduling while the interpreter ends."""

import asyncio
import threading
from typing import Any

import whence

whence.create_hook(init=lambda *_: None, destroy=lambda _: None).enable()


def schedule() -> None:
    loop: Any = asyncio.new_event_loop()
    while True:
        loop.call_soon(int)
        loop.call_soon_threadsafe(int)
        loop.call_later(60, int).cancel()
        loop.create_future().set_result(None)
        loop._ready.clear()
        loop._scheduled.clear()


for _ in range(3):
    threading.Thread(target=schedule, daemon=True).start()
asyncio.run(asyncio.sleep(0.05))
print("went on")
