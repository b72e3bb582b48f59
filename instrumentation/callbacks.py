"""Callbacks, timers, readers, writers and signal handlers of asyncio's own loops."""

from asyncio import BaseEventLoop, events, selector_events
from collections.abc import Callable
from typing import Any

from whence.engine import CANCELLED, CLOSED, MakingHandle, end, local
from whence.engine.handles import LOOP_METHODS, Handle, TimerHandle
from whence.engine.resource_types import READER, SIGNAL_HANDLE, WRITER, ResourceType

from .patching import Patches, leave_traceback, looks_like

try:
    from asyncio import unix_events
except ImportError:  # Windows
    unix_events = None  # type: ignore[assignment]


def install(patches: Patches) -> None:
    """Have asyncio build handles that tell their lives."""
    patches.replace(events, "Handle", Handle)
    patches.replace(events, "TimerHandle", TimerHandle)
    for name, method in LOOP_METHODS.items():
        patches.replace(BaseEventLoop, name, method)
    loop: Any = selector_events.BaseSelectorEventLoop
    patches.replace(loop, "_add_reader", _registering(READER, loop._add_reader))
    patches.replace(loop, "_add_writer", _registering(WRITER, loop._add_writer))
    if unix_events is not None:
        loop = unix_events._UnixSelectorEventLoop
        add = _registering(SIGNAL_HANDLE, loop.add_signal_handler)
        patches.replace(loop, "add_signal_handler", add)
        patches.wrap(loop, "add_signal_handler", _changing_signals)
        patches.wrap(loop, "remove_signal_handler", _changing_signals)


def _registering(row: ResourceType, original: Callable[..., Any]) -> Callable[..., Any]:
    """The method, with the one Handle that it builds known to be of this type."""

    @looks_like(original)
    def register(*args: Any, **kwargs: Any) -> Any:
        state = local.state
        callback = args[2] if len(args) > 2 else kwargs.get("callback")
        outer, making = state.making, MakingHandle(row, callback)
        state.making = making
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            if making.made is not None:
                # Built before the descriptor or signal was refused, and never to be used.
                end(state, making.made._lifetime, CANCELLED)
            leave_traceback(error)
            raise
        finally:
            state.making = outer
            del args, kwargs, callback, making

    return register


def _changing_signals(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    """A handler that is replaced or removed is dropped without being cancelled."""
    before = dict(loop._signal_handlers)
    try:
        return wrapped(*args, **kwargs)
    finally:
        state = local.state
        for sig, handle in before.items():
            if loop._signal_handlers.get(sig) is not handle and hasattr(handle, "_lifetime"):
                end(state, handle._lifetime, CLOSED)
        del before
