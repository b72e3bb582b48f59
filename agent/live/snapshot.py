"""The live table: every resource that is open, and what each is doing, at this moment.

What whence has recorded says what there is; the program's own objects, found for the occasion, say
where tasks are suspended and who awaits whom.  Where nothing is recorded, with hooks alone, there
is what the objects show: tasks, and what loops hold.

A table may have a hundred thousand rows.  So rows are made one by one, for who does not keep them,
and the program runs in between: as objects all at once they would be so many that the collector
looks through the whole heap, which holds every loop.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from heapq import nsmallest
from typing import Any, NamedTuple

from ..engine import Lifetime, clock, open_lifetimes
from ..engine.resource_types import FUTURE, known_types
from .active_resource import ActiveResource
from .awaited import Awaiting
from .finding import Found, lifetime_of
from .loops import LoopNow, loops_now
from .pace import Pace
from .primitives import Primitive, Primitives
from .rows import Rows
from .stranded import MAX_FUTURES, stranded
from .suspended import chain
from .threads import ThreadNow, threads_now
from .wanted import LIMIT, Wanted, is_step, matches, rank


class Snapshot(NamedTuple):
    """The live table at one moment."""

    resources: list[ActiveResource]
    """The oldest first."""
    left_out: int
    """How many more there are of those that were asked for, beyond the limit."""
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
    with looking(Wanted(limit)) as look:
        return look.snapshot(list(look.rows()), deep=deep)


@contextmanager
def looking(wanted: Wanted) -> "Iterator[Look]":
    """A look at everything; the program's objects are held until it is over."""
    found = Found(Pace())
    try:
        yield Look(found, wanted)
    finally:
        found.let_go()


class Look:
    """One look at everything.  Its rows first, then the rest."""

    def __init__(self, found: Found, wanted: Wanted) -> None:
        now = clock()
        self._wanted = wanted
        self._pace = Pace()
        self._found = found
        self._tasks: dict[int, Any] = {}
        self._edges = Awaiting()
        handles: dict[int, Any] = {}
        self._unrecorded: dict[int, Lifetime] = {}
        self._look_at_tasks()
        for handle, lifetime in found.handles():
            handles[lifetime.async_id] = handle
            self._edges.look_at_handle(handle, lifetime.async_id)
            self._look_at(lifetime)
        for job, lifetime in found.jobs:
            self._edges.look_at_job(job, lifetime.async_id)
        self._rows = Rows(now, self._tasks, handles, self._edges)
        self._left_out = 0

    def rows(self) -> Iterator[ActiveResource]:
        """Those that are wanted, in the order that is."""
        for lifetime in self._chosen():
            yield self._rows.row(lifetime)
            self._pace.breathe()

    def snapshot(self, resources: list[ActiveResource], *, deep: bool = False) -> Snapshot:
        """The table with these rows, which may have gone elsewhere."""
        counts = {row.name: n for row in known_types() if (n := row.created - row.destroyed) > 0}
        for lifetime in self._unrecorded.values():
            counts[lifetime.type.name] = counts.get(lifetime.type.name, 0) + 1
        return Snapshot(
            resources,
            left_out=self._left_out,
            counts=counts,
            pid=os.getpid(),
            at=time.time(),
            threads=threads_now(),
            loops=loops_now(self._found.loops, self._found.tasks),
            primitives=self._primitives() if deep else [],
            stranded=self._stranded() if deep else (),
        )

    def _look_at_tasks(self) -> None:
        """What every task awaits."""
        for task in self._found.tasks:
            lifetime = lifetime_of(task)
            if lifetime is not None:
                self._tasks[lifetime.async_id] = task
                self._edges.look(task, lifetime.async_id)
                self._look_at(lifetime)
            self._pace.breathe()

    def _look_at(self, lifetime: Lifetime) -> None:
        if not lifetime.created and lifetime.open:
            self._unrecorded.setdefault(lifetime.async_id, lifetime)

    def _chosen(self) -> list[Lifetime]:
        everything: list[Lifetime] = list(open_lifetimes.values())
        everything += self._unrecorded.values()
        wanted = self._wanted
        if wanted.is_picky:
            everything = [one for one in self._slowly(everything) if self._is_wanted(one)]
        self._left_out = max(0, len(everything) - wanted.limit)
        if wanted.sort in ("id", "newest"):
            everything.sort(key=_id, reverse=wanted.sort == "newest")
            return everything[: wanted.limit]
        if wanted.sort:
            return nsmallest(wanted.limit, self._slowly(everything), key=self._rank)
        if self._left_out:
            lasting = [one for one in everything if not one.type.transparent]
            steps = [one for one in everything if one.type.transparent]
            everything = (lasting + steps)[: wanted.limit]
        return sorted(everything, key=_id)

    def _slowly(self, lifetimes: Iterable[Lifetime]) -> Iterator[Lifetime]:
        for one in lifetimes:
            yield one
            self._pace.breathe()

    def _is_wanted(self, lifetime: Lifetime) -> bool:
        wanted, type_name = self._wanted, lifetime.type.name
        if not matches(type_name, wanted.types):
            return False
        name = ""
        if wanted.names or not (wanted.steps or wanted.types):
            name = self._rows.name(lifetime)
        if not (wanted.steps or wanted.types) and is_step(type_name, name):
            return False
        if wanted.names and not matches(name, wanted.names):
            task_name = self._rows.task_name(lifetime)
            if not (task_name and matches(task_name, wanted.names)):
                return False
        return not wanted.states or matches(self._rows.state(lifetime), wanted.states)

    def _rank(self, lifetime: Lifetime) -> tuple[float | str, int]:
        key = self._wanted.sort
        state = self._rows.state(lifetime)
        value: float | str | None
        if key == "type":
            value = lifetime.type.name
        elif key == "name":
            value = self._rows.name(lifetime)
        elif key == "state":
            value = state
        else:
            value = self._rows.times(lifetime, state).get(key)
        return rank(key, lifetime.async_id, value, state)

    def _primitives(self) -> list[Primitive]:
        known = Primitives()
        for async_id, task in self._tasks.items():
            known.look(async_id, chain(task.get_coro()))
            self._pace.breathe()
        return known.found()

    def _stranded(self) -> tuple[int, ...]:
        """Of futures that are awaited, and of which nobody is known to settle them."""
        futures = self._unsettled()
        waiting: dict[int, set[int]] = {async_id: set() for async_id in futures}
        for task in self._tasks.values():
            future = getattr(task, "_fut_waiter", None)
            lifetime = None if future is None else lifetime_of(future)
            if lifetime is not None and lifetime.async_id in waiting:
                waiting[lifetime.async_id].update((id(task), *map(id, chain(task.get_coro()))))
            self._pace.breathe()
        future = task = None
        ids, objects = list(futures), list(futures.values())
        futures.clear()
        answers = stranded(objects, [waiting[one] for one in ids])
        return tuple(one for one, answer in zip(ids, answers, strict=True) if answer)

    def _unsettled(self) -> dict[int, Any]:
        """The oldest of them, as many as are looked at."""
        futures: dict[int, Any] = {}
        for task in self._tasks.values():
            future = getattr(task, "_fut_waiter", None)
            lifetime = None if future is None else lifetime_of(future)
            if lifetime is None or lifetime.type is not FUTURE:
                continue
            if not self._edges.awaits(lifetime.async_id):
                futures[lifetime.async_id] = future
            self._pace.breathe()
        oldest = sorted(futures)[:MAX_FUTURES]
        return {async_id: futures[async_id] for async_id in oldest}


def _id(lifetime: Lifetime) -> int:
    return lifetime.async_id
