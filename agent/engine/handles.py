"""Callbacks, timers, readers, writers and signal handlers: everything asyncio keeps in a Handle.

Asyncio looks up `events.Handle` and `events.TimerHandle` when it builds one, so subclasses under
those names see every callback of every loop that uses them, also through a `call_soon` that was
bound before.  What the program can see stays as it was: `_callback` is its own, the type's name,
the traceback, and in debug mode the place of creation.

A frame of ours that is left by an exception would stay reachable from the exception's traceback;
it takes itself out of it, and drops what it refers to, as asyncio's own `_run` does.
"""

import asyncio
from asyncio import events
from collections.abc import Callable
from contextvars import Context, copy_context
from sys import maxsize
from typing import TYPE_CHECKING, Any

from . import handle_classes, twin
from .blocks import held
from .dispatch import emit_init, hook_failed, hooks_changed, interrupt, interrupts, listeners
from .events import collected, drain_collected, end
from .execution import local, new_async_id
from .histograms import LONG
from .lifetimes import CANCELLED, DONE, Lifetime
from .recorder import begin, clock, finish_outside, recorder
from .resource_types import HANDLE, TIMER_HANDLE
from .scheduled import describe_timer, hide_unfired, settled_cause
from .scopes import enter_scopes, leave_scopes
from .standin import StandIn, stand_in_of_c
from .tasks import C_STEP, TASK_OF, AnyTask, seen_first, settle, task_class, token_of

_stock_init = events.Handle.__init__
_stock_timer_init = events.TimerHandle.__init__
_stock_run: Callable[[events.Handle], None] = events.Handle._run
_stock_cancel = events.Handle.cancel
_stock_timer_cancel = events.TimerHandle.cancel
stock_time = asyncio.BaseEventLoop.time

_FIELDS_KNOWN = set(events.Handle.__slots__) == {
    "__weakref__",
    "_args",
    "_callback",
    "_cancelled",
    "_context",
    "_loop",
    "_repr",
    "_source_traceback",
} and set(events.TimerHandle.__slots__) == {"_scheduled", "_when"}
"""Whether what a handle consists of is what we can set without asyncio's constructor, whose calls
cost a tenth of a callback.  In a later Python that has more, its constructor is called."""


class Tracked:
    """What Handle and TimerHandle have in common."""

    __slots__ = ()

    _lifetime: Any
    """A Lifetime; a RecordedLifetime if `created`, a SpanLifetime if not `transparent`."""
    _task: AnyTask | None

    def _run(self) -> None:
        lifetime = self._lifetime
        task = self._task
        state = local.state
        if collected:
            drain_collected(state)
        previous = state.current
        began = ready = now = 0
        try:
            state.current = lifetime
            lifetime.resource = self if task is None else task
            if lifetime.created:
                began = lifetime.entered = state.entered = clock()
                ready = began - lifetime.scheduled
                if ready > 0:
                    lifetime.ready += ready
                    if ready > LONG:
                        lifetime.type.turns.long_ready(ready)
                else:
                    ready = 0
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
            if task is not None and lifetime.scope is not None:
                enter_scopes(state, lifetime.scope)
            _stock_run(self)  # type: ignore[arg-type]
        except BaseException as error:
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            raise
        finally:
            if state.current is not lifetime and task is not None:
                leave_scopes(state, lifetime)
            ends = lifetime.type.once if task is None else task.done()
            outcome = DONE if task is None or not ends else settle(state, lifetime, task)
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
            if began:
                now = lifetime.scheduled = clock()
                step = now - began
                if step > recorder.notable:
                    step = held(state, lifetime, began, now)
                if lifetime.entered:
                    lifetime.run += step
                    lifetime.steps += 1
                lifetime.type.turns.counts[ready.bit_length()][step.bit_length()] += 1
                state.busy += step
                state.entered = 0
            state.current = previous
            lifetime.resource = None
            if ends and lifetime.open:
                lifetime.open = False
                if lifetime.created:
                    finish_outside(lifetime, outcome, now)
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
            if interrupts:
                interrupt()


class Handle(Tracked, events.Handle, metaclass=StandIn):
    """A callback: once by call_soon, or again and again for a descriptor or a signal."""

    __slots__ = ("__dict__", "_lifetime", "_task")
    _stands_for = events.Handle
    _source_traceback: list[Any] | None

    def __init__(
        self,
        callback: Any,
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
    ) -> None:
        if loop.get_debug() or not _FIELDS_KNOWN:
            _stock_init(self, callback, args, loop, context)
            if self._source_traceback is not None:
                del self._source_traceback[-1]
        else:
            self._context = copy_context() if context is None else context
            self._loop = loop
            self._callback = callback
            self._args = args
            self._cancelled = False
            self._repr = self._source_traceback = None
        state = local.state
        row, trigger = HANDLE, state.current
        self._task = None
        if context is not None:
            # Steps and done callbacks are scheduled with the context they belong to, always.
            kind = type(callback)
            if kind is C_STEP:
                task = callback.__self__
            else:
                find_task = TASK_OF.get(kind)
                task = None if find_task is None else find_task(callback)
            if task is not None:
                self._task = task
                if type(task) is task_class:
                    token = getattr(task, "_whence", None)
                else:
                    token = token_of(task)
                if token is None:
                    self._lifetime = seen_first(state, task, 4)
                else:
                    self._lifetime = token.lifetime
                    if token.lifetime.created:
                        token.lifetime.scheduled = clock()
                return
            if len(args) == 1:
                trigger = settled_cause(args[0]) or trigger
        elif state.making is not None and state.making.callback is callback:
            row = state.making.type
            state.making.made = self
        if recorder.on:
            lifetime: Any = begin(row, trigger, state, 4)
        else:
            lifetime = Lifetime()
            lifetime.async_id = new_async_id()
            lifetime.type = row
            lifetime.trigger_async_id = trigger.async_id
            lifetime.open = True
            lifetime.created = 0
        self._lifetime = lifetime
        if listeners.init is not None:
            state.depth += 1
            try:
                listeners.init(
                    lifetime.async_id, lifetime.type.name, lifetime.trigger_async_id, self
                )
            except BaseException as error:
                hook_failed(error)
            finally:
                state.depth -= 1
            if state.changed:
                hooks_changed(state)

    def cancel(self) -> None:
        """Run it no more."""
        _stock_cancel(self)
        if self._task is not None:
            # The task outlives the handle of its step.
            self._task = None
        elif self._lifetime.open:
            end(local.state, self._lifetime, CANCELLED)


class TimerHandle(Tracked, events.TimerHandle, metaclass=StandIn):
    """A callback for a time."""

    __slots__ = ("__dict__", "_lifetime", "_task")
    _stands_for = events.TimerHandle
    _source_traceback: list[Any] | None

    def __init__(
        self,
        when: float,
        callback: Any,
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
    ) -> None:
        if loop.get_debug() or not _FIELDS_KNOWN:
            _stock_timer_init(self, when, callback, args, loop, context)
            if self._source_traceback is not None:
                del self._source_traceback[-1]
        else:
            self._context = copy_context() if context is None else context
            self._loop = loop
            self._callback = callback
            self._args = args
            self._cancelled = self._scheduled = False
            self._repr = self._source_traceback = None
            self._when = when
        self._task = None
        state = local.state
        trigger = state.current
        if recorder.on:
            lifetime: Any = begin(TIMER_HANDLE, trigger, state, 3)
            describe_timer(lifetime, trigger, callback)
            try:
                if type(loop).time is stock_time:
                    due = int(when * 1e9)
                else:
                    due = lifetime.created + int((when - loop.time()) * 1e9)
                if due > lifetime.created:
                    lifetime.scheduled = due
            except (ArithmeticError, TypeError, ValueError):
                lifetime.scheduled = maxsize  # `sleep(inf)` never becomes ready
        else:
            lifetime = Lifetime()
            lifetime.async_id = new_async_id()
            lifetime.type = TIMER_HANDLE
            lifetime.trigger_async_id = trigger.async_id
            lifetime.open = True
            lifetime.created = 0
        self._lifetime = lifetime
        if listeners.init is not None:
            emit_init(state, listeners.init, lifetime, self)

    def cancel(self) -> None:
        """Run it no more."""
        _stock_timer_cancel(self)
        if self._lifetime.open:
            hide_unfired(self._lifetime)
            end(local.state, self._lifetime, CANCELLED)


for _class in (Handle, TimerHandle):
    _class.__module__ = events.__name__
    _class.__qualname__ = _class.__name__
    _class.__doc__ = _class._stands_for.__doc__

LOOP_METHODS: dict[str, Any] = {}
"""Name -> what to put in place of the method of asyncio's loops.

With this engine they are asyncio's own, and build our handles by looking up their names."""

REPLACED: dict[str, Any] = {}
"""Name -> the method that stood there when that was made: where another stands, it stays."""

if twin.IN_C and not handle_classes.keeps_stock and not TYPE_CHECKING:
    from collections import deque

    from .._engine import know_run, make_handles, make_loop_methods, make_run_once
    from . import iterations
    from .run_places import run_places

    _stock_handles = events.Handle, events.TimerHandle
    Handle, TimerHandle = map(
        stand_in_of_c, make_handles(*_stock_handles, _FIELDS_KNOWN), _stock_handles
    )
    for _class in (Handle, TimerHandle):
        _class.__doc__ = _class._stands_for.__doc__
        # In messages of errors a class in C has its module before its name.
        _class.__name__ = _class._stands_for.__name__
    know_run(_stock_run, *run_places(_stock_run))
    LOOP_METHODS = make_loop_methods(asyncio.base_events, deque)
    if iterations.are_known():
        try:
            LOOP_METHODS["_run_once"] = make_run_once(
                asyncio.base_events, *iterations.written_out()
            )
        except Exception as error:
            twin.slower["an iteration of a loop is asyncio's"] = twin.on_one_line(error)
    REPLACED = {name: getattr(asyncio.BaseEventLoop, name) for name in LOOP_METHODS}
    for _name, _method in LOOP_METHODS.items():
        # What every class has: the rest is the original's, and asked of it.
        for _attribute in ("__doc__", "__module__"):
            setattr(_method, _attribute, getattr(getattr(asyncio.BaseEventLoop, _name), _attribute))
