"""Who awaits whom, as far as asyncio's own objects tell.

A task refers to the future that it awaits.  A future does not know who will settle it, but its
settler often shows: a task or future has a done callback of asyncio's that settles another (gather,
shield, wait, a task group); a timer or callback is scheduled with a future that it settles (sleep);
a job of a pool has a future of the pool's, whose done callback settles the one of the loop.
"""

from functools import partial
from gc import get_referents
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType
from typing import Any

from ..engine.sites import PLUMBING, whose
from .finding import lifetime_of

MAX_CALLBACKS = 1000
"""Done callbacks of one future that are looked at."""

_BACKWARDS = frozenset({"_outer_done_callback", "_call_check_cancel"})
"""asyncio's callbacks that an outer future has for the sake of an inner one."""

_WAKEUPS = frozenset({"task_wakeup", "_Task__wakeup"})

_CONTAINERS = (CellType, tuple, list, set, dict)


class Awaiting:
    """The edges between what awaits and what is awaited, by id."""

    def __init__(self) -> None:
        self._awaits: _Edges = {}
        self._awaited_by: _Edges = {}
        self._seen: set[int] = set()

    def awaits(self, async_id: int) -> tuple[int, ...]:
        """What it awaits, or what will settle it."""
        return _ends(self._awaits, async_id)

    def awaited_by(self, async_id: int) -> tuple[int, ...]:
        """Who awaits it."""
        return _ends(self._awaited_by, async_id)

    def look(self, task: Any, task_id: int) -> None:
        """Follow what a task awaits, and who awaits it."""
        self._look_at_callbacks(task, task_id)
        awaited = getattr(task, "_fut_waiter", None)
        if awaited is not None:
            awaited_id = self._add(task_id, awaited)
            if awaited_id is not None:
                self._look_at_callbacks(awaited, awaited_id)

    def look_at_handle(self, handle: Any, handle_id: int) -> None:
        """Find the futures that a callback or timer of the loop will settle."""
        callback, args = scheduled(handle)
        for settled in _settled_by(callback, args):
            self._add_settler(settled, handle_id)

    def look_at_job(self, job: Any, job_id: int) -> None:
        """Find the futures that a job of a pool will settle."""
        future = getattr(job, "future", None)
        future = getattr(future, "_future", future)
        for callback in list(getattr(future, "_done_callbacks", ()) or ())[:MAX_CALLBACKS]:
            for settled in _settled_by(callback, ()):
                self._add_settler(settled, job_id)

    def _look_at_callbacks(self, future: Any, future_id: int) -> None:
        if future_id in self._seen:
            return
        self._seen.add(future_id)
        callbacks = getattr(future, "_callbacks", None)
        for callback, _ in list(callbacks or ())[:MAX_CALLBACKS]:
            for settled in _settled_by(callback, ()):
                self._add_settler(settled, future_id)

    def _add_settler(self, future: Any, settler_id: int) -> None:
        lifetime = lifetime_of(future)
        if lifetime is not None and lifetime.async_id != settler_id:
            self._join(lifetime.async_id, settler_id)
            self._look_at_callbacks(future, lifetime.async_id)

    def _add(self, waiter_id: int, awaited: Any) -> int | None:
        lifetime = lifetime_of(awaited)
        if lifetime is None:
            return None
        self._join(waiter_id, lifetime.async_id)
        return lifetime.async_id

    def _join(self, waiter: int, awaited: int) -> None:
        _add_end(self._awaits, waiter, awaited)
        _add_end(self._awaited_by, awaited, waiter)


_Edges = dict[int, int | dict[int, None]]
"""Id -> the other end, or the other ends in order.  Most have one, and there are many: objects that
hold others, made by the hundred thousand, would have the collector look through the whole heap."""


def _add_end(edges: _Edges, start: int, end: int) -> None:
    known = edges.get(start)
    if known is None:
        edges[start] = end
    elif isinstance(known, dict):
        known[end] = None
    elif known != end:
        edges[start] = {known: None, end: None}


def _ends(edges: _Edges, start: int) -> tuple[int, ...]:
    known = edges.get(start)
    if known is None:
        return ()
    return (known,) if isinstance(known, int) else tuple(known)


def scheduled(handle: Any) -> tuple[Any, Any]:
    """What a loop was given to call: of asyncio's handle, or of what stands in one of uvloop's."""
    for inner in (handle, *get_referents(handle)):
        callback = getattr(inner, "_callback", None) or getattr(inner, "callback", None)
        if callback is not None:
            args = getattr(inner, "_args", None) or getattr(inner, "args", None)
            return callback, args if type(args) is tuple else ()
    return None, ()


def _settled_by(callback: Any, args: tuple[Any, ...]) -> list[Any]:
    """The futures that a callback settles when it is called.

    Of a callback of asyncio's own they are what it refers to; of the program's nobody knows, but
    for a method of the future itself."""
    if type(callback) is partial:
        callback, args = callback.func, (*callback.args, *args)
    if type(callback) is BuiltinFunctionType or type(callback) is MethodType:
        owner = callback.__self__
        if callback.__name__ in _WAKEUPS:
            return []
        if _is_future(owner):
            return [owner]
        function = getattr(callback, "__func__", None)
        inside: Any = (getattr(owner, "_on_completed_fut", None), *args)
    else:
        function = callback
        inside = (getattr(callback, "__closure__", None), *args)
    code: CodeType | None = getattr(function, "__code__", None)
    if type(function) is not FunctionType or code is None:
        return []
    if code.co_name in _BACKWARDS or whose(code.co_filename) is not PLUMBING:
        return []
    return _futures_in(inside)


def _futures_in(container: Any, depth: int = 3) -> list[Any]:
    found: list[Any] = []
    for one in get_referents(container) if depth else ():
        if _is_future(one):
            found.append(one)
        elif isinstance(one, _CONTAINERS):
            found += _futures_in(one, depth - 1)
    return found


def _is_future(one: Any) -> bool:
    return hasattr(type(one), "_asyncio_future_blocking") and lifetime_of(one) is not None
