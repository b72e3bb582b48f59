"""Callbacks, timers, readers, writers and signal handlers of asyncio's own loops."""

from asyncio import BaseEventLoop, events, selector_events
from collections.abc import Callable
from functools import partial
from typing import Any

from whence.engine import (
    CANCELLED,
    CLOSED,
    MakingHandle,
    asyncio_self_test,
    end,
    handle_classes,
    local,
    twin,
)
from whence.engine.resource_types import READER, SIGNAL_HANDLE, WRITER, ResourceType

from .patching import Patches, found, leave_traceback, looks_like

try:
    from asyncio import unix_events
except ImportError:  # Windows
    unix_events = None  # type: ignore[assignment]


def install(patches: Patches) -> None:
    """Have asyncio's handles tell their lives."""
    if twin.IN_C and not handle_classes.proven:
        _prove()
    see = _see_stock if handle_classes.keeps_stock else _stand_in
    see(patches)
    _see_what_is_registered(patches)


def _prove() -> None:
    """Try what is in C, and keep asyncio's own classes of handles if ours do not fit.

    Nothing is put in if those cannot be followed either: the program runs unseen."""
    if not handle_classes.keeps_stock and (why := _failure(_stand_in)):
        handle_classes.keep_stock(why)
    if handle_classes.keeps_stock and (why := _failure(_see_stock)):
        raise RuntimeError(why)
    handle_classes.proven = True


def _failure(see: Callable[[Patches], None]) -> str:
    """What is wrong with handles that are seen so, on one line; nothing if nothing is."""
    trial = Patches()
    try:
        see(trial)
        return asyncio_self_test.failure()
    except Exception as error:
        return twin.on_one_line(error)
    finally:
        trial.undo()


def _see_what_is_registered(patches: Patches) -> None:
    loop: Any = selector_events.BaseSelectorEventLoop
    for name, row in (("_add_reader", READER), ("_add_writer", WRITER)):
        patches.replace(loop, name, _registering(row, found(loop, name)))
    if unix_events is not None:
        loop = unix_events._UnixSelectorEventLoop
        add = _registering(SIGNAL_HANDLE, found(loop, "add_signal_handler"))
        patches.replace(loop, "add_signal_handler", add)
        patches.wrap(loop, "add_signal_handler", _changing_signals)
        patches.wrap(loop, "remove_signal_handler", _changing_signals)


def _stand_in(patches: Patches) -> None:
    from whence.engine.handles import LOOP_METHODS, REPLACED, Handle, TimerHandle

    patches.replace(events, "Handle", Handle)
    patches.replace(events, "TimerHandle", TimerHandle)
    for name, method in LOOP_METHODS.items():
        if found(BaseEventLoop, name) is REPLACED[name]:
            patches.replace(BaseEventLoop, name, method)


def _see_stock(patches: Patches) -> None:
    from whence.engine.stock_handles import METHODS, PROPERTIES

    for name, kept in PROPERTIES.items():
        setattr(events.Handle, name, kept)
        patches.on_undo(partial(delattr, events.Handle, name))
    for owner, name, make in METHODS:
        original = found(owner, name)
        patches.replace(owner, name, looks_like(original)(make(original)))


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
