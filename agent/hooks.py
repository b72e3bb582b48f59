"""create_hook() and AsyncHook: watch the lives of asynchronous resources.

A hook is five optional callables.  When each is called, and with what:

`init(async_id, type, trigger_async_id, resource)`
    A resource was created.  `execution_async_id()` is still its creator's; `trigger_async_id` says
    why it was created, which may be another's.  `resource` may be unfinished.
`before(async_id)`, `after(async_id)`
    Round each run of its callback: never for a future, once for a callback or timer, for every step
    of a task, any number of times for a connection.  `execution_async_id()` is `async_id` in both.
    `after` comes also when the callback is left by an exception.
`promise_resolve(async_id)`
    A future or task was settled: by a result, an exception or a cancellation.
`destroy(async_id)`
    The resource is gone: settled, fired, cancelled, closed; or collected, and then on a later turn
    of a loop and only if this hook was enabled when it was made.  Never twice.

They are called in the thread in which it happens, in the order in which hooks were enabled, and
must return soon.  What happens to one that raises: `set_hook_error_policy`.  One that creates
resources gets their events at once, inside; stopping the recursion is its own affair.

Semantics: Node's `async_hooks.createHook`; the document SEMANTICS, sections 2 to 4.
"""

from collections.abc import Mapping
from functools import partial
from types import MethodType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from . import engine, instrumenting
from .engine.dispatch import EVENTS, Callback

if TYPE_CHECKING:
    from typing import Self

_CO_COROUTINE = 0x80
_CO_ASYNC_GENERATOR = 0x200


instrumenting.connect()


class HookCallbacks(Protocol):
    """What may be given as one object; methods that it inherits count, others may be missing."""

    def init(self, async_id: int, type: str, trigger_async_id: int, resource: object, /) -> object:
        """A resource was created."""

    def before(self, async_id: int, /) -> object:
        """Its callback is about to run."""

    def after(self, async_id: int, /) -> object:
        """Its callback has run."""

    def destroy(self, async_id: int, /) -> object:
        """It is gone."""

    def promise_resolve(self, async_id: int, /) -> object:
        """It was settled."""


class AsyncHook:
    """A set of callbacks that can be switched on and off; made by `create_hook`."""

    __slots__ = (*EVENTS, "__weakref__")

    init: Callback | None
    before: Callback | None
    after: Callback | None
    destroy: Callback | None
    promise_resolve: Callback | None

    def __init__(self, callbacks: Mapping[str, Callback | None]) -> None:
        for event in EVENTS:
            setattr(self, event, callbacks.get(event))

    def enable(self) -> "Self":
        """Call the callbacks from now on; enabled twice is enabled once.

        From within a hook callback: from the end of the outermost event on (SEMANTICS 3)."""
        if any(getattr(self, event) is not None for event in EVENTS):
            engine.enable(self)
        return self

    def disable(self) -> "Self":
        """Call them no more; enabled again, it comes last."""
        engine.disable(self)
        return self

    def __enter__(self) -> "Self":
        return self.enable()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disable()


def create_hook(
    callbacks: Mapping[str, Callback | None] | object | None = None,
    /,
    *,
    init: Callback | None = None,
    before: Callback | None = None,
    after: Callback | None = None,
    destroy: Callback | None = None,
    promise_resolve: Callback | None = None,
) -> AsyncHook:
    """A hook, disabled at first.

    `callbacks` is a mapping with the names of events as keys, or an object with such methods;
    keywords override it.  Every callback is optional.  TypeError, naming the event, for one that is
    neither None nor callable, or that is a coroutine function.
    """
    chosen = _from_object(callbacks)
    keywords = (init, before, after, destroy, promise_resolve)
    chosen.update((e, c) for e, c in zip(EVENTS, keywords, strict=True) if c is not None)
    for event, callback in chosen.items():
        _check(event, callback)
    return AsyncHook(chosen)


def _from_object(callbacks: Any) -> dict[str, Any]:
    if isinstance(callbacks, Mapping):
        return {event: callbacks.get(event) for event in EVENTS}
    return {event: getattr(callbacks, event, None) for event in EVENTS}


def _check(event: str, callback: Any) -> None:
    if callback is None:
        return
    if not callable(callback):
        raise TypeError(f"{event} must be callable or None, not {callback!r}")
    if is_async(callback):
        kind = "a plain function, not the coroutine function"
        raise TypeError(f"{event} must be {kind} {callback!r}")


def is_async(callback: Any) -> bool:
    """Whether it is a coroutine function, as inspect would say.

    inspect itself is too heavy for every attached program."""
    function = callback.func if isinstance(callback, partial) else callback
    if not hasattr(function, "__code__") and not isinstance(function, MethodType):
        function = type(function).__call__
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    flags: int = getattr(code, "co_flags", 0)
    return bool(flags & (_CO_COROUTINE | _CO_ASYNC_GENERATOR))
