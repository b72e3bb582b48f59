"""What a loop does to resources as a whole: closing with work left, and reporting errors."""

from asyncio import base_events
from collections.abc import Iterator
from typing import Any

from whence.engine import CANCELLED, end, failed, local

from .patching import Patches


def install(patches: Patches) -> None:
    """See loops close, and callbacks fail."""
    for loop in _defining("close"):
        patches.wrap(loop, "close", _close)
    patches.wrap(base_events.BaseEventLoop, "call_exception_handler", _call_exception_handler)


def _defining(name: str) -> Iterator[type]:
    """The outermost classes of asyncio's own loops that define a method."""
    from asyncio import selector_events

    yield from (
        cls
        for cls in (base_events.BaseEventLoop, selector_events.BaseSelectorEventLoop)
        if name in vars(cls)
    )


def _close(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
    left = _handles_left(loop)
    wrapped(*args, **kwargs)
    if loop.is_closed():
        state = local.state
        for handle in left:
            if getattr(handle, "_task", None) is None:
                end(state, handle._lifetime, CANCELLED)


def _handles_left(loop: Any) -> list[Any]:
    """Handles that close() drops without cancelling them."""
    handles = [*getattr(loop, "_ready", ()), *getattr(loop, "_scheduled", ())]
    handles += getattr(loop, "_signal_handlers", {}).values()
    selector = getattr(loop, "_selector", None)
    for key in list((selector.get_map() or {}).values()) if selector is not None else ():
        handles += key.data if isinstance(key.data, tuple) else ()
    return [handle for handle in handles if hasattr(handle, "_lifetime")]


def _call_exception_handler(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
    context = args[0] if args else kwargs.get("context")
    if isinstance(context, dict):
        lifetime = getattr(context.get("handle"), "_lifetime", None)
        error = context.get("exception")
        if lifetime is not None and isinstance(error, BaseException):
            failed(lifetime, error)
    wrapped(*args, **kwargs)
