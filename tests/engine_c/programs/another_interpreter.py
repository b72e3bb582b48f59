"""Another interpreter imports asyncio, runs a loop and ends, between two runs of ours.

Not while ours runs: on some Pythons asyncio itself does not bear that."""

import asyncio
import sys
from importlib import import_module
from importlib.util import find_spec

import whence

NAMES = [name for name in ("_interpreters", "_xxsubinterpreters") if find_spec(name)]
if not NAMES:
    print("skipped: this Python has no interpreters")
    sys.exit()

interpreters = import_module(NAMES[0])

PROGRAM = """
import asyncio

loop = asyncio.new_event_loop()
loop.call_soon(int)
loop.call_later(1, int).cancel()
loop.call_soon(loop.stop)
loop.run_forever()
loop.close()
"""


async def main() -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.001))


with whence.create_hook(init=lambda *_: None, destroy=lambda _: None):
    asyncio.run(main())
    other = interpreters.create()
    interpreters.run_string(other, PROGRAM)
    interpreters.destroy(other)
    asyncio.run(main())
print("went on")
