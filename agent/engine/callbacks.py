"""What a loop whose handles are its own is given in place of a callback.

uvloop builds its handles in C, under no name that could be ours.  So it is given a callable of
ours that brackets the program's: a Callback, or a Step of a task.  It has the attributes and the
repr of what it brackets, which is all that the loop shows of it.  It holds the arguments too: what
the loop drops, it drops whole.

A loop in C is no frame: a function named `_run` is where the search for a site ends.
"""

from typing import TYPE_CHECKING, Any

from . import sites, twin
from .blocks import held
from .dispatch import hook_failed, hooks_changed, interrupt, interrupts, listeners
from .events import collected, drain_collected
from .execution import local
from .failures import give_up, left_by
from .histograms import LONG
from .lifetimes import DONE
from .recorder import clock, finish_outside, recorder
from .scopes import enter_scopes, leave_scopes
from .tasks import AnyTask, settle
from .waiting import brackets


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
            give_up(local.state)
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
        began = ready = now = 0
        try:
            state.current = lifetime
            lifetime.resource = self
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
            self.callback(*self.args)
        except BaseException as error:
            left_by(error, state, lifetime, previous)
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
        if lifetime.open and lifetime.type.once:
            lifetime.open = False
            if lifetime.created:
                finish_outside(lifetime, DONE, now)
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
        if interrupts:
            interrupt()

    __call__ = _run


class Refused(Callback):
    """What a Callback becomes that the loop has taken, and ours could not: the program was told
    that it is not scheduled, so it does not run."""

    __slots__ = ()

    def _run(self) -> None:
        pass

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
        began = ready = now = 0
        try:
            state.current = lifetime
            lifetime.resource = task
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

    __call__ = _run


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Callback, Step


brackets.update((Callback, Step))
