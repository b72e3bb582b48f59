"""Callbacks, timers, readers, writers and signal handlers of asyncio's own loops."""

from asyncio import events, selector_events
from collections.abc import Callable
from functools import wraps
from typing import Any

from whence.engine import CLOSED, MakingHandle, end, local
from whence.engine.handles import Handle, TimerHandle
from whence.engine.types import READER, SIGNAL_HANDLE, WRITER, ResourceType

from .patching import Patches, leave_traceback

try:
    from asyncio import unix_events
except ImportError:  # Windows
    unix_events = None  # type: ignore[assignment]


def install(patches: Patches) -> None:
    """Have asyncio build handles that tell their lives."""
    patches.replace(events, "Handle", Handle)
    patches.replace(events, "TimerHandle", TimerHandle)
    loop = selector_events.BaseSelectorEventLoop
    patches.replace(loop, "_add_reader", _registering(READER, loop._add_reader))  # type: ignore[attr-defined]
    patches.replace(loop, "_add_writer", _registering(WRITER, loop._add_writer))  # type: ignore[attr-defined]
    if unix_events is not None:
        loop = unix_events._UnixSelectorEventLoop  # type: ignore[attr-defined]
        register = _replacing_signal(_registering(SIGNAL_HANDLE, loop.add_signal_handler))
        patches.replace(loop, "add_signal_handler", register)
        patches.wrap(loop, "remove_signal_handler", _remove_signal_handler)


def _registering(row: ResourceType, original: Callable[..., Any]) -> Callable[..., Any]:
    """The method, with the one Handle that it builds known to be of this type."""

    @wraps(original)
    def register(self: Any, key: Any, callback: Any, *args: Any) -> Any:
        state = local.state
        outer, state.making = state.making, MakingHandle(row, callback)
        try:
            return original(self, key, callback, *args)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            state.making = outer

    return register


def _replacing_signal(original: Callable[..., Any]) -> Callable[..., Any]:
    """A handler that is replaced is dropped without being cancelled."""

    @wraps(original)
    def add_signal_handler(self: Any, sig: Any, callback: Any, *args: Any) -> Any:
        before = self._signal_handlers.get(sig)
        try:
            result = original(self, sig, callback, *args)
        except BaseException as error:
            leave_traceback(error)
            raise
        _end(before)
        return result

    return add_signal_handler


def _remove_signal_handler(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    before = dict(loop._signal_handlers)
    removed = wrapped(*args, **kwargs)
    for sig, handle in before.items():
        if sig not in loop._signal_handlers:
            _end(handle)
    return removed


def _end(handle: Any) -> None:
    lifetime = getattr(handle, "_lifetime", None)
    if lifetime is not None:
        end(local.state, lifetime, CLOSED)
