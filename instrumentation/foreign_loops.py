"""Loops of classes that nobody here knows: told apart, and named once if they are not seen.

A loop that leaves its callbacks to asyncio's classes, or to another's that is instrumented, is seen
like those.  One that makes its handles itself is not: it is left alone, and the program reads one
line that names the class.  Which of the two it is shows the first handle that it gives.
"""

import asyncio
from asyncio import base_events, events
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from whence.report import warn

from .patching import Patches, is_patched, looks_like

IMPOSSIBLE: dict[str, str] = {}
"""What runs on the loops that are not seen; known once they have run."""

_looked_at: WeakSet[type] = WeakSet()


def install(patches: Patches) -> None:
    """See which loops run, for which all but a few call this function, and which are made."""

    def make(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
        _look_once(patches, type(loop))
        wrapped(*args, **kwargs)

    patches.wrap(base_events.BaseEventLoop, "__init__", make)
    for module in (asyncio, events):
        original = module._set_running_loop
        patches.replace(module, "_set_running_loop", _looking(patches, original))


def _looking(patches: Patches, original: Callable[..., None]) -> Callable[..., None]:
    @looks_like(original)
    def _set_running_loop(*args: Any) -> None:
        if args and args[0] is not None:
            _look_once(patches, type(args[0]))
        original(*args)

    return _set_running_loop


def _look_once(patches: Patches, kind: Any) -> None:
    if kind in _looked_at:
        return
    _looked_at.add(kind)
    stock = asyncio.BaseEventLoop.call_soon
    call_soon = getattr(kind, "call_soon", None)
    if call_soon is stock or any(is_patched(vars(c).get("call_soon")) for c in kind.__mro__):
        return
    asking = Patches()

    def see(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
        asking.undo()
        handle = wrapped(*args, **kwargs)
        if not hasattr(type(handle), "_lifetime"):
            _not_seen(kind, f"makes its handles itself ({_name(type(handle))})")
        return handle

    asking.wrap(kind, "call_soon", see)
    if asking.skipped:
        _not_seen(kind, "is of a class that takes no patch")
    patches.on_undo(asking.undo)


def _not_seen(kind: type, why: str) -> None:
    IMPOSSIBLE[f"callbacks, timers and tasks on {_name(kind)}"] = f"the loop {why}"
    warn(f"the event loop {_name(kind)} {why}: what runs on it is not traced, and runs as ever")


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
