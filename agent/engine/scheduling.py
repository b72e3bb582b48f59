"""The methods that schedule on a loop whose handles are its own, with the callback bracketed.

The loop sees the call first: what it refuses has no events.
"""

from collections.abc import Callable
from contextvars import Context
from gc import get_referents
from sys import _getframe, maxsize
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import sites, twin
from .callbacks import Callback, Refused, Step
from .dispatch import emit_init, hook_failed, hooks_changed, listeners
from .events import create, end
from .execution import local, new_async_id
from .futures import Future
from .lifetimes import CANCELLED, Lifetime
from .recorder import begin, clock, recorder
from .resource_types import HANDLE, TIMER_HANDLE, ResourceType
from .scheduled import describe_timer, hide_unfired, settled_cause
from .tasks import C_STEP, TASK_OF, seen_first, task_class, token_of

Method = Callable[..., Any]


def scheduling_soon(original: Method) -> Method:
    """`call_soon(callback, *args, context=None)` of such a loop."""

    def call_soon(self: Any, callback: Any, *args: Any, context: Context | None = None) -> Any:
        state = local.state
        trigger = state.current
        if context is not None:
            # Steps and done callbacks are scheduled with the context they belong to, always.
            kind = type(callback)
            if kind is C_STEP:
                task = callback.__self__
            else:
                find_task = TASK_OF.get(kind)
                task = None if find_task is None else find_task(callback)
            if task is not None:
                step = Step()
                step.task = task
                step.callback = callback
                step.args = args
                try:
                    handle = original(self, step, context=context)
                except BaseException as error:
                    sites.leave_traceback(error)
                    raise
                if type(task) is task_class:
                    token = getattr(task, "_whence", None)
                else:
                    token = token_of(task)
                if token is None:
                    step.lifetime = seen_first(state, task, 1)
                else:
                    step.lifetime = lifetime = token.lifetime
                    if lifetime.created:
                        lifetime.scheduled = clock()
                if handle._source_traceback is not None:
                    leave_out_ours(handle._source_traceback, _getframe())
                return handle
            if len(args) == 1:
                trigger = settled_cause(args[0]) or trigger
        scheduled = Callback()
        scheduled.callback = callback
        scheduled.args = args
        try:
            if context is None:
                handle = original(self, scheduled)
            else:
                handle = original(self, scheduled, context=context)
        except BaseException as error:
            sites.leave_traceback(error)
            raise
        try:
            if handle._source_traceback is not None:
                leave_out_ours(handle._source_traceback, _getframe())
            if recorder.on:
                scheduled.lifetime = lifetime = begin(HANDLE, trigger, state, 1)
            else:
                scheduled.lifetime = lifetime = Lifetime()
                lifetime.async_id = new_async_id()
                lifetime.type = HANDLE
                lifetime.trigger_async_id = trigger.async_id
                lifetime.open = True
                lifetime.created = 0
            if listeners.init is not None:
                state.depth += 1
                try:
                    listeners.init(
                        lifetime.async_id, lifetime.type.name, lifetime.trigger_async_id, scheduled
                    )
                except BaseException as error:
                    hook_failed(error)
                finally:
                    state.depth -= 1
                if state.changed:
                    hooks_changed(state)
        except BaseException:
            # There is no stack left, say.
            scheduled.__class__ = Refused
            raise
        return handle

    return call_soon


def scheduling_later(original: Method) -> Method:
    """`call_later(delay, callback, *args, context=None)` of such a loop."""

    def call_later(
        self: Any, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        scheduled = Callback()
        scheduled.callback = callback
        scheduled.args = args
        try:
            handle = original(self, delay, scheduled, context=context)
        except BaseException as error:
            sites.leave_traceback(error)
            raise
        try:
            if handle._source_traceback is not None:
                leave_out_ours(handle._source_traceback, _getframe())
            state = local.state
            trigger = state.current
            if recorder.on:
                lifetime: Any = begin(TIMER_HANDLE, trigger, state, 1)
                describe_timer(lifetime, trigger, callback)
                try:
                    if delay > 0:
                        lifetime.scheduled += int(delay * 1e9)
                except (ArithmeticError, TypeError, ValueError):
                    lifetime.scheduled = maxsize  # `sleep(inf)` never becomes ready
            else:
                lifetime = Lifetime()
                lifetime.async_id = new_async_id()
                lifetime.type = TIMER_HANDLE
                lifetime.trigger_async_id = trigger.async_id
                lifetime.open = True
                lifetime.created = 0
            scheduled.lifetime = lifetime
            if listeners.init is not None:
                emit_init(state, listeners.init, lifetime, scheduled)
        except BaseException:
            scheduled.__class__ = Refused
            raise
        return handle

    return call_later


def scheduling_from_thread(original: Method) -> Method:
    """`call_soon_threadsafe(callback, *args, context=None)` of such a loop."""

    def call_soon_threadsafe(
        self: Any, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        scheduled = bracket(callback, args)
        # The loop's thread may run it before this one goes on: its init comes first.
        closed = self.is_closed()
        if not closed:
            follow(scheduled, HANDLE)
        try:
            handle = original(self, scheduled, context=context)
        except BaseException as error:
            sites.leave_traceback(error)
            if not closed:
                end(local.state, scheduled.lifetime, CANCELLED)
            raise
        if handle._source_traceback is not None:
            leave_out_ours(handle._source_traceback, _getframe())
        return handle

    return call_soon_threadsafe


def bracket(callback: Any, args: tuple[Any, ...]) -> Callback:
    """What to give the loop in place of a callback; it must not run before it is followed."""
    scheduled = Callback()
    scheduled.callback = callback
    scheduled.args = args
    return scheduled


def follow(scheduled: Callback, row: ResourceType) -> Lifetime:
    """init: the loop has taken it, triggered by what executes."""
    state = local.state
    scheduled.lifetime = lifetime = create(state, row, scheduled, state.current, 1)
    return lifetime


def making_futures(original: Method) -> Method:
    """`create_future()` of such a loop, which makes its own of the class that it has kept."""

    def create_future(self: Any) -> Future:
        return Future(loop=self)

    return create_future


def cancelling(original: Method) -> Method:
    """`cancel()` of such a loop's handles."""

    def cancel(self: Any) -> None:
        cancelled = None
        for referent in get_referents(self):
            if type(referent) is Callback:
                # None if the loop was left while it took it: by Ctrl-C, say.
                cancelled = getattr(referent, "lifetime", None)
                break
        original(self)
        if cancelled is not None and cancelled.open:
            hide_unfired(cancelled)
            end(local.state, cancelled, CANCELLED)

    return cancel


def leave_out_ours(frames: list[Any], innermost: FrameType) -> None:
    """In debug mode: the callback was scheduled where the program says so, and as many frames out
    are known as would be without us."""
    from traceback import StackSummary, walk_stack

    kept = StackSummary.extract(
        (place for place in walk_stack(innermost) if not sites.is_ours(place[0].f_code)),
        limit=len(frames),
        lookup_lines=False,
    )
    frames[:] = reversed(kept)


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import (
        cancelling,
        making_futures,
        scheduling_from_thread,
        scheduling_later,
        scheduling_soon,
    )

    twin.tell(trace_without_ours=leave_out_ours)
