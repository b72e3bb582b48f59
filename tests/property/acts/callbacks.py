"""Callbacks and timers: scheduled, cancelled at any time, failing."""

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass

from play import Body, Place, ProgramError, pick, spin

FAR = 3600.0
"""Seconds; later than the end of any program."""


def callback(here: Place, body: Body, type: str) -> tuple[Place, Callable[..., None]]:
    """What to schedule here, and where it will run."""
    there = here.start()

    def call(*_: object) -> None:
        here.play.watch.begin(there, type)
        try:
            here.play.run(there, body)
        except ProgramError:
            here.play.failed.append(there)
            raise

    return there, call


@dataclass(frozen=True)
class Soon:
    """call_soon; in a thread, or if it is said, call_soon_threadsafe."""

    body: Body = ()
    cancel: str = "never"
    keep: bool = False
    threadsafe: bool = False
    context: bool = False

    def do(self, here: Place) -> None:
        loop = here.turf.loop
        schedule = loop.call_soon
        if self.threadsafe or not here.on_loop:
            schedule = loop.call_soon_threadsafe
        context = contextvars.copy_context() if self.context else None
        there, call = callback(here, self.body, "Handle")
        call, running = _cancelled(self.cancel, call)
        with here.play.watch.expects(here, "Handle") as born:
            handle = schedule(call, context=context)
        _scheduled(self, here, there, born, handle, running)


@dataclass(frozen=True)
class Later:
    """call_later or call_at: for a time past, at once, in a tiny while, or long after the end."""

    body: Body = ()
    delay: str = "none"
    at: bool = False
    cancel: str = "never"
    keep: bool = False
    context: bool = False

    def do(self, here: Place) -> None:
        if not here.on_loop:
            here.log("is no loop")
            return
        loop, tiny = here.turf.loop, here.play.loops.tiny
        delay = {"past": -FAR, "none": 0.0, "tiny": tiny, "far": FAR}[self.delay]
        context = contextvars.copy_context() if self.context else None
        at = self.at and (self.delay != "tiny" or here.play.loops.keeps_times)
        there, call = callback(here, self.body, "TimerHandle")
        call, running = _cancelled(self.cancel, call)
        with here.play.watch.expects(here, "TimerHandle") as born:
            handle = (
                loop.call_at(loop.time() + delay, call, context=context)
                if at
                else loop.call_later(delay, call, context=context)
            )
        _scheduled(self, here, there, born, handle, running)
        if self.delay == "tiny":
            spin(tiny)


Running = list[asyncio.Handle]


def _cancelled(when: str, call: Callable[..., None]) -> tuple[Callable[..., None], Running]:
    """The callback that cancels itself, if that is when."""
    running: Running = []
    if when != "inside":
        return call, running

    def cancel_and_call() -> None:
        running.pop().cancel()
        call()

    return cancel_and_call, running


def _scheduled(
    act: Soon | Later,
    here: Place,
    there: Place,
    born: list[int],
    handle: asyncio.Handle,
    running: Running,
) -> None:
    there.async_id = born[0] if born else None
    if act.cancel == "inside":
        running.append(handle)
    if act.cancel in ("at once", "twice"):
        handle.cancel()
    if act.cancel == "twice":
        handle.cancel()
    if act.keep and here.on_loop:
        here.turf.handles.append(handle)


@dataclass(frozen=True)
class Twins:
    """Two timers that compare equal (6.3)."""

    body: Body = ()
    far: bool = False
    cancel: bool = False

    def do(self, here: Place) -> None:
        if not here.on_loop:
            here.log("is no loop")
            return
        loop = here.turf.loop
        when = loop.time() + FAR * self.far
        stores = here.stores.copy()

        def call() -> None:
            # Which of the two runs first is the heap's affair.
            there = here.start(stores.copy())
            here.play.watch.begin(there, "TimerHandle")
            try:
                here.play.run(there, self.body)
            except ProgramError:
                here.play.failed.append(there)
                raise

        with here.play.watch.expects(here, "TimerHandle", "TimerHandle"):
            handles = [loop.call_at(when, call) for _ in range(2)]
        if self.cancel:
            handles[0].cancel()
        here.log(f"equal: {handles[0] == handles[1]}")


@dataclass(frozen=True)
class CancelHandle:
    """Cancel a handle that was kept: before it runs, or after, or again."""

    which: int

    def do(self, here: Place) -> None:
        handle = pick(here.turf.handles, self.which) if here.on_loop else None
        if handle is not None:
            handle.cancel()
            here.log(f"cancelled: {handle.cancelled()}")


@dataclass(frozen=True)
class Raise:
    """Fail."""

    def do(self, here: Place) -> None:
        raise ProgramError(here.path)
