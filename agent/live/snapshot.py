"""The live table: every resource that is open, and what each is doing, at this moment.

What whence has recorded says what there is; the program's own objects, found for the occasion, say
where tasks are suspended and who awaits whom.  Where nothing is recorded, with hooks alone, there
is what the objects show: tasks, and what loops hold.
"""

import os
import sys
import time
from types import CodeType
from typing import Any, NamedTuple

from ..engine import (
    Cause,
    Lifetime,
    RecordedLifetime,
    Site,
    clock,
    open_lifetimes,
    site,
)
from ..engine.execution import threads
from ..engine.resource_types import FUTURE, TASK, TIMER_HANDLE, known_types
from ..engine.stacks import Stack, look
from ..naming import span_name
from .active_resource import OPEN, PENDING, READY, RUNNING, WAITING, ActiveResource, Hop
from .awaited import Awaiting, awaiting, scheduled
from .finding import Found, lifetime_of
from .loops import LoopNow, loops_now
from .pace import Pace
from .primitives import Primitive, Primitives
from .stranded import stranded
from .suspended import called_at, chain, sites_of, stack_of
from .threads import ThreadNow, stack_of_thread, threads_now

LIMIT = 10_000
"""Resources in a table, unless another number is asked for."""


class Snapshot(NamedTuple):
    """The live table at one moment."""

    resources: list[ActiveResource]
    """The oldest first."""
    left_out: int
    """How many more there are, beyond the limit."""
    counts: dict[str, int]
    """Type -> how many are open, of all, also beyond the limit."""
    pid: int
    at: float
    """When it was taken, seconds since the epoch."""
    threads: list[ThreadNow]
    """The program's, the main thread first."""
    loops: list[LoopNow]
    primitives: list[Primitive]
    """What tasks wait for in turn.  Looked for only if asked, as `stranded`."""
    stranded: tuple[int, ...]
    """Ids of futures that nothing can settle any more: only those who wait for them know them."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: a key for each field."""
        return {
            **self._asdict(),
            "resources": [one.as_dict() for one in self.resources],
            "threads": [one.as_dict() for one in self.threads],
            "loops": [one.as_dict() for one in self.loops],
            "primitives": [one.as_dict() for one in self.primitives],
            "stranded": list(self.stranded),
        }


def active_resources(*, limit: int = LIMIT) -> list[ActiveResource]:
    """Every resource of this process that is open now, the oldest first.

    May be called in any thread, also while a loop is blocked, and keeps nothing alive.  Of more
    than `limit` there are those that become spans rather than callbacks and futures, and of those
    the oldest.  Without an attached agent, what hooks alone know: tasks that have run since, and
    what loops hold, without times and places of creation.

    Names alone, as `process.getActiveResourcesInfo()` gives them:
    `[resource.type for resource in whence.active_resources()]`.
    """
    return take(limit=limit).resources


def take(*, limit: int = LIMIT, deep: bool = False) -> Snapshot:
    """The whole table.

    `deep`: also the locks and queues that tasks wait for, and the futures that nothing can settle,
    for which the heap is searched: that may hold the program for some 100 ms."""
    if limit < 0:
        raise ValueError(f"expected a limit of 0 or more, not {limit!r}")
    found = Found()
    try:
        return _Look(found, limit).snapshot(deep)
    finally:
        found.let_go()


class _Look:
    """One look at everything."""

    def __init__(self, found: Found, limit: int) -> None:
        self.now = clock()
        self.pace = Pace()
        self.limit = limit
        self.found = found
        self.tasks: dict[int, Any] = {}
        self.handles: dict[int, Any] = {}
        alive = sys._current_frames().keys()
        self.executing = {
            state.current.async_id: thread_id
            for thread_id, state in list(threads.items())
            if state.current.async_id > 1 and thread_id in alive
        }
        self.edges: Awaiting = awaiting(found, self.pace)
        self.sites: dict[tuple[Any, int], Site | None] = {}
        self.chains: dict[int, tuple[Hop, ...]] = {}

    def snapshot(self, deep: bool) -> Snapshot:
        unrecorded = self._look_at_tasks()
        for handle, lifetime in self.found.handles:
            self.handles[lifetime.async_id] = handle
            if not lifetime.created and lifetime.open:
                unrecorded.setdefault(lifetime.async_id, lifetime)
        recorded: list[Lifetime] = list(open_lifetimes.values())
        everything = recorded + list(unrecorded.values())
        chosen = self._choose(everything)
        resources = []
        for lifetime in chosen:
            resources.append(self._resource(lifetime))
            self.pace.breathe()
        counts = {row.name: n for row in known_types() if (n := row.created - row.destroyed) > 0}
        for lifetime in unrecorded.values():
            counts[lifetime.type.name] = counts.get(lifetime.type.name, 0) + 1
        return Snapshot(
            resources,
            left_out=len(everything) - len(chosen),
            counts=counts,
            pid=os.getpid(),
            at=time.time(),
            threads=threads_now(),
            loops=loops_now(self.found.loops, self.found.tasks),
            primitives=self._primitives() if deep else [],
            stranded=self._stranded() if deep else (),
        )

    def _primitives(self) -> list[Primitive]:
        known = Primitives()
        for async_id, task in self.tasks.items():
            known.look(async_id, chain(task.get_coro()))
            self.pace.breathe()
        return known.found()

    def _stranded(self) -> tuple[int, ...]:
        """Of futures that are awaited, and of which nobody is known to settle them."""
        futures: dict[int, Any] = {}
        waiting: dict[int, set[int]] = {}
        for task in self.tasks.values():
            future = getattr(task, "_fut_waiter", None)
            lifetime = None if future is None else lifetime_of(future)
            if lifetime is not None and lifetime.type is FUTURE:
                async_id = lifetime.async_id
                if not self.edges.awaits.get(async_id):
                    futures[async_id] = future
                    waiters = waiting.setdefault(async_id, set())
                    waiters.update((id(task), *map(id, chain(task.get_coro()))))
            self.pace.breathe()
        future = task = None
        ids, objects = list(futures), list(futures.values())
        futures.clear()
        answers = stranded(objects, [waiting[one] for one in ids])
        return tuple(one for one, answer in zip(ids, answers, strict=True) if answer)

    def _look_at_tasks(self) -> dict[int, Lifetime]:
        """What every task awaits; the lifetimes of those that are not recorded."""
        unrecorded = {}
        for task in self.found.tasks:
            lifetime = lifetime_of(task)
            if lifetime is not None:
                self.tasks[lifetime.async_id] = task
                self.edges.look(task, lifetime.async_id)
                if not lifetime.created and lifetime.open:
                    unrecorded[lifetime.async_id] = lifetime
            self.pace.breathe()
        return unrecorded

    def _choose(self, everything: list[Lifetime]) -> list[Lifetime]:
        if len(everything) <= self.limit:
            chosen = everything
        else:
            lasting = [one for one in everything if not one.type.transparent]
            steps = [one for one in everything if one.type.transparent]
            chosen = (lasting + steps)[: self.limit]
        return sorted(chosen, key=lambda one: one.async_id)

    def _resource(self, lifetime: Lifetime) -> ActiveResource:
        async_id = lifetime.async_id
        task = self.tasks.get(async_id)
        suspended = [] if task is None else chain(task.get_coro())
        stack, thread = self._stack(lifetime, suspended)
        state = self._state(lifetime, task)
        name, calls = getattr(lifetime, "name", None), None
        if async_id in self.handles:
            # It imports asyncio, which who has handles has imported.
            from ..engine.scheduled import callback_name

            callback, _ = scheduled(self.handles[async_id])
            name = name or callback_name(callback)
            calls = _definition(callback)
        return ActiveResource(
            async_id,
            lifetime.type.name,
            span_name(lifetime.type.name, name),
            state,
            lifetime.trigger_async_id,
            task_name=None if task is None else _task_name(task),
            **self._times(lifetime, state),
            site=self._site(lifetime),
            at=stack.site or calls,
            stack=sites_of(stack),
            waits_for=called_at(stack, suspended) if suspended else None,
            awaits=tuple(self.edges.awaits.get(async_id, ())),
            awaited_by=tuple(self.edges.awaited_by.get(async_id, ())),
            trigger_chain=self._chain(lifetime),
            thread=thread,
            details=dict(getattr(lifetime, "attributes", None) or {}),
        )

    def _stack(self, lifetime: Lifetime, suspended: list[Any]) -> tuple[Stack, int | None]:
        thread = self.executing.get(lifetime.async_id)
        made_in = getattr(lifetime, "thread_id", None)
        if thread is not None:
            held = look(thread) if threads[thread].entered else None
            return held or stack_of_thread(thread), thread
        return stack_of(suspended), made_in

    def _state(self, lifetime: Lifetime, task: Any) -> str:
        if lifetime.async_id in self.executing or getattr(lifetime, "resource", None) is not None:
            return RUNNING
        row = lifetime.type
        if row is TASK:
            return READY if task is not None and _is_ready(task) else WAITING
        if row is TIMER_HANDLE:
            due = getattr(lifetime, "scheduled", None)
            return READY if due is not None and due <= self.now else WAITING
        if row is FUTURE:
            return PENDING
        steps = lifetime.steps if isinstance(lifetime, RecordedLifetime) else 0
        if row.once or (row.queue is not None and not steps):
            return READY
        return OPEN

    def _times(self, lifetime: Lifetime, state: str) -> dict[str, Any]:
        if not isinstance(lifetime, RecordedLifetime):
            return {}
        now = self.now
        age = max(0, now - lifetime.created)
        run, ready, in_state = lifetime.run, lifetime.ready, age
        entered: int = getattr(lifetime, "entered", 0)
        if state is RUNNING and entered:
            in_state = max(0, now - entered)
            run += in_state
        elif state is READY:
            in_state = max(0, now - lifetime.scheduled)
            ready += in_state
        elif lifetime.type is TASK:
            in_state = max(0, now - lifetime.scheduled)
        times: dict[str, Any] = {
            "age": age / 1e9,
            "run": run / 1e9,
            "ready": ready / 1e9,
            "wait": max(0, age - run - ready) / 1e9,
            "steps": lifetime.steps,
            "in_state": in_state / 1e9,
        }
        if lifetime.type is TIMER_HANDLE and lifetime.scheduled < sys.maxsize:
            times["due"] = (lifetime.scheduled - now) / 1e9
        return times

    def _site(self, lifetime: Lifetime) -> Site | None:
        if not isinstance(lifetime, RecordedLifetime):
            return None
        return self._place(lifetime.code, lifetime.lasti)

    def _place(self, code: Any, lasti: int) -> Site | None:
        key = code, lasti
        if key not in self.sites:
            self.sites[key] = site(code, lasti)
        return self.sites[key]

    def _chain(self, lifetime: Lifetime) -> tuple[Hop, ...]:
        cause: Cause | None = lifetime.cause
        if cause is None:
            return ()
        known = self.chains.get(id(cause))
        if known is None:
            known = self.chains[id(cause)] = tuple(
                Hop(
                    one.async_id,
                    one.type.name,
                    span_name(one.type.name, one.name),
                    self._place(one.code, one.lasti),
                    one.repeats,
                )
                for one in cause.chain()
            )
        return known


def _definition(callback: Any) -> Site | None:
    """Where a function of Python is written."""
    function = getattr(callback, "func", callback)
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if type(code) is not CodeType:
        return None
    return Site(code.co_filename, code.co_firstlineno, code.co_qualname)


def _is_ready(task: Any) -> bool:
    return getattr(task, "_fut_waiter", None) is None


def _task_name(task: Any) -> str | None:
    try:
        name = task.get_name()
    except Exception:
        return None
    return name if isinstance(name, str) else None
