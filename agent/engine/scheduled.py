"""What a loop is given to run: what it is called, and what it is triggered by."""

from asyncio import futures
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from . import twin
from .connected import is_of_connection
from .futures import Future
from .lifetimes import Lifetime, SpanLifetime
from .parents import make_root
from .recorder import hide
from .resource_types import TASK, TIMER_HANDLE
from .selected import is_left_out
from .tasks import token_of

_SLEEP = "_set_result_unless_cancelled"
"""The callback of the timer of `asyncio.sleep`."""

_get: Any = object.__getattribute__

_FUTURES = (futures._PyFuture, futures.Future)  # type: ignore[attr-defined]
"""What may be settled.  By the type alone: an object of the program's is not to be asked."""


def settled_cause(future: Any) -> Lifetime | None:
    """The lifetime of a settled future or task: what its done callbacks are triggered by.

    Done callbacks are scheduled with a context, always, and the future as their one argument."""
    kind = type(future)
    if not issubclass(kind, _FUTURES) or not future.done():
        return None
    if kind is Future:
        return future._lifetime  # type: ignore[no-any-return]
    token = token_of(future)
    if token is not None:
        return token.lifetime
    try:
        return _get(future, "_lifetime")  # type: ignore[no-any-return]
    except AttributeError:
        return None


def callback_name(callback: Any) -> str:
    """What the program calls it."""
    # By the type: an object of the program's is not to be asked what class it would like to be of.
    if issubclass(type(callback), partial):
        callback = callback.func
    try:
        name = getattr(callback, "__qualname__", None)
    except Exception:
        # An object of the program's that has its own ideas of attributes.
        name = None
    return name if isinstance(name, str) else type(callback).__qualname__


def describe_timer(timer: Lifetime, trigger: Lifetime, callback: Any) -> None:
    """Name the span of a new timer, or make it transparent: one that no program asked for."""
    if not isinstance(timer, SpanLifetime):
        return
    is_function = type(callback) is FunctionType
    timer.name = callback.__qualname__ if is_function else callback_name(callback)
    # A timeout of a task that a library, or asyncio, made for itself.
    is_plumbing = (
        trigger.transparent and trigger.type is TASK and TASK.spans and not is_left_out(trigger)
    )
    if is_plumbing or (not is_function and is_of_connection(callback)):
        hide(timer)
    elif timer.parent is not None and timer.name != _SLEEP:
        _root_if_rearmed(timer, timer.parent)


def _root_if_rearmed(timer: SpanLifetime, ancestor: SpanLifetime | None) -> None:
    """One that its own callback arms again is a period, and no descent.

    The place tells so but for the first time, when another place has armed it (`parents.py`)."""
    while ancestor is not None:
        if ancestor.type is TIMER_HANDLE and ancestor.name == timer.name:
            make_root(timer)
            return
        ancestor = ancestor.parent


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


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import describe_timer, hide_unfired, know_futures, settled_cause

    know_futures(vars(Future)["_stands_for"], _FUTURES[0])
    twin.tell(
        callback_name=callback_name,
        is_left_out=is_left_out,
        is_of_connection=is_of_connection,
        make_root=make_root,
    )
