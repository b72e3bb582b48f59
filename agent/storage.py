"""AsyncLocalStorage: a value that follows what a piece of code starts.

All storages share one context variable, whose value is a mapping that is never changed, only
replaced: {key of a storage: its store}.  So a context captures every storage by value (SEMANTICS
10.9), any number of threads may run with the same capture, and a storage is referred to by no
context.  `disable()` gives the storage another key, which exits it everywhere at once.
"""

from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, cast

from .engine.dispatch import Callback

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

Stores = dict[object, Any]

_stores: ContextVar[Stores] = ContextVar("whence stores", default={})  # noqa: B039 - never changed
_MISSING = object()


def current_stores() -> Stores:
    """What all storages hold here; not to be changed."""
    return _stores.get()


def call_with(stores: Stores, fn: Callable[..., R], args: Any, kwargs: Any) -> R:
    """Call with these stores, and put back those of the caller."""
    token = _stores.set(stores)
    try:
        return fn(*args, **kwargs)
    finally:
        _stores.reset(token)


def _call_or_await_with(stores: Stores, fn: Callable[..., R], args: Any, kwargs: Any) -> R:
    result = call_with(stores, fn, args, kwargs)
    # By its type: to ask the object itself would run the code of any proxy.
    if issubclass(type(result), Coroutine):
        return cast(R, _StoredCoroutine(cast("Coroutine[Any, Any, Any]", result), stores))
    return result


class _StoredCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine that has stores of its own over all its awaits, whoever awaits it (10.5)."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], stores: Stores) -> None:
        self.__wrapped__ = coroutine
        self._whence_stores = stores

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        token = _stores.set(self._whence_stores)
        try:
            return step(*args)
        finally:
            self._whence_stores = _stores.get()
            _stores.reset(token)

    def send(self, value: Any) -> Any:
        return self._step(self.__wrapped__.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self.__wrapped__.throw, *error)

    def close(self) -> None:
        self._step(self.__wrapped__.close)

    def __await__(self) -> Generator[Any, Any, Any]:
        return cast("Generator[Any, Any, Any]", self)

    def __iter__(self) -> "_StoredCoroutine":
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)


class AsyncLocalStorage(Generic[T]):
    """Stores that stay with callbacks, timers, tasks, done callbacks and `to_thread` jobs.

    Works with no hook enabled, creates no resource and changes no id.  Any value is a store, None
    too.  A new `threading.Thread` starts with an empty context of its own.  (Node's
    AsyncLocalStorage; SEMANTICS 10.)
    """

    def __init__(self, *, default: T | None = None, name: str | None = None) -> None:
        self.name = name
        self._default = default
        self._key = object()

    def get_store(self) -> T | None:
        """The store in force here; the default outside of `run` and `enter_with`."""
        return cast("T | None", _stores.get().get(self._key, self._default))

    def run(self, store: T, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        """Call `fn` with this store; its result and exceptions pass.

        Of an async function the coroutine that is given back keeps the store over all its awaits,
        wherever it is awaited or made a task (SEMANTICS 10.5)."""
        return _call_or_await_with({**_stores.get(), self._key: store}, fn, args, kwargs)

    def exit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        """Call `fn`, and all that it starts, outside of any store: `get_store()` gives None."""
        return _call_or_await_with({**_stores.get(), self._key: None}, fn, args, kwargs)

    def enter_with(self, store: T) -> None:
        """Use this store for the rest of this step, callback or task, and for all that it starts;
        not beyond an enclosing `run`, `exit` or async scope."""
        _stores.set({**_stores.get(), self._key: store})

    def disable(self) -> None:
        """Leave every context: all show the default, until `run` or `enter_with` begins anew.
        Contexts captured before stay left."""
        self._key = object()

    @staticmethod
    def bind(fn: Callable[P, R]) -> Callable[P, R]:
        """`fn`, to be called with the stores that are in force now; TypeError if not callable."""
        if not callable(fn):
            raise TypeError(f"expected a callable to bind, not {fn!r}")
        stores = _stores.get()

        @wraps(fn)
        def bound(*args: P.args, **kwargs: P.kwargs) -> R:
            return _call_or_await_with(stores, fn, args, kwargs)

        return bound

    @staticmethod
    def snapshot() -> Callback:
        """A function that calls another with the stores that are in force now.  May be used any
        number of times, inside itself, and in several threads at once."""
        stores = _stores.get()

        def run_in_snapshot(fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
            return _call_or_await_with(stores, fn, args, kwargs)

        return run_in_snapshot
