"""One resource after the other, looked at in full: the rows of the live table.

Much is the same from row to row: ten thousand tasks are suspended at one line.  Such things are
made once for a look.
"""

import sys
from types import CodeType
from typing import Any, NamedTuple

from ..engine import Cause, Lifetime, RecordedLifetime, Site, site
from ..engine.execution import threads
from ..engine.resource_types import FUTURE, TASK, TIMER_HANDLE
from ..engine.stacks import Stack, look
from ..naming import span_name
from .active_resource import OPEN, PENDING, READY, RUNNING, WAITING, ActiveResource, Hop
from .awaited import Awaiting, scheduled
from .suspended import called_at, called_outside, chain, sites_of, stack_of
from .threads import stack_of_thread

_MAX_CHAINS = 1000
"""Chains of triggers that are remembered: each connection may have one of its own."""


class _Where(NamedTuple):
    """Where something is."""

    at: Site | None
    sites: tuple[Site, ...]
    waits_for: str | None


_NOWHERE = _Where(None, (), None)


class Rows:
    """Makes them, for one look."""

    def __init__(
        self, now: int, tasks: dict[int, Any], handles: dict[int, Any], edges: Awaiting
    ) -> None:
        self._now = now
        self._tasks = tasks
        self._handles = handles
        self._edges = edges
        alive = sys._current_frames().keys()
        self._executing = {
            state.current.async_id: thread_id
            for thread_id, state in list(threads.items())
            if state.current.async_id > 1 and thread_id in alive
        }
        self._sites: dict[tuple[int, int], Site | None] = {}
        self._wheres: dict[tuple[int, ...], _Where] = {}
        self._chains: dict[int, tuple[Cause, tuple[Hop, ...]]] = {}
        self._kept: list[Any] = []
        """Whose addresses are keys."""

    def row(self, lifetime: Lifetime) -> ActiveResource:
        """The row of a resource."""
        async_id = lifetime.async_id
        task = self._tasks.get(async_id)
        state = self.state(lifetime)
        where, thread = self._where(lifetime, task)
        at = where.at
        if at is None and async_id in self._handles:
            at = _definition(scheduled(self._handles[async_id])[0])
        return ActiveResource(
            async_id,
            lifetime.type.name,
            self.name(lifetime),
            state,
            lifetime.trigger_async_id,
            task_name=self.task_name(lifetime),
            **self.times(lifetime, state),
            site=self._site(lifetime),
            at=at,
            stack=where.sites,
            waits_for=where.waits_for,
            awaits=self._edges.awaits(async_id),
            awaited_by=self._edges.awaited_by(async_id),
            trigger_chain=self._chain(lifetime),
            thread=thread,
            details=dict(getattr(lifetime, "attributes", None) or {}),
        )

    def name(self, lifetime: Lifetime) -> str:
        """As its span is called."""
        name = getattr(lifetime, "name", None)
        if not name and lifetime.async_id in self._handles:
            # It imports asyncio, which who has handles has imported.
            from ..engine.scheduled import callback_name

            name = callback_name(scheduled(self._handles[lifetime.async_id])[0])
        return span_name(lifetime.type.name, name)

    def task_name(self, lifetime: Lifetime) -> str | None:
        """What the program calls a task."""
        task = self._tasks.get(lifetime.async_id)
        try:
            name = None if task is None else task.get_name()
        except Exception:
            # A task of the program's own making.
            return None
        return name if isinstance(name, str) else None

    def state(self, lifetime: Lifetime) -> str:
        """Its state."""
        if lifetime.async_id in self._executing or getattr(lifetime, "resource", None) is not None:
            return RUNNING
        row = lifetime.type
        if row is TASK:
            task = self._tasks.get(lifetime.async_id)
            return READY if task is not None and _is_ready(task) else WAITING
        if row is TIMER_HANDLE:
            due = getattr(lifetime, "scheduled", None)
            return READY if due is not None and due <= self._now else WAITING
        if row is FUTURE:
            return PENDING
        steps = lifetime.steps if isinstance(lifetime, RecordedLifetime) else 0
        if row.once or (row.queue is not None and not steps):
            return READY
        return OPEN

    def times(self, lifetime: Lifetime, state: str) -> dict[str, Any]:
        """Its times and steps, by the names of the fields; empty if they are not recorded."""
        if not isinstance(lifetime, RecordedLifetime):
            return {}
        now = self._now
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

    def _where(self, lifetime: Lifetime, task: Any) -> tuple[_Where, int | None]:
        thread = self._executing.get(lifetime.async_id)
        if thread is not None:
            held = look(thread) if threads[thread].entered else None
            return self._known(held or stack_of_thread(thread), []), thread
        made_in = getattr(lifetime, "thread_id", None)
        if task is None:
            return _NOWHERE, made_in
        suspended = chain(task.get_coro())
        return self._known(stack_of(suspended), suspended), made_in

    def _known(self, stack: Stack, suspended: list[Any]) -> _Where:
        key = tuple(part for code, line in stack.frames for part in (id(code), line))
        where = self._wheres.get(key)
        if where is None:
            self._kept.append(stack)
            at, calls = called_at(stack)
            where = self._wheres[key] = _Where(at, sites_of(stack), calls)
        if where.waits_for is None and suspended:
            return where._replace(waits_for=called_outside(suspended))
        return where if suspended else where._replace(waits_for=None)

    def _site(self, lifetime: Lifetime) -> Site | None:
        if not isinstance(lifetime, RecordedLifetime):
            return None
        return self._place(lifetime.code, lifetime.lasti)

    def _place(self, code: CodeType | None, lasti: int) -> Site | None:
        # Not by the code itself, of which a hash looks at all that is in it.
        key = id(code), lasti
        if key not in self._sites:
            self._kept.append(code)
            self._sites[key] = site(code, lasti)
        return self._sites[key]

    def _chain(self, lifetime: Lifetime) -> tuple[Hop, ...]:
        cause: Cause | None = lifetime.cause
        if cause is None:
            return ()
        known = self._chains.get(id(cause))
        if known is not None:
            return known[1]
        hops = tuple(
            Hop(
                one.async_id,
                one.type.name,
                span_name(one.type.name, one.name),
                self._place(one.code, one.lasti),
                one.repeats,
            )
            for one in cause.chain()
        )
        if len(self._chains) >= _MAX_CHAINS:
            self._chains.clear()
        self._chains[id(cause)] = cause, hops
        return hops


def _definition(callback: Any) -> Site | None:
    """Where a function of Python is written."""
    function = getattr(callback, "func", callback)
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if type(code) is not CodeType:
        return None
    return Site(code.co_filename, code.co_firstlineno, code.co_qualname)


def _is_ready(task: Any) -> bool:
    return getattr(task, "_fut_waiter", None) is None
