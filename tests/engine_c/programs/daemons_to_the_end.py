"""Daemon threads go on scheduling while the interpreter ends."""

import asyncio
import threading

import whence

whence.create_hook(init=lambda *_: None, destroy=lambda _: None).enable()
loop = asyncio.new_event_loop()


def schedule() -> None:
    while True:
        loop.call_soon_threadsafe(int)
        loop.call_later(60, int).cancel()
        loop.create_future().set_result(None)
        loop._ready.clear()  # type: ignore[attr-defined]


for _ in range(3):
    threading.Thread(target=schedule, daemon=True).start()
loop.call_later(0.2, loop.stop)
loop.run_until_complete(asyncio.sleep(0.05))
print("went on")
