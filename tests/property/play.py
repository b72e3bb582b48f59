"""One run of a random program: where its pieces run, and what can be seen of them.

The run is the same each time, whoever watches: only one thread runs at a time, timers are due when
the loop looks, and the collector runs when the program says.  So its trace, line by line and in
order, is to be the same with and without whence.
"""

import asyncio
import gc
import re
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol, TypeVar

from expected_stores import DEFAULTS, STORAGES, Stores
from loops import Loops
from watching import Watch
from whence import AsyncLocalStorage, AsyncResource

T = TypeVar("T")
AnyFuture = asyncio.Future[Any]
AnyTask = asyncio.Task[Any]

NOTHING = nullcontext()

_QUIET_TURNS = 8
"""Turns of the loop without a line of the trace, after which the program is waiting for the end."""
_MOST_ENDINGS = 300


class ProgramError(Exception):
    """The program fails on purpose."""


class Act(Protocol):
    """One thing that a program does, anywhere."""

    def do(self, here: "Place") -> None:
        """Do it."""


class Await:
    """One thing that only a coroutine can do."""

    async def do_async(self, here: "Place") -> None:
        """Do it."""
        raise NotImplementedError


Body = tuple[Any, ...]
"""Acts, and in a coroutine Awaits too, one after the other."""


@dataclass
class Waitable:
    """A future or task that the program holds."""

    future: AnyFuture
    number: int
    async_id: int | None
    plain: bool
    """No task, and nothing that waits for tasks: the program settles it."""


@dataclass
class Turf:
    """What belongs to one loop."""

    loop: asyncio.AbstractEventLoop
    numbers: int = 0
    """How many tasks and futures there have been."""
    waitables: list[Waitable] = field(default_factory=list)
    tasks: list[weakref.ref[AnyTask]] = field(default_factory=list)
    handles: list[asyncio.Handle] = field(default_factory=list)
    callbacks: list[tuple[AnyFuture, Callable[[AnyFuture], None]]] = field(default_factory=list)

    def number(self) -> int:
        """The next one.  A task waits only for what has a higher number than its own."""
        self.numbers += 1
        return self.numbers

    def release(self) -> None:
        """Hold nothing any more."""
        self.waitables.clear()
        self.handles.clear()
        self.callbacks.clear()


def pick(things: list[T], which: int) -> T | None:
    """One of them."""
    return things[which % len(things)] if things else None


@dataclass
class Place:
    """Where a piece of the program runs."""

    play: "Play"
    path: str
    turf: Turf
    on_loop: bool
    stores: Stores
    task: int = 0
    """The number of the task."""
    async_id: int | None = None
    """What executes here."""

    def at(self, nth: object) -> "Place":
        """The same, a level down in the program."""
        path = f"{self.path}.{nth}"
        same = self.play, path, self.turf, self.on_loop, self.stores, self.task, self.async_id
        return Place(*same)

    def start(
        self, stores: Stores | None = None, *, on_loop: bool = True, task: int = 0
    ) -> "Place":
        """Where something runs that is started here."""
        stores = self.stores.copy() if stores is None else stores
        return Place(self.play, self.path, self.turf, on_loop, stores, task)

    def with_stores(self, stores: Stores) -> "Place":
        """The same place with other stores, for a while."""
        same = self.path, self.turf, self.on_loop, stores, self.task, self.async_id
        return Place(self.play, *same)

    def log(self, what: object) -> None:
        """A line of the trace."""
        self.play.say(f"{self.path} {what}")

    def check(self) -> None:
        """What executes, and the stores, are as the model says."""
        self.play.watch.check(self)
        for number, storage in enumerate(self.play.storages):
            held, expected = storage.get_store(), self.stores.held(number)
            if held != expected:
                text = f"{self.path}: storage {number} holds {held!r}, not {expected!r}"
                self.play.watch.wrong.append(f"10: {text}")


class Play:
    """A run."""

    def __init__(self, loops: Loops, watch: Watch, *, debug: bool = False) -> None:
        self.loops = loops
        self.watch = watch
        self.debug = debug
        self.trace: list[str] = []
        self.unordered: Counter[str] = Counter()
        """What happened when something was collected: the order is the collector's."""
        self.generations = [0] * STORAGES
        self.storages = [AsyncLocalStorage(default=default) for default in DEFAULTS]
        self.resources: list[tuple[AsyncResource, Stores]] = []
        self.snapshots: list[tuple[Callable[..., Any], Stores]] = []
        self.turfs: list[Turf] = []
        self.made: list[tuple[str, weakref.ref[Any]]] = []
        self.failed: list[Place] = []
        """Of callbacks that failed, and are about to be told to the exception handler."""

    def saw(self, here: Place, thing: object) -> None:
        """It may be asked for later whether this is still alive."""
        self.made.append((f"{here.path} {type(thing).__name__}", weakref.ref(thing)))

    def alive(self) -> Counter[str]:
        """What the program made, and is still there."""
        return Counter(what for what, thing in self.made if thing() is not None)

    def say(self, line: str) -> None:
        """A line of the trace."""
        self.trace.append(evened_out(line))

    # -- running a body -------------------------------------------------------------------------

    def run(self, here: Place, body: Body) -> None:
        """In a callback, a scope, or a thread."""
        here.log("begins")
        here.check()
        try:
            for nth, act in enumerate(body):
                act.do(here.at(nth))
                here.check()
        except BaseException as error:
            here.log(f"fails: {error!r}")
            raise
        here.log("ends")

    async def run_async(self, here: Place, body: Body) -> None:
        """In a coroutine."""
        here.log("begins")
        here.check()
        try:
            for nth, act in enumerate(body):
                below = here.at(nth)
                if isinstance(act, Await):
                    await act.do_async(below)
                else:
                    act.do(below)
                here.check()
        except GeneratorExit:
            self.unordered[f"{here.path} is closed"] += 1
            raise
        except BaseException as error:
            here.log(f"fails: {error!r}")
            raise
        here.log("ends")

    async def run_task(self, here: Place, body: Body) -> str:
        """As the coroutine of a task."""
        here.turf.tasks.append(weakref.ref(asyncio.current_task()))  # type: ignore[arg-type]
        self.watch.begin(here, "Task")
        await self.run_async(here, body)
        return here.path

    # -- running a program ----------------------------------------------------------------------

    def run_loop(self, body: Body, path: str, stores: Stores) -> None:
        """Run a body as a task on a loop of its own, in this thread, until all is over."""
        with asyncio.Runner(loop_factory=self.loops.make, debug=self.debug) as runner:
            loop = runner.get_loop()
            loop.slow_callback_duration = float("inf")
            loop.set_exception_handler(self._report)
            turf = Turf(loop)
            self.turfs.append(turf)
            here = Place(self, path, turf, True, stores)
            runner.run(self._main(here, body))
            with self.watch.still():
                runner.close()

    async def _main(self, here: Place, body: Body) -> None:
        turf = here.turf
        self.watch.begin(here, "Task")
        with self.watch.expects(here, "Task"):
            task = turf.loop.create_task(self.run_task(here.start(task=turf.number()), body))
        turf.tasks.append(weakref.ref(task))
        del task
        for _ in range(_MOST_ENDINGS):
            await self._quiet()
            here.check()
            with self.watch.collecting():
                gc.collect()
            if not self._end_one(turf):
                here.log("ends all")
                return
        raise AssertionError(f"the program goes on after {_MOST_ENDINGS} cancellations")

    def _end_one(self, turf: Turf) -> bool:
        """Cancel what has been waiting for longest; whether there was anything."""
        for task in turf.tasks:
            waiting = task()
            if waiting is not None and not waiting.done():
                waiting.cancel()
                return True
        return False

    async def _quiet(self) -> None:
        turns = 0
        while turns < _QUIET_TURNS:
            before = len(self.trace)
            await asyncio.sleep(0)
            turns = turns + 1 if len(self.trace) == before else 0

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message, error = context["message"], context.get("exception")
        if "never retrieved" in message or "pending" in message:
            self.unordered[evened_out(f"{message}: {error!r}")] += 1
            return
        self.say(f"reported: {error!r}")
        if message.startswith("Exception in callback") and self.failed:
            failed = self.failed.pop()
            # SEMANTICS 6.10 and, for the stores, 10.13.
            if self.loops.keeps_context and sys.version_info >= (3, 12):
                failed.check()
            else:
                self.watch.check(failed)


def evened_out(text: str) -> str:
    """Without what differs from run to run: addresses, and the number that asyncio gives a task."""
    return re.sub(r"0x[0-9a-f]+", "0x", re.sub(r"Task-\d+", "Task-N", text))


class Blocking:
    """Awaits a coroutine, and after its first step blocks until what that has begun is done."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        wait: Callable[[], None],
        around: AbstractContextManager[None] = NOTHING,
    ) -> None:
        self._coroutine = coroutine
        self._wait = wait
        self._around = around

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._coroutine.__await__()
        try:
            with self._around:
                waits_for = next(steps)
                self._wait()
            while True:
                try:
                    sent = yield waits_for
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:
                    waits_for = steps.throw(error)
                else:
                    waits_for = steps.send(sent)
        except StopIteration as stop:
            return stop.value


def spin(seconds: float) -> None:
    """Until what was to happen after these seconds is due."""
    until = monotonic() + seconds
    while monotonic() < until:
        pass


@contextmanager
def quiet_collector() -> Iterator[None]:
    """The collector runs only when asked, and sees only what is made meanwhile."""
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()
