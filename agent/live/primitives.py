"""Locks, queues, events and the like that tasks wait for, and who holds them.

A task that waits for one is inside a method of it (`Queue.get`), whose coroutine refers to it.  A
task that holds one by `async with` keeps its `__aexit__` for later, on the stack of the coroutine.
"""

from gc import get_referents
from types import BuiltinMethodType, MethodType
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
        held: list[Any] = []
        for one in suspended:
            inside = _method_of_primitive(one)
            if inside is not None:
                waited_for = waited_for or inside
                if one.cr_code.co_name in _TAKES_OR_GIVES_UP:
                    # `async with` notes what it will call at its end before it begins.
                    _take_off(held, inside)
            else:
                for referent in get_referents(one):
                    held += _held_by(referent)
        for primitive in held:
            self._known[id(primitive)] = primitive
            self._holders.setdefault(id(primitive), []).append(task_id)
        if waited_for is not None:
            self._known[id(waited_for)] = waited_for
            self._waiters.setdefault(id(waited_for), []).append(task_id)

    def found(self) -> list[Primitive]:
        """Those that somebody waits for."""
        return [
            Primitive(
                type(self._known[key]).__name__,
                _condition(self._known[key]),
                tuple(waiters),
                tuple(dict.fromkeys(self._holders.get(key, ()))),
            )
            for key, waiters in self._waiters.items()
        ]


def _is_primitive(one: Any) -> bool:
    return any(owner.__module__ in _MODULES for owner in type(one).__mro__)


def _method_of_primitive(suspended: Any) -> Any:
    """The primitive of whose own methods this coroutine is one."""
    code = getattr(suspended, "cr_code", None)
    if code is None:
        return None
    owner = code.co_qualname.rpartition(".")[0]
    for referent in get_referents(suspended):
        for one in type(referent).__mro__:
            if one.__name__ == owner and one.__module__ in _MODULES:
                return referent
    return None


_TAKES_OR_GIVES_UP = frozenset({"__aenter__", "wait"})
"""Methods in which a task does not hold what it is, or has been, inside of `async with`."""


def _take_off(held: list[Any], primitive: Any) -> None:
    for one in (primitive, getattr(primitive, "_lock", None)):
        for index in range(len(held) - 1, -1, -1):
            if held[index] is one:
                del held[index]
                break


def _held_by(referent: Any) -> list[Any]:
    """A condition is held with its lock."""
    if type(referent) in (MethodType, BuiltinMethodType):
        owner = referent.__self__
        if referent.__name__ == "__aexit__" and _is_primitive(owner):
            lock = getattr(owner, "_lock", None)
            return [owner] if lock is None else [owner, lock]
    return []


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
