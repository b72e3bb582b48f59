"""What a loop is given to run: what it is called, and what it is triggered by."""

from asyncio import futures
from functools import partial
from typing import Any

from .lifetimes import Lifetime, SpanLifetime
from .recorder import hide
from .resource_types import TIMER_HANDLE

_SLEEP = "_set_result_unless_cancelled"
"""The callback of the timer of `asyncio.sleep`."""

_FUTURES = (futures._PyFuture, futures.Future)  # type: ignore[attr-defined]
"""What may be settled.  By the type alone: an object of the program's is not to be asked."""


def settled_cause(future: Any) -> Lifetime | None:
    """The lifetime of a settled future or task: what its done callbacks are triggered by.

    Done callbacks are scheduled with a context, always, and the future as their one argument."""
    if not issubclass(type(future), _FUTURES) or not future.done():
        return None
    lifetime = getattr(future, "_lifetime", None)
    if lifetime is None:
        token = getattr(future, "_whence", None)
        lifetime = None if token is None else token.lifetime
    return lifetime


def callback_name(callback: Any) -> str:
    """What the program calls it."""
    if isinstance(callback, partial):
        callback = callback.func
    try:
        name = getattr(callback, "__qualname__", None)
    except Exception:
        # An object of the program's that has its own ideas of attributes.
        name = None
    return name if isinstance(name, str) else type(callback).__qualname__


def hide_unfired(lifetime: Lifetime) -> None:
    """Of what is cancelled, make a timer transparent: a timeout that did not come to pass.

    But not a sleep, which a task has waited for, nor what has spans already."""
    if (
        isinstance(lifetime, SpanLifetime)
        and lifetime.type is TIMER_HANDLE
        and lifetime.name != _SLEEP
        and not lifetime.keep
        and getattr(lifetime, "resource", None) is None
    ):
        hide(lifetime)
