"""Readers, writers and signal handlers of uvloop."""

import sys
from asyncio import iscoroutine
from gc import get_referrers
from inspect import iscoroutinefunction
from typing import Any

import uvloop

from whence.engine import CANCELLED, CLOSED, end, local
from whence.engine.callbacks import Callback
from whence.engine.resource_types import READER, SIGNAL_HANDLE, WRITER, ResourceType
from whence.engine.scheduling import bracket, follow, leave_out_ours

from .patching import Patches, Wrapper
from .uvloop_leftovers import left_on
from .uvloop_sealed import sealed

IMPOSSIBLE = {
    "readers and writers of `sock_recv`, `sock_sendall`, `sock_accept` and `sock_connect`": (
        "the loop polls the socket in C; the tasks that wait are seen"
    ),
}


def install(patches: Patches) -> None:
    """See them being added, replaced and removed."""
    for kind, row in (("reader", READER), ("writer", WRITER)):
        patches.wrap(uvloop.Loop, f"add_{kind}", _adding(row, f"{kind}s"))
        patches.wrap(uvloop.Loop, f"remove_{kind}", _removing(f"{kind}s"))
    patches.wrap(uvloop.Loop, "add_signal_handler", _add_signal_handler)
    patches.wrap(uvloop.Loop, "remove_signal_handler", _remove_signal_handler)


def _adding(row: ResourceType, kind: str) -> Wrapper:
    def add(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
        given = _in_order(("fileobj", "callback"), args, kwargs)
        if given is None or local.state.muted:
            wrapped(*args, **kwargs)
            return
        file, callback, *rest = given
        watching = bracket(callback, tuple(rest))
        wrapped(file, watching)
        if loop.get_debug():
            _leave_out_ours(watching)
        watched, descriptor = getattr(left_on(loop), kind), _descriptor(file)
        replaced = watched.get(descriptor)
        watched[descriptor] = follow(watching, row)
        if replaced is not None:
            end(local.state, replaced, CANCELLED)

    return add


def _removing(kind: str) -> Wrapper:
    def remove(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        file = args[0] if args else kwargs["fileobj"]
        removed = getattr(left_on(loop), kind).pop(_descriptor(file), None)
        if removed is not None:
            end(local.state, removed, CANCELLED)
        return result

    return remove


def _in_order(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...] | None:
    """The arguments, the named ones by position; None if the loop is going to refuse them."""
    named = names[len(args) :]
    if set(named) != set(kwargs):
        return None
    return (*args, *(kwargs[name] for name in named))


def _leave_out_ours(watching: Callback) -> None:
    """Where it was added: noted by its handle, which the loop gives to nobody."""
    for referrer in get_referrers(watching):
        if type(referrer) is sealed.Handle:
            leave_out_ours(referrer._source_traceback, sys._getframe(1))


def _descriptor(file: Any) -> int:
    return file if isinstance(file, int) else int(file.fileno())


def _add_signal_handler(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> None:
    given = _in_order(("sig", "callback"), args, kwargs)
    if given is None or _is_refused(given[1]) or local.state.muted:
        wrapped(*args, **kwargs)
        return
    sig, callback, *rest = given
    handling = bracket(callback, tuple(rest))
    wrapped(sig, handling)
    if loop.get_debug():
        _leave_out_ours(handling)
    signals = left_on(loop).signals
    replaced = signals.get(sig)
    signals[sig] = follow(handling, SIGNAL_HANDLE)
    if replaced is not None:
        end(local.state, replaced, CLOSED)


def _is_refused(callback: Any) -> bool:
    """The loop looks at the callback itself."""
    return iscoroutine(callback) or iscoroutinefunction(callback)


def _remove_signal_handler(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    removed = wrapped(*args, **kwargs)
    if removed:
        sig = args[0] if args else kwargs["sig"]
        handler = left_on(loop).signals.pop(sig, None)
        if handler is not None:
            end(local.state, handler, CLOSED)
    return removed
