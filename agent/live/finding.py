"""The program's tasks, loops, handles and jobs, found where asyncio and the pools keep them.

Containers are copied in one go, in C, because their threads go on changing them.  What is not as
expected, a loop of another's making or a later Python, is passed over.
"""

import sys
from collections import deque
from collections.abc import Iterator
from gc import get_referents
from types import FrameType
from typing import Any

from ..engine import Lifetime, at_next_event
from ..engine.waiting import brackets
from .pace import Pace

MAX_HANDLES = 100_000
"""Handles that are looked at in each place of a loop."""

_SETS_OF_TASKS = ("_scheduled_tasks", "_eager_tasks", "_all_tasks")
_RUN_A_LOOP = frozenset({"run_forever", "run_until_complete", "run"})


def lifetime_of(resource: Any) -> Lifetime | None:
    """The lifetime of one of the program's objects; None if whence has not seen it made."""
    try:
        found = getattr(resource, "_lifetime", None)
        if found is None:
            token = getattr(resource, "_whence", None)
            found = getattr(token, "lifetime", None)
    except Exception:
        # An object of the program's that has its own ideas of attributes.
        return None
    return found if isinstance(found, Lifetime) else None


class Found:
    """What there is at this moment.  Holds it only until `let_go`."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.tasks: list[Any] = []
        self.loops: list[Any] = []
        self._held: list[Any] = []
        """Handles, whether or not whence knows them."""
        self.jobs: list[tuple[Any, Lifetime]] = []
        # The program may be in the middle of importing it.
        loop_class = getattr(sys.modules.get("asyncio"), "AbstractEventLoop", None)
        if loop_class is not None:
            self.loops = _loops_that_run(loop_class)
            self.tasks = _tasks(self.loops, pace)
            known = {id(loop) for loop in self.loops}
            for task in self.tasks:
                loop = _loop_of(task)
                if loop is not None and id(loop) not in known:
                    known.add(id(loop))
                    self.loops.append(loop)
                pace.breathe()
            for loop in self.loops:
                self._held += _handles(loop)
        self.jobs = _queued_jobs()

    def handles(self) -> Iterator[tuple[Any, Lifetime]]:
        """What loops hold, one after the other: as a list they would be pairs without end."""
        for handle in self._held:
            lifetime = _lifetime_of_handle(handle)
            if lifetime is not None:
                yield handle, lifetime
            self._pace.breathe()

    def let_go(self) -> None:
        """Refer to nothing any more.

        What has ended meanwhile and lives only here is dropped in the program's own thread, with
        its next event: what finalizers and `finally` do then is nothing to happen in ours."""
        last: list[Any] = []
        for kept in (self.tasks, self.loops, self._held):
            while kept:
                one = kept.pop()
                if sys.getrefcount(one) == 2:
                    last.append(one)
                one = None
                self._pace.breathe()
        self.jobs.clear()
        if last:
            at_next_event(last.clear)


def _tasks(loops: list[Any], pace: Pace) -> list[Any]:
    """Every task that is not done."""
    module: Any = sys.modules.get("asyncio.tasks")
    found: dict[int, Any] = {}
    for name in _SETS_OF_TASKS:
        tasks = getattr(module, name, ())
        weak = getattr(tasks, "data", None)
        if weak is None:
            copied = tuple(tasks) if type(tasks) is set else ()
        else:
            copied = tuple(task for task in [ref() for ref in tuple(weak)] if task is not None)
        found.update((id(task), task) for task in copied)
    if sys.version_info >= (3, 14):
        # Those in C are in lists of each thread's, which this function knows how to read.
        for loop in loops:
            found.update((id(task), task) for task in module.all_tasks(loop))
    going_on = []
    while found:
        _, task = found.popitem()
        if not _is_done(task):
            going_on.append(task)
        pace.breathe()
    going_on.reverse()
    return going_on


def _is_done(task: Any) -> bool:
    try:
        return bool(task.done())
    except Exception:
        return True


def _loop_of(task: Any) -> Any:
    try:
        return task.get_loop()
    except Exception:
        return None


def _loops_that_run(loop_class: type) -> list[Any]:
    """The loops of which a thread is inside `run_forever`, or that a Runner runs."""
    found: dict[int, Any] = {}
    for frame in list(sys._current_frames().values()):
        outer: FrameType | None = frame
        while outer is not None:
            if outer.f_code.co_name in _RUN_A_LOOP and "asyncio" in outer.f_code.co_filename:
                one = outer.f_locals.get("self")
                one = getattr(one, "_loop", one)
                if isinstance(one, loop_class):
                    found[id(one)] = one
            outer = outer.f_back
        del frame, outer
    return list(found.values())


def _handles(loop: Any) -> list[Any]:
    """Of a loop: what is scheduled, its timers, readers and writers."""
    held: list[Any] = []
    for name, kind in (("_ready", deque), ("_scheduled", list)):
        kept = getattr(loop, name, None)
        if type(kept) is kind:
            held += list(kept)[:MAX_HANDLES]
    selector = getattr(loop, "_selector", None)
    registered = getattr(selector, "_fd_to_key", None)
    if type(registered) is dict:
        for key in list(registered.values())[:MAX_HANDLES]:
            if type(key.data) is tuple:
                held += [handle for handle in key.data if handle is not None]
    signals = getattr(loop, "_signal_handlers", None)
    if type(signals) is dict:
        held += list(signals.values())
    if not held:
        for kept in get_referents(loop):
            if type(kept) in (deque, set):
                held += list(kept)[:MAX_HANDLES]
    return held


def _lifetime_of_handle(handle: Any) -> Lifetime | None:
    """uvloop's handles refer to what stands for the program's callback, which has it."""
    lifetime = lifetime_of(handle)
    if lifetime is None and brackets:
        for referent in get_referents(handle):
            if type(referent) in brackets:
                # The loop may have it before its lifetime is made.
                found = getattr(referent, "lifetime", None)
                return found if isinstance(found, Lifetime) else None
    return lifetime


def _queued_jobs() -> list[tuple[Any, Lifetime]]:
    """Jobs that wait for a worker of a thread pool."""
    pools: Any = sys.modules.get("concurrent.futures.thread")
    queues = getattr(pools, "_threads_queues", None)
    found: dict[int, tuple[Any, Lifetime]] = {}
    for queue in list(getattr(queues, "data", {}).values()):
        kept = getattr(queue, "queue", None)
        for item in list(kept) if type(kept) is deque else ():
            lifetime = lifetime_of(item)
            if lifetime is not None:
                found[id(item)] = item, lifetime
    return list(found.values())
