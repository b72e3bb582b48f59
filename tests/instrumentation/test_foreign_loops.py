"""Event loops of classes that whence has never seen."""

import asyncio
import sys

import pytest

import whence
from launching import Finished, Launcher

OWN_LOOP = """
    import asyncio, collections, contextvars, heapq, itertools, sys, time


    class OwnHandle:
        def __init__(self, callback, args, context):
            self.call = (context or contextvars.copy_context()).run, callback, *args
            self.off = False

        def cancel(self):
            self.off = True

        def cancelled(self):
            return self.off


    class OwnLoop(asyncio.AbstractEventLoop):
        make_handle = OwnHandle

        def __init__(self):
            self.ready, self.timers = collections.deque(), []
            self.count, self.running, self.closed = itertools.count(), False, False

        time = staticmethod(time.monotonic)

        def get_debug(self):
            return False

        def set_debug(self, enabled):
            pass

        def is_running(self):
            return self.running

        def is_closed(self):
            return self.closed

        def close(self):
            self.closed = True

        def stop(self):
            self.running = False

        def call_soon(self, callback, *args, context=None):
            self.ready.append(self.make_handle(callback, args, context))
            return self.ready[-1]

        def call_later(self, delay, callback, *args, context=None):
            return self.call_at(self.time() + delay, callback, *args, context=context)

        def call_at(self, when, callback, *args, context=None):
            handle = self.make_handle(callback, args, context)
            heapq.heappush(self.timers, (when, next(self.count), handle))
            return handle

        def create_future(self):
            return asyncio.Future(loop=self)

        def create_task(self, coro, *, name=None, context=None):
            return asyncio.Task(coro, loop=self, name=name, context=context)

        def call_exception_handler(self, context):
            print(context, file=sys.stderr)

        async def shutdown_asyncgens(self):
            pass

        async def shutdown_default_executor(self, timeout=None):
            pass

        def run_until_complete(self, future):
            future = asyncio.ensure_future(future, loop=self)
            future.add_done_callback(lambda _: self.stop())
            self.run_forever()
            return future.result()

        def run_forever(self):
            self.running = True
            asyncio._set_running_loop(self)
            try:
                while self.running:
                    self.turn()
            finally:
                asyncio._set_running_loop(None)

        def turn(self):
            while self.timers and self.timers[0][0] <= self.time():
                self.ready.append(heapq.heappop(self.timers)[2])
            if self.ready:
                handle = self.ready.popleft()
                if not handle.cancelled():
                    run, *args = handle.call
                    run(*args)
            elif self.timers:
                time.sleep(max(0, self.timers[0][0] - self.time()))
"""

PROGRAM = """
    import asyncio
    from loops import {loop}

    async def child():
        await asyncio.sleep(0.001)
        return "child"

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_later(0.001, future.set_result, "timer")
        print(await asyncio.create_task(child()), await future)

    before = vars({loop}).get("call_soon")
    for turn in range(2):
        with asyncio.Runner(loop_factory={loop}) as runner:
            runner.run(main())
    assert vars({loop}).get("call_soon") is before
"""

SAID = "child timer\n" * 2
"""What the program prints, on whatever loop."""


def run(launch: Launcher, loops: str, loop: str) -> Finished:
    """The program on one of these loops; all of its spans printed."""
    launch.write("loops.py", loops)
    launch.write("app.py", PROGRAM.format(loop=loop))
    return launch.run("--export", "console", "--min-duration", "0", "app.py")


def complaints(finished: Finished) -> list[str]:
    return [line for line in finished.err.splitlines() if line.startswith("whence: the event loop")]


def test_a_loop_that_makes_its_own_handles_works_and_is_named_once(launch: Launcher) -> None:
    finished = run(launch, OWN_LOOP, "OwnLoop")
    assert (finished.code, finished.out) == (0, SAID)
    assert complaints(finished) == [
        "whence: the event loop loops.OwnLoop makes its handles itself (loops.OwnHandle): "
        "what runs on it is not traced, and runs as ever"
    ]
    assert "task" not in finished.err
    assert "Traceback" not in finished.err


SEALED = """
    class Sealed(type):
        def __setattr__(cls, name, value):
            raise TypeError(f"{name} of an immutable type")


    class SealedLoop(OwnLoop, metaclass=Sealed):
        pass
"""


def test_a_loop_whose_class_cannot_be_asked_is_named_too(launch: Launcher) -> None:
    finished = run(launch, OWN_LOOP + SEALED, "SealedLoop")
    assert (finished.code, finished.out) == (0, SAID)
    assert complaints(finished) == [
        "whence: the event loop loops.SealedLoop is of a class that takes no patch: "
        "what runs on it is not traced, and runs as ever"
    ]


ODD = """
    import asyncio


    class Emptied:
        def clear(self):
            pass


    class Odd(asyncio.SelectorEventLoop):
        def call_soon(self, callback, *args, context=None):
            handle = asyncio.Handle(callback, args, self, context)
            self._ready.append(handle)
            return handle

        def close(self):
            # What is left keeps itself elsewhere.
            self._ready = self._scheduled = Emptied()
            super().close()
"""


def test_a_loop_that_keeps_its_handles_elsewhere_is_closed_as_ever(launch: Launcher) -> None:
    finished = run(launch, ODD, "Odd")
    assert (finished.code, finished.out) == (0, SAID)
    assert "Traceback" not in finished.err
    assert len(complaints(finished)) == 1


def test_a_loop_that_never_says_that_it_runs_is_named_once_it_is_used(launch: Launcher) -> None:
    """Such as one that another framework drives."""
    launch.write("loops.py", ODD)
    source = """
        from loops import Odd

        loop = Odd()
        for turn in range(2):
            loop.call_soon(print, "ran")
            loop._ready.popleft()._run()
        loop.close()
    """
    launch.write("app.py", source)
    finished = launch.run("app.py")
    assert (finished.code, finished.out) == (0, "ran\nran\n")
    assert complaints(finished) == [
        "whence: the event loop loops.Odd makes its handles itself (asyncio.events.Handle): "
        "what runs on it is not traced, and runs as ever"
    ]


SUBCLASSES = {
    "Plain": """
        import asyncio

        class Plain(asyncio.SelectorEventLoop):
            pass
    """,
    "Overriding": """
        import asyncio

        class Overriding(asyncio.SelectorEventLoop):
            def call_soon(self, callback, *args, context=None):
                return super().call_soon(callback, *args, context=context)

            def call_at(self, when, callback, *args, context=None):
                return super().call_at(when, callback, *args, context=context)
    """,
    "OfUvloop": """
        import uvloop

        class OfUvloop(uvloop.Loop):
            def call_soon(self, callback, *args, context=None):
                return super().call_soon(callback, *args, context=context)
    """,
}


@pytest.mark.parametrize("loop", SUBCLASSES)
def test_a_loop_that_leaves_its_callbacks_to_a_known_one_is_seen_like_it(
    loop: str, launch: Launcher
) -> None:
    if loop == "OfUvloop" and sys.platform == "win32":
        pytest.skip("uvloop does not run there")
    finished = run(launch, SUBCLASSES[loop], loop)
    assert (finished.code, finished.out) == (0, SAID)
    assert complaints(finished) == []
    for name in ("task main", "task child", "timer sleep"):
        assert finished.err.count(name) == 2


def test_the_function_by_which_loops_tell_that_they_run_is_put_back() -> None:
    before = asyncio._set_running_loop, asyncio.events._set_running_loop
    with whence.create_hook(init=lambda *_: None):
        assert asyncio._set_running_loop is not before[0]
    assert (asyncio._set_running_loop, asyncio.events._set_running_loop) == before


def test_what_it_is_called_with_is_checked_as_ever() -> None:
    with (
        whence.create_hook(init=lambda *_: None),
        pytest.raises(TypeError, match="_set_running_loop"),
    ):
        asyncio._set_running_loop()  # type: ignore[call-arg]
