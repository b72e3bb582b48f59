"""Callbacks on a loop whose handles are its own: what such a loop is given instead.

uvloop builds its handles in C, under no name that could be ours.  So it is given a callable of
ours that brackets the program's: a Callback, or a Step of a task.  It has the attributes and the
repr of what it brackets, which is all that the loop shows of it.  It holds the arguments too: what
the loop drops, it drops whole.

The rules:

- The loop sees the call first: what it refuses has no events.
- The loop calls its exception handler after our frame has been left; the handler is to run as the
  callback that failed, before its `after` (SEMANTICS 6.10).  So a callback that fails stays what
  executes until `telling` has told the handler; `failing` remembers it meanwhile.
- A loop in C is no frame: a function named `_run` is where the search for a site ends.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from gc import get_referents
from sys import _getframe
from types import FrameType, FunctionType
from typing import Any, NamedTuple

from . import sites
from .connected import is_of_connection
from .dispatch import emit_init, hook_failed, hooks_changed, listeners
from .events import collected, create, drain_collected, end, leave
from .execution import ThreadState, local, new_async_id
from .handles import _callback_name, _settled
from .lifetimes import CANCELLED, DONE, FAILED, Lifetime, SpanLifetime
from .recorder import begin, clock, failed, finish, hide, note_longest, recorder
from .resource_types import HANDLE, TIMER_HANDLE, ResourceType
from .scopes import enter_scopes, leave_scopes
from .tasks import C_STEP, TASK_OF, AnyTask, seen_first, settle

Method = Callable[..., Any]


class _Bracket:
    """Looks like the callback that it brackets."""

    __slots__ = ("args", "callback", "lifetime")

    callback: Any
    args: tuple[Any, ...]
    lifetime: Any
    """A Lifetime; a RecordedLifetime if `created`, a SpanLifetime if not `transparent`."""

    @property
    def __wrapped__(self) -> Any:
        return self.callback

    def __getattr__(self, name: str) -> Any:
        if name in _Bracket.__slots__:
            raise AttributeError(name)
        return getattr(self.callback, name)

    def __repr__(self) -> str:
        return repr(self.callback)

    def __format__(self, spec: str) -> str:
        # The loop asks in order to tell its exception handler, which it never does if this fails.
        try:
            return format(self.callback, spec)
        except BaseException:
            _give_up(local.state)
            raise


class Callback(_Bracket):
    """A callback: once by call_soon or call_later, or again and again for a descriptor or a signal.

    It is the resource that hooks are given, and takes any attribute."""

    __slots__ = ("__dict__", "__weakref__")

    def _run(self) -> None:
        lifetime = self.lifetime
        state = local.state
        if collected:
            drain_collected(state)
        previous = state.current
        try:
            state.current = lifetime
            lifetime.resource = self
            if lifetime.created:
                now = lifetime.entered = clock()
                if now > lifetime.scheduled:
                    lifetime.ready += now - lifetime.scheduled
            if listeners.before is not None:
                state.depth += 1
                try:
                    listeners.before(lifetime.async_id)
                except BaseException as error:
                    hook_failed(error)
                finally:
                    state.depth -= 1
                if state.changed:
                    hooks_changed(state)
            self.callback(*self.args)
        except BaseException as error:
            _left_by(error, state, lifetime, previous)
            self = None  # type: ignore[assignment]
            raise
        if listeners.after is not None:
            state.depth += 1
            try:
                listeners.after(lifetime.async_id)
            except BaseException as error:
                hook_failed(error)
            finally:
                state.depth -= 1
            if state.changed:
                hooks_changed(state)
        if lifetime.created and lifetime.entered:
            now = lifetime.scheduled = clock()
            step = now - lifetime.entered
            lifetime.run += step
            lifetime.steps += 1
            if step > recorder.longest_step:
                note_longest(lifetime, step)
        state.current = previous
        lifetime.resource = None
        if lifetime.open and lifetime.type.once:
            lifetime.open = False
            if lifetime.created:
                finish(lifetime, DONE, now)
            if listeners.destroy is not None:
                state.depth += 1
                try:
                    listeners.destroy(lifetime.async_id)
                except BaseException as error:
                    hook_failed(error)
                finally:
                    state.depth -= 1
                if state.changed:
                    hooks_changed(state)

    __call__ = _run


class Step(_Bracket):
    """A step of a task, bracketed as the task."""

    __slots__ = ("task",)

    task: AnyTask

    def _run(self) -> None:
        lifetime = self.lifetime
        task = self.task
        state = local.state
        if collected:
            drain_collected(state)
        previous = state.current
        try:
            state.current = lifetime
            lifetime.resource = task
            if lifetime.created:
                now = lifetime.entered = clock()
                if now > lifetime.scheduled:
                    lifetime.ready += now - lifetime.scheduled
            if listeners.before is not None:
                state.depth += 1
                try:
                    listeners.before(lifetime.async_id)
                except BaseException as error:
                    hook_failed(error)
                finally:
                    state.depth -= 1
                if state.changed:
                    hooks_changed(state)
            if lifetime.scope is not None:
                enter_scopes(state, lifetime.scope)
            self.callback(*self.args)
        except BaseException as error:
            sites.leave_traceback(error)
            raise
        finally:
            if state.current is not lifetime:
                leave_scopes(state, lifetime)
            ends = task.done()
            outcome = settle(state, lifetime, task) if ends else DONE
            if listeners.after is not None:
                state.depth += 1
                try:
                    listeners.after(lifetime.async_id)
                except BaseException as error:
                    hook_failed(error)
                finally:
                    state.depth -= 1
                if state.changed:
                    hooks_changed(state)
            if lifetime.created:
                now = lifetime.scheduled = clock()
                step = now - lifetime.entered
                lifetime.run += step
                lifetime.steps += 1
                if step > recorder.longest_step:
                    note_longest(lifetime, step)
            state.current = previous
            lifetime.resource = None
            if ends and lifetime.open:
                lifetime.open = False
                if lifetime.created:
                    finish(lifetime, outcome, now)
                if listeners.destroy is not None:
                    state.depth += 1
                    try:
                        listeners.destroy(lifetime.async_id)
                    except BaseException as error:
                        hook_failed(error)
                    finally:
                        state.depth -= 1
                    if state.changed:
                        hooks_changed(state)
            self = task = None  # type: ignore[assignment]

    __call__ = _run


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
                token = getattr(task, "_whence", None)
                if token is None:
                    step.lifetime = seen_first(state, task, 1)
                else:
                    step.lifetime = lifetime = token.lifetime
                    if lifetime.created:
                        lifetime.scheduled = clock()
                if handle._source_traceback is not None:
                    leave_out_ours(handle._source_traceback, _getframe(1))
                return handle
            if len(args) == 1:
                trigger = _settled(args[0]) or trigger
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
        if handle._source_traceback is not None:
            leave_out_ours(handle._source_traceback, _getframe(1))
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
        if handle._source_traceback is not None:
            leave_out_ours(handle._source_traceback, _getframe(1))
        state = local.state
        trigger = state.current
        if recorder.on:
            lifetime: Any = begin(TIMER_HANDLE, trigger, state, 1)
            if isinstance(lifetime, SpanLifetime):
                is_function = type(callback) is FunctionType
                lifetime.name = callback.__qualname__ if is_function else _callback_name(callback)
                if not is_function and is_of_connection(callback):
                    hide(lifetime)
                try:
                    if delay > 0:
                        lifetime.scheduled += int(delay * 1e9)
                except (ArithmeticError, TypeError, ValueError):
                    pass  # `sleep(inf)` never becomes ready.
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
            leave_out_ours(handle._source_traceback, _getframe(1))
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


def cancelling(original: Method) -> Method:
    """`cancel()` of such a loop's handles."""

    def cancel(self: Any) -> None:
        cancelled = None
        for referent in get_referents(self):
            if type(referent) is Callback:
                cancelled = referent.lifetime
                break
        original(self)
        if cancelled is not None and cancelled.open:
            end(local.state, cancelled, CANCELLED)

    return cancel


class Failing(NamedTuple):
    """A callback that has failed, and what executed before it."""

    lifetime: Lifetime
    previous: Lifetime
    outcome: str = FAILED


failing: dict[int, Failing] = {}
"""Id of a thread -> the callback whose failure its loop is about to tell."""


def telling(original: Method) -> Method:
    """`call_exception_handler(context)` of such a loop."""

    def call_exception_handler(self: Any, context: Any) -> None:
        state = local.state
        told = failing.pop(state.thread_id, None)
        try:
            original(self, context)
        except BaseException as error:
            sites.leave_traceback(error)
            raise
        finally:
            if told is not None:
                _leave(state, *told)
            del self, context

    call_exception_handler._whence_tells = True  # type: ignore[attr-defined]
    return call_exception_handler


def _left_by(
    error: BaseException, state: ThreadState, lifetime: Lifetime, previous: Lifetime
) -> None:
    sites.leave_traceback(error)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        # These stop the loop, and its exception handler hears nothing of them.
        _leave(state, lifetime, previous, DONE)
        return
    failed(lifetime, error)
    loop = asyncio._get_running_loop()
    if hasattr(getattr(loop, "call_exception_handler", None), "_whence_tells"):
        failing[state.thread_id] = Failing(lifetime, previous)
    else:
        _leave(state, lifetime, previous, FAILED)


def _give_up(state: ThreadState) -> None:
    """The failure in this thread will be told to nobody."""
    untold = failing.pop(state.thread_id, None)
    if untold is not None:
        _leave(state, *untold)


def _leave(state: ThreadState, lifetime: Lifetime, previous: Lifetime, outcome: str) -> None:
    leave(state, lifetime, previous)
    if lifetime.type.once:
        end(state, lifetime, outcome)


def leave_out_ours(frames: list[Any], caller: FrameType) -> None:
    """In debug mode: the callback was scheduled where the program says so, and as many frames out
    are known as would be without us."""
    from traceback import StackSummary, walk_stack

    kept = StackSummary.extract(
        (place for place in walk_stack(caller) if not sites.is_ours(place[0].f_code)),
        limit=len(frames),
        lookup_lines=False,
    )
    frames[:] = reversed(kept)
