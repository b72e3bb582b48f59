"""Handles of asyncio's own classes, seen: what WHENCE_HANDLES=stock puts in place of their methods.

`type(handle)` is asyncio's, and so are its callback, its repr and what it refuses.  A handle has no
place for what is ours but its arguments: these become a tuple that knows whose they are.

What differs from handles of our classes: hooks can put no attribute on them, and of what is still
scheduled when the last hook goes nothing is told any more.
"""

from asyncio import events
from collections.abc import Callable
from contextvars import Context
from sys import maxsize
from typing import TYPE_CHECKING, Any

from . import twin
from .events import announce, born, end
from .execution import ThreadState, local
from .handles import Tracked, stock_time
from .lifetimes import CANCELLED, Lifetime
from .recorder import clock
from .resource_types import HANDLE, TIMER_HANDLE
from .scheduled import describe_timer, hide_unfired, settled_cause
from .sites import leave_traceback
from .tasks import C_STEP, TASK_OF, AnyTask, seen_first, token_of

Method = Callable[..., Any]

_Handle, _TimerHandle = events.Handle, events.TimerHandle


class Kept(tuple[Any, ...]):
    """The arguments of a callback; and the lifetime of its handle, or the task whose step it is."""

    lifetime: Any
    task: AnyTask | None


def _keep(handle: Any, lifetime: Lifetime, task: AnyTask | None = None) -> None:
    kept = Kept(handle._args)
    kept.lifetime = lifetime
    kept.task = task
    handle._args = kept


def _kept(handle: Any) -> Kept:
    """Raises AttributeError for a handle that is not followed, or no longer."""
    args = handle._args
    if type(args) is not Kept:
        raise AttributeError("this handle is not followed")
    return args


PROPERTIES: dict[str, property] = {
    "_lifetime": property(lambda handle: _kept(handle).lifetime),
    "_task": property(lambda handle: _kept(handle).task),
}
"""What handles of our classes have: name -> property to add to asyncio's Handle."""


def making_handles(original: Method) -> Method:
    """`Handle.__init__`, which that of timers calls as well."""

    def make_handle(
        self: Any, callback: Any, args: Any, loop: Any, context: Context | None = None
    ) -> None:
        try:
            original(self, callback, args, loop, context)
        except BaseException as error:
            leave_traceback(error)
            raise
        if type(args) is tuple and not isinstance(self, _TimerHandle):
            _handle_made(self, callback, args, context)

    return make_handle


def _handle_made(handle: Any, callback: Any, args: Any, context: Context | None) -> None:
    state = local.state
    row, trigger = HANDLE, state.current
    if context is not None:
        # Steps and done callbacks are scheduled with the context they belong to, always.
        task = _task_of(callback)
        if task is not None:
            _keep(handle, _step_scheduled(state, task), task)
            return
        if len(args) == 1:
            trigger = settled_cause(args[0]) or trigger
    elif state.making is not None and state.making.callback is callback:
        row = state.making.type
        state.making.made = handle
    lifetime = born(state, row, trigger, 3)
    _keep(handle, lifetime)
    announce(state, lifetime, handle)


def _task_of(callback: Any) -> AnyTask | None:
    kind = type(callback)
    if kind is C_STEP:
        return callback.__self__
    find_task = TASK_OF.get(kind)
    return None if find_task is None else find_task(callback)


def _step_scheduled(state: ThreadState, task: AnyTask) -> Lifetime:
    token = token_of(task)
    if token is None:
        return seen_first(state, task, 4)
    lifetime: Any = token.lifetime
    if lifetime.created:
        lifetime.scheduled = clock()
    return lifetime  # type: ignore[no-any-return]


def making_timers(original: Method) -> Method:
    """`TimerHandle.__init__`."""

    def make_timer(
        self: Any, when: Any, callback: Any, args: Any, loop: Any, context: Context | None = None
    ) -> None:
        try:
            original(self, when, callback, args, loop, context)
        except BaseException as error:
            leave_traceback(error)
            raise
        if type(args) is tuple:
            _timer_made(self, when, callback, loop)

    return make_timer


def _timer_made(timer: Any, when: Any, callback: Any, loop: Any) -> None:
    state = local.state
    trigger = state.current
    lifetime: Any = born(state, TIMER_HANDLE, trigger, 3)
    if lifetime.created:
        describe_timer(lifetime, trigger, callback)
        due = _due(lifetime.created, when, loop)
        if due > lifetime.created:
            lifetime.scheduled = due
    _keep(timer, lifetime)
    announce(state, lifetime, timer)


def _due(created: int, when: Any, loop: Any) -> int:
    """By the monotonic clock, of a loop that may have a time of its own."""
    try:
        if type(loop).time is stock_time:
            return int(when * 1e9)
        return created + int((when - loop.time()) * 1e9)
    except (ArithmeticError, TypeError, ValueError):
        return maxsize  # `sleep(inf)` never becomes ready


def running(original: Method) -> Method:
    """`Handle._run`, which timers have as well."""

    def _run(self: Any) -> None:
        try:
            if type(self._args) is Kept:
                Tracked._run(self)
            else:
                original(self)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del self

    return _run


def cancelling(original: Method) -> Method:
    """`Handle.cancel`, which that of timers calls as well."""

    def cancel(self: Any) -> None:
        kept = self._args
        original(self)
        if type(kept) is Kept and kept.task is None and kept.lifetime.open:
            # The task outlives the handle of its step.
            hide_unfired(kept.lifetime)
            end(local.state, kept.lifetime, CANCELLED)

    return cancel


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import know_kept, know_run, running

    know_kept(Kept)
    know_run(_Handle._run, None, None, False)

METHODS: tuple[tuple[type, str, Callable[[Method], Method]], ...] = (
    (_Handle, "__init__", making_handles),
    (_TimerHandle, "__init__", making_timers),
    (_Handle, "_run", running),
    (_Handle, "cancel", cancelling),
)
"""Class, name of the method, and what makes of it what stands in its place."""
