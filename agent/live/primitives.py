"""Locks, queues, events and the like that tasks wait for, and who holds them.

A task that waits for one is inside a method of it (`Queue.get`), whose coroutine refers to it.  A
task that holds one by `async with` keeps its `__aexit__` for later, on the stack of the coroutine.
"""

from gc import get_referents
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any, NamedTuple

_MODULES = frozenset({"asyncio.locks", "asyncio.queues"})


class Primitive(NamedTuple):
    """One of asyncio's synchronization objects, with tasks that wait for it."""

    type: str
    """The name of its class: "Lock", "Queue" ..."""
    condition: str
    """How it is: "locked", "empty", "full", "not set"; else what it says of itself."""
    waiters: tuple[int, ...]
    """Ids of the tasks that wait for it."""
    holders: tuple[int, ...]
    """Ids of the tasks that are inside its `async with`."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: a key for each field."""
        return {**self._asdict(), "waiters": list(self.waiters), "holders": list(self.holders)}


class Primitives:
    """Gathers them, from one task after the other."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}
        self._waiters: dict[int, list[int]] = {}
        self._holders: dict[int, list[int]] = {}

    def look(self, task_id: int, suspended: list[Any]) -> None:
        """See what a task waits for and what it holds; `suspended` is its chain of awaits."""
        waited_for = None
        for one in suspended:
            for referent in get_referents(one):
                if _is_primitive(referent):
                    if _is_inside(one, referent):
                        waited_for = referent
                        self._known[id(referent)] = referent
                else:
                    held = _held_by(referent)
                    if held is not None:
                        self._known[id(held)] = held
                        self._holders.setdefault(id(held), []).append(task_id)
        if waited_for is not None:
            self._waiters.setdefault(id(waited_for), []).append(task_id)

    def found(self) -> list[Primitive]:
        """Those that somebody waits for."""
        return [
            Primitive(
                type(self._known[key]).__name__,
                _condition(self._known[key]),
                tuple(waiters),
                tuple(
                    dict.fromkeys(one for one in self._holders.get(key, ()) if one not in waiters)
                ),
            )
            for key, waiters in self._waiters.items()
        ]


def _is_primitive(one: Any) -> bool:
    return any(owner.__module__ in _MODULES for owner in type(one).__mro__)


def _is_inside(suspended: Any, primitive: Any) -> bool:
    """Whether this coroutine is one of the primitive's own methods."""
    code = getattr(suspended, "cr_code", None)
    if code is None:
        return False
    owner = code.co_qualname.rpartition(".")[0]
    return any(
        one.__name__ == owner and one.__module__ in _MODULES for one in type(primitive).__mro__
    )


def _held_by(referent: Any) -> Any:
    if type(referent) in (MethodType, BuiltinMethodType, FunctionType):
        owner = getattr(referent, "__self__", None)
        if referent.__name__ == "__aexit__" and owner is not None and _is_primitive(owner):
            return owner
    return None


_CONDITIONS = (
    ("locked", "locked", "free"),
    ("is_set", "set", "not set"),
    ("empty", "empty", "full"),
)
"""A method -> how it is if that says yes, and no."""


def _condition(primitive: Any) -> str:
    for method, yes, no in _CONDITIONS:
        asked = getattr(primitive, method, None)
        if asked is not None:
            try:
                return yes if asked() else no
            except Exception:
                break
    return ""
