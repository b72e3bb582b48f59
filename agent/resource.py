"""AsyncResource: somebody's own asynchronous thing, with the events of any other."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from . import engine
from .engine.dispatch import interrupt, interrupts
from .engine.events import drain_between_turns
from .engine.resource_types import type_named
from .storage import call_with, current_stores

if TYPE_CHECKING:
    from typing import Self

P = ParamSpec("P")
R = TypeVar("R")


class AsyncResource:
    """A resource that a library handles itself: a pool's query, a queued job.

    Give it a type of your own, preferably with your package's name as a prefix.  `init` is called
    in the constructor, with the instance itself, which a subclass may not have finished.  It has an
    id and a place on the execution stack also when no hook is enabled.  Dropped without
    `emit_destroy`, it is destroyed when it is collected, unless `require_manual_destroy`.

    `trigger_async_id` is any id, known or not; by default that of whatever executes now.  TypeError
    for a type that is not a str or is empty, or a trigger that is not an int; ValueError for one
    below -1 or of 64 bits, which no id ever is.  (Node's AsyncResource; SEMANTICS 5.)
    """

    def __init__(
        self,
        type: str,
        *,
        trigger_async_id: int | None = None,
        require_manual_destroy: bool = False,
    ) -> None:
        if not isinstance(type, str):
            raise TypeError(f"expected the type as a str, not {type!r}")
        # A str of the program's own making stays out of the table of types.
        name = str.__str__(type)
        if not name:
            raise TypeError("expected the type as a str that is not empty, not ''")
        state = engine.local.state
        trigger = state.current if trigger_async_id is None else _lifetime_of(trigger_async_id)
        drain_between_turns(state)
        self._whence_stores = current_stores()
        self._whence_inside: list[None] = []
        lifetime = self._whence_lifetime = engine.born(state, type_named(name), trigger, 2)
        self._whence_token = None if require_manual_destroy else engine.Token(lifetime)
        engine.announce(state, lifetime, self)

    def async_id(self) -> int:
        """Its id, which never changes."""
        return self._whence_lifetime.async_id

    def trigger_async_id(self) -> int:
        """The id of what triggered it, as its `init` said."""
        return self._whence_lifetime.trigger_async_id

    def run_in_async_scope(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `fn` as this resource's callback: before, `fn`, after; result and exceptions pass.

        It runs with the AsyncLocalStorage stores of the resource's creation, and its `enter_with`
        does not leak out.  Of an async function it covers the call, not the coroutine.  Any number
        of times, inside itself, also after destroy."""
        state = engine.local.state
        lifetime, previous = self._whence_lifetime, state.current
        inside = self._whence_inside
        inside.append(None)
        try:
            engine.enter(state, lifetime, self)
            return call_with(self._whence_stores, fn, args, kwargs)
        finally:
            engine.leave(state, lifetime, previous)
            inside.pop()
            # Whoever comes last has the last word, also if other threads are coming and going.
            while lifetime.resource is not (executing := self if inside else None):
                lifetime.resource = executing
            if interrupts:
                interrupt()

    def emit_destroy(self) -> "Self":
        """Deliver destroy, now.  RuntimeError if it is not the first time."""
        if not self._whence_lifetime.open:
            raise RuntimeError(f"emit_destroy() called twice on the resource {self.async_id()}")
        state = engine.local.state
        drain_between_turns(state)
        engine.end(state, self._whence_lifetime, engine.CLOSED)
        return self

    def bind(self, fn: Callable[P, R], /) -> Callable[P, R]:
        """`fn`, to be called in this resource's scope; TypeError if it is not callable."""
        _check_callable(fn)

        @wraps(fn)
        def bound(*args: P.args, **kwargs: P.kwargs) -> R:
            return self.run_in_async_scope(fn, *args, **kwargs)

        return bound

    @staticmethod
    def bind_function(fn: Callable[P, R], type: str | None = None) -> Callable[P, R]:
        """`fn`, to be called in the scope of a new resource, by default of the function's name."""
        _check_callable(fn)
        name = type or getattr(fn, "__name__", "") or "bound-anonymous-fn"
        return AsyncResource(name).bind(fn)


def _check_callable(fn: Any) -> None:
    if not callable(fn):
        raise TypeError(f"expected a callable to bind, not {fn!r}")


def _lifetime_of(async_id: Any) -> engine.Lifetime:
    """The lifetime with this id, or one that only has it: any number may be a trigger."""
    if not isinstance(async_id, int):
        raise TypeError(f"expected trigger_async_id as an int, not {async_id!r}")
    async_id = int.__index__(async_id)
    if async_id < -1:
        raise ValueError(f"expected trigger_async_id to be -1 or more, not {async_id}")
    if async_id >= 1 << 63:
        raise ValueError(f"expected trigger_async_id to be less than 2**63, not {async_id}")
    known = engine.open_lifetimes.get(async_id)
    if known is not None:
        return known
    unknown = engine.Lifetime()
    unknown.async_id = async_id
    unknown.created = 0
    return unknown
