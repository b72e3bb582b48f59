"""Objects of the program's that answer nothing: they are called, and asked nothing on the way."""

import pytest
from undisturbed import Undisturbed

PROGRAM = """
import asyncio, concurrent.futures, contextvars, functools, os, sys, threading

class Mute:
    # As a proxy is, of something of which there is none at present.
    ran = []

    def __getattr__(self, name):
        raise RuntimeError("asked for " + name)

    __class__ = __name__ = __wrapped__ = property(lambda self: self.asked)
    __hash__ = None

    def __bool__(self):
        raise RuntimeError("asked whether it is true")

    def __eq__(self, other):
        raise RuntimeError("asked what it equals")

    def __repr__(self):
        raise RuntimeError("asked how it looks")

    def __call__(self, *arguments):
        Mute.ran.append(len(arguments))
        return 0

class Unsayable(Exception):
    def __str__(self):
        raise RuntimeError("asked what it says")

    __repr__ = __str__

async def fail():
    raise Unsayable

mute = Mute()
pool = concurrent.futures.ThreadPoolExecutor(1)

async def after(what, call, runs=True):
    Mute.ran.clear()
    try:
        result = call()
        if asyncio.isfuture(result) or asyncio.iscoroutine(result):
            result = await result
        while runs and not Mute.ran:
            await asyncio.sleep(0.001)
        print(what, "ran", Mute.ran[:1])
    except (RuntimeError, TypeError, Unsayable, OSError) as error:
        print(what, type(error).__name__, error.args)

def run_thread(thread):
    thread.start()
    thread.join()

def settle(result):
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(mute)
    future.set_result(result)

async def in_anyio():
    import anyio.to_thread

    await anyio.to_thread.run_sync(mute)
    await anyio.to_thread.run_sync(functools.partial(mute, 1))

async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: print(sorted(context)))
    await after("call_soon", lambda: loop.call_soon(mute))
    await after("call_soon in a context", lambda: loop.call_soon(
        mute, mute, context=contextvars.copy_context()))
    await after("call_later", lambda: loop.call_later(0, mute))
    await after("call_later of a partial", lambda: loop.call_later(0, functools.partial(mute, 1)))
    await after("call_at", lambda: loop.call_at(loop.time(), mute, mute))
    await after("call_soon_threadsafe", lambda: loop.call_soon_threadsafe(mute, mute))
    await after("settled", lambda: settle(mute))
    await after("run_in_executor", lambda: loop.run_in_executor(None, mute, mute))
    await after("to_thread", lambda: asyncio.to_thread(mute))
    await after("submit", lambda: asyncio.wrap_future(pool.submit(mute)))
    await after("anyio", in_anyio)
    await after("Thread", lambda: run_thread(threading.Thread(target=mute, name="own")))
    await after("Timer", lambda: run_thread(threading.Timer(0, mute)))
    reading, writing = os.pipe()
    os.write(writing, b"x")
    await after("add_reader", lambda: loop.add_reader(reading, mute))
    loop.remove_reader(reading)
    await after("create_server", lambda: loop.create_server(mute, "127.0.0.1", 0), runs=False)
    await after("a task that fails", lambda: asyncio.create_task(fail()), runs=False)
    os.close(reading)
    os.close(writing)

if "{loop}" == "uvloop":
    import uvloop as made_by
else:
    import asyncio as made_by
with asyncio.Runner(loop_factory=made_by.new_event_loop) as runner:
    runner.run(main())
pool.shutdown()
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_is_to_be_called_is_asked_nothing(undisturbed: Undisturbed, loop: str) -> None:
    pytest.importorskip(loop)
    undisturbed.check(PROGRAM.replace("{loop}", loop))
