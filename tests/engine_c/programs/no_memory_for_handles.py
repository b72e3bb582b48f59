"""Has each allocation fail once while handles, timers, tasks and futures are made and run."""

import _testcapi  # type: ignore[import-not-found]
import asyncio
import contextlib
import gc
import os
from typing import Any

from whence import engine

engine.recorder.on = True
engine.recorder.sends = False
engine.want_instrumentation(True)


async def task() -> None:
    await asyncio.sleep(0)


def live(loop: Any) -> None:
    loop.call_soon(int)
    loop.call_soon_threadsafe(int)
    loop.call_later(60, int).cancel()
    loop.call_at(0, int)
    future = loop.create_future()
    future.add_done_callback(id)
    future.set_result(None)
    future = loop.create_future()
    future.set_exception(LookupError())
    future.exception()
    loop.create_task(task())


def turn(loop: Any) -> None:
    with contextlib.suppress(MemoryError):
        loop.call_soon(loop.stop)
        loop.run_forever()


failed = 0
loop: Any = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)
asyncio.events._set_running_loop(None)
for _ in range(3):
    live(loop)
    turn(loop)
for nth in range(400):
    _testcapi.set_nomemory(nth, nth + 1)
    try:
        live(loop)
    except MemoryError:
        failed += 1
    finally:
        _testcapi.remove_mem_hooks()
    turn(loop)
    turn(loop)
for nth in range(400):
    live(loop)
    _testcapi.set_nomemory(nth, nth + 1)
    try:
        loop._run_once()
    except MemoryError:
        failed += 1
    finally:
        _testcapi.remove_mem_hooks()
    turn(loop)
gc.collect()
assert failed > 5, failed
print("went on", flush=True)
os._exit(0)
