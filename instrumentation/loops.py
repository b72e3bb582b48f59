"""What a loop does to resources as a whole: closing with work left, and reporting errors.

A loop or stream that is dropped closes itself in its finalizer, and what ends there is told later.
"""

from asyncio import base_events, selector_events, streams
from collections import deque
from collections.abc import Iterable
from selectors import BaseSelector
from typing import Any

from whence.engine import CANCELLED, Lifetime, end, failed, local

from .patching import Patches


def install(patches: Patches) -> None:
    """See loops close, and callbacks fail."""
    patches.wrap(base_events.BaseEventLoop, "close", _close)
    patches.wrap(selector_events.BaseSelectorEventLoop, "close", _close_selector)
    patches.wrap(base_events.BaseEventLoop, "call_exception_handler", _call_exception_handler)
    patches.wrap(base_events.BaseEventLoop, "__del__", _finalize)
    patches.wrap(streams.StreamWriter, "__del__", _finalize)


def _finalize(wrapped: Any, instance: Any, args: Any, kwargs: Any, local: Any = local) -> None:
    # `local` is an argument: at the interpreter's end the names of modules are None.
    state = local.state
    outer, state.finalizing = state.finalizing, True
    try:
        wrapped(*args, **kwargs)
    finally:
        state.finalizing = outer


def _close(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
    left = (*_held(loop, "_ready", deque), *_held(loop, "_scheduled", list))
    wrapped(*args, **kwargs)
    if loop.is_closed():
        _end(left)


def _close_selector(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
    left = _registered(getattr(loop, "_selector", None))
    wrapped(*args, **kwargs)
    if loop.is_closed():
        _end(left)


def _held(loop: Any, name: str, kind: type) -> Iterable[Any]:
    """A loop of another's making may keep its handles in something else."""
    held = getattr(loop, name, ())
    return held if issubclass(type(held), kind) else ()


def _registered(selector: object) -> tuple[Any, ...]:
    """Readers and writers that close() drops without removing them."""
    if not issubclass(type(selector), BaseSelector):
        # A test's stand-in: asking it would be a call that the test sees.
        return ()
    keys = (selector.get_map() or {}).values()  # type: ignore[attr-defined]
    return tuple(handle for key in keys if type(key.data) is tuple for handle in key.data)


def _end(handles: Iterable[Any]) -> None:
    state = local.state
    for handle in handles:
        lifetime: Any = getattr(handle, "_lifetime", None)
        if issubclass(type(lifetime), Lifetime) and handle._task is None:
            end(state, lifetime, CANCELLED)


def _call_exception_handler(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
    context = args[0] if args else kwargs.get("context")
    if isinstance(context, dict):
        lifetime: Any = getattr(context.get("handle"), "_lifetime", None)
        error = context.get("exception")
        if issubclass(type(lifetime), Lifetime) and isinstance(error, BaseException):
            failed(lifetime, error)
    wrapped(*args, **kwargs)
