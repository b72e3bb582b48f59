"""Whether the engine in C does to asyncio's handles, tasks and futures what it is for: one life of
each kind, lived on a loop that nobody runs.

It is asked when asyncio is instrumented, once in a process.  Hooks hear nothing of these lives,
nothing of them is recorded, and no id is missing afterwards.
"""

import asyncio
from _thread import get_ident
from asyncio import events, futures, tasks
from collections.abc import Callable
from time import monotonic
from typing import Any

from . import twin
from .dispatch import EVENTS, listeners
from .execution import execution_async_id, execution_async_resource, local, new_async_id
from .futures import Future
from .recorder import recorder
from .scheduling import scheduling_soon

Told = list[tuple[Any, ...]]


class Failed(Exception):
    """A life was another than it must be; says how."""


def failure() -> str:
    """What is wrong with handles and tasks, on one line; nothing if nothing is."""
    return _failure_of(_callback, _cancelled, _timers, _raising, _task, _foreign)


def failure_of_futures() -> str:
    """What is wrong with the class of futures, on one line; nothing if nothing is."""
    return _failure_of(_future)


def _failure_of(*lives: Callable[["_Loop", Told], None]) -> str:
    try:
        with _Apart() as told:
            for live in lives:
                _live(live, told)
    except Exception as error:
        return f"its self-test fails ({type(error).__name__}: {error})"
    return ""


class _Apart:
    """What happens in this thread is told here, and nothing of it is recorded.

    What other threads tell meanwhile goes to the hooks of the program."""

    def __enter__(self) -> Told:
        self.told: Told = []
        self.first = new_async_id()
        self.recorded = recorder.on
        self.hooks = {event: getattr(listeners, event) for event in EVENTS}
        recorder.on = False
        for event in EVENTS:
            setattr(listeners, event, self._hearing(event, get_ident()))
        return self.told

    def _hearing(self, event: str, thread: int) -> Callable[..., None]:
        hook, first, told = self.hooks[event], self.first, self.told

        def hear(async_id: int, *rest: Any) -> None:
            if async_id > first and get_ident() == thread:
                told.append((event, async_id, *rest))
            elif hook is not None:
                hook(async_id, *rest)

        return hear

    def __exit__(self, *_: object) -> None:
        for event, hook in self.hooks.items():
            setattr(listeners, event, hook)
        recorder.on = self.recorded
        twin.return_async_ids(self.first, new_async_id())


class _Loop(asyncio.BaseEventLoop):
    """asyncio's own but for what it waits with: its callbacks run when a life says so."""

    _ready: Any
    _scheduled: Any
    _timer_cancelled_count: int

    def __init__(self) -> None:
        super().__init__()
        self._debug = False
        self.woken = 0
        self.reported: list[dict[str, Any]] = []

    def _write_to_self(self) -> None:
        self.woken += 1

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.reported.append(context)

    def turn(self) -> None:
        """Run what is ready now."""
        for _ in range(len(self._ready)):
            self._ready.popleft()._run()


def _live(live: Callable[[_Loop, Told], None], told: Told) -> None:
    told.clear()
    loop = _Loop()
    try:
        live(loop, told)
    finally:
        loop.close()


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Failed(f"{what}: expected {expected!r}, not {found!r}")


def _expect_events(what: str, told: Told, expected: str) -> None:
    """Of each id, in the order of their inits."""
    lives: dict[int, list[str]] = {}
    for event, async_id, *rest in told:
        lives.setdefault(async_id, []).append(rest[0] if event == "init" else event)
    found = ", ".join(" ".join(life) for life in lives.values())
    _expect(f"the events of {what}", found, expected)


def _is(what: str, holds: bool) -> None:
    _expect(what, holds, True)


# -- the lives -----------------------------------------------------------------------------------


def _callback(loop: _Loop, told: Told) -> None:
    seen: list[Any] = []

    def run(*args: int) -> None:
        seen.append((execution_async_id(), execution_async_resource(), args))

    current = local.state.current
    handle: Any = loop.call_soon(run, 1, 2)
    other: Any = loop.call_soon_threadsafe(run)
    _expect("what is ready", [*loop._ready], [handle, other])
    _expect("a handle's fields", _fields(handle), (run, (1, 2), loop, False, None, None))
    _is("a handle is asyncio's", isinstance(handle, events.Handle))
    loop.turn()
    _expect_events(
        "two callbacks", told, "Handle before after destroy, Handle before after destroy"
    )
    first, second = (async_id for event, async_id, *_ in told if event == "init")
    _expect("what executes", seen, [(first, handle, (1, 2)), (second, other, ())])
    _is("what executed before executes again", local.state.current is current)
    _expect("how often the loop is woken", loop.woken, 1)


def _fields(handle: Any) -> tuple[Any, ...]:
    """By asyncio's own names for them."""
    return (
        handle._callback,
        handle._args,
        handle._loop,
        handle._cancelled,
        handle._repr,
        handle._source_traceback,
    )


def _cancelled(loop: _Loop, told: Told) -> None:
    handle: Any = loop.call_soon(int)
    handle.cancel()
    handle.cancel()
    _expect("a cancelled handle's fields", _fields(handle), (None, None, loop, True, None, None))
    _expect_events("a cancelled callback", told, "Handle destroy")


def _timers(loop: _Loop, told: Told) -> None:
    now = loop.time()
    late: Any = loop.call_at(now + 1000, int)
    soon: Any = loop.call_later(500, int, "7")
    _expect("the heap of timers", (loop._scheduled[0], len(loop._scheduled)), (soon, 2))
    _is("when a timer is due", late.when() == now + 1000 and monotonic() + 400 < soon.when())
    _is("timers know that they are scheduled", late._scheduled and soon._scheduled)
    late.cancel()
    _expect("how many timers the loop has seen cancelled", loop._timer_cancelled_count, 1)
    soon._run()
    _expect_events("two timers", told, "TimerHandle destroy, TimerHandle before after destroy")


def _raising(loop: _Loop, told: Told) -> None:
    handle = loop.call_soon(int, "no number")
    loop.turn()
    (context,) = loop.reported
    _is("what has failed is reported", context["handle"] is handle)
    _expect("the failure of a callback", type(context["exception"]), ValueError)
    _expect_events("a callback that fails", told, "Handle before after destroy")


def _task(loop: _Loop, told: Told) -> None:
    future: Any = futures.Future(loop=loop)

    async def wait() -> object:
        return await future

    coroutine = wait()
    try:
        # With a name: else it would be given a number, and the program's tasks the next ones.
        task: Any = tasks.Task(coroutine, loop=loop, name="self-test")
        task._log_destroy_pending = False
        task.add_done_callback(lambda _: None)
        loop.turn()
        future.set_result(7)
        loop.turn()
        _is("a task ends with its coroutine", task.done() and task.result() == 7)
        loop.turn()
    finally:
        coroutine.close()
    lives = "Task before after before promise_resolve after destroy, Handle before after destroy"
    if hasattr(future, "_lifetime"):
        lives = f"Future promise_resolve destroy, {lives}"
    _expect_events("a task that waits for a future", told, lives)
    inits = {rest[0]: (async_id, rest[1]) for event, async_id, *rest in told if event == "init"}
    _expect("what triggers a done callback of a task", inits["Handle"][1], inits["Task"][0])


def _future(loop: _Loop, told: Told) -> None:
    done, failed, cancelled = (Future(loop=loop) for _ in range(3))
    done.set_result(7)
    failed.set_exception(LookupError("on purpose"))
    cancelled.cancel()
    _expect("the result of a future", done.result(), 7)
    _expect("the failure of a future", type(failed.exception()), LookupError)
    _is("a future can be cancelled", cancelled.cancelled())
    _is("a future is asyncio's", isinstance(done, asyncio.Future))
    life = "Future promise_resolve destroy"
    _expect_events("three futures", told, f"{life}, {life}, {life}")


def _foreign(loop: _Loop, told: Told) -> None:
    class Foreign:
        _source_traceback = None

        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
            loop._ready.append(self)
            self._run = lambda: callback(*args)
            return self

    ran: list[int] = []
    foreign = Foreign()
    scheduling_soon(Foreign.call_soon)(foreign, ran.append, 7)
    loop.turn()
    _expect("what a loop of another's runs", ran, [7])
    _expect_events("a callback of a loop of another's", told, "Handle before after destroy")
