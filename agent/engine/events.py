"""The five transitions of a resource's life, as patches and AsyncResource make them.

Each does, in this order: the ids and the stack, the recording, the hooks.  `after` is the mirror
image of `before`.  A caller keeps the stack like this:

    previous = state.current
    try:
        enter(state, lifetime, resource)
        ...
    finally:
        leave(state, lifetime, previous)
"""

import atexit
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from . import twin
from .dispatch import emit, emit_init, listeners
from .execution import OUTSIDE, ThreadState, local, new_async_id
from .lifetimes import COLLECTED, DONE, Lifetime, RecordedLifetime
from .recorder import begin, clock, finish, recorder
from .resource_types import ResourceType
from .steps import entered, left

collected: deque[Lifetime] = deque()
"""Lifetimes whose resource was collected before its destroy.  Only ever appended to from within
the collector; hooks run on a later turn (SEMANTICS 8.2)."""

_calls: deque[Callable[[], None]] = deque()
_CALL = Lifetime()
"""Stands in the queue for one of `_calls`: events look there anyway, so waiting costs nothing."""
_CALL.open = False


def at_next_event(callback: Callable[[], None]) -> None:
    """Call once when the program's next callback begins, in its thread; or another event.

    For what is to begin with the first event, or after a fork but not in it.  Not called if
    instrumentation ends before, nor in a forked child.  `callback` raises nothing."""
    _calls.append(callback)
    collected.append(_CALL)


def dropped(lifetime: Lifetime) -> None:
    """Its resource is being collected: queue its destroy, if there is anybody to tell."""
    if listeners.destroy is not None or lifetime.created:
        collected.append(lifetime)
    else:
        lifetime.open = False


def forget_collected() -> None:
    """Tell nobody of what was collected so far: the last hook is gone."""
    _calls.clear()
    for lifetime in _taken(len(collected)):
        lifetime.open = False
        if isinstance(lifetime, RecordedLifetime):
            finish(lifetime, COLLECTED, clock())


class Token:
    """Held by a resource and by nothing else: it dies with it, and says so.

    Not a weak reference: the collector drops the callbacks of those that are part of the cycle."""

    __slots__ = ("lifetime",)

    def __init__(self, lifetime: Lifetime) -> None:
        self.lifetime = lifetime

    def __del__(self) -> None:
        if self.lifetime.open:
            dropped(self.lifetime)


def create(
    state: ThreadState,
    row: ResourceType,
    resource: object,
    trigger: Lifetime,
    depth: int = 1,
) -> Lifetime:
    """init: a resource exists, triggered by `trigger`, `depth` frames up or further."""
    lifetime = born(state, row, trigger, depth + 1)
    if listeners.init is not None:
        emit_init(state, listeners.init, lifetime, resource)
    return lifetime


def born(state: ThreadState, row: ResourceType, trigger: Lifetime, depth: int = 1) -> Lifetime:
    """What `create` does before it tells the hooks, for what must know its id by then."""
    if recorder.on:
        lifetime: Lifetime = begin(row, trigger, state, depth + 1)
    else:
        lifetime = Lifetime()
        lifetime.async_id = new_async_id()
        lifetime.type = row
        lifetime.trigger_async_id = trigger.async_id
        lifetime.open = True
        lifetime.created = 0
    lifetime.notify = listeners.destroy is not None
    return lifetime


def announce(state: ThreadState, lifetime: Lifetime, resource: object) -> None:
    """The rest of `create`: tell the hooks."""
    if listeners.init is not None:
        emit_init(state, listeners.init, lifetime, resource)


def enter(state: ThreadState, lifetime: Lifetime, resource: object) -> None:
    """before: its callback is about to run; it executes from here on (SEMANTICS 1.5)."""
    if collected:
        drain_between_turns(state)
    previous = state.current
    state.current = lifetime
    lifetime.resource = resource
    if isinstance(lifetime, RecordedLifetime):
        entered(state, lifetime, previous)
    if listeners.before is not None:
        emit(state, listeners.before, lifetime.async_id)


def leave(state: ThreadState, lifetime: Lifetime, previous: Lifetime) -> None:
    """after: its callback has run, or was left by an exception."""
    try:
        if listeners.after is not None:
            emit(state, listeners.after, lifetime.async_id)
    finally:
        # Also where there is no stack left for a hook, nor for what is to be recorded.
        state.current = previous
        try:
            if lifetime.created:
                left(state, lifetime, previous)  # type: ignore[arg-type]
        finally:
            if previous is not lifetime:
                lifetime.resource = None


def resolve(state: ThreadState, lifetime: Lifetime) -> None:
    """promise_resolve: a future or task was settled, by whatever executes now."""
    if listeners.promise_resolve is not None:
        emit(state, listeners.promise_resolve, lifetime.async_id)


def end(state: ThreadState, lifetime: Lifetime, outcome: str = DONE) -> None:
    """destroy: exactly once, by whichever way comes first (SEMANTICS 7.2)."""
    if not lifetime.open:
        return
    if state.finalizing:
        lifetime.notify = True
        dropped(lifetime)
        return
    lifetime.open = False
    if isinstance(lifetime, RecordedLifetime):
        finish(lifetime, outcome, clock())
    if listeners.destroy is not None:
        emit(state, listeners.destroy, lifetime.async_id)


def drain_collected(state: ThreadState) -> None:
    """Deliver the destroys of what was collected, with execution id 0 (SEMANTICS 8.2, 8.5).

    What a destroy callback makes and drops itself is for the next time, or it would never end."""
    previous = state.current
    state.current = OUTSIDE
    try:
        for lifetime in _taken(len(collected)):
            if not lifetime.open:
                continue
            lifetime.open = False
            lifetime.type.leaked += 1
            if isinstance(lifetime, RecordedLifetime):
                finish(lifetime, COLLECTED, clock())
            if lifetime.notify and listeners.destroy is not None:
                emit(state, listeners.destroy, lifetime.async_id)
    finally:
        state.current = previous
    for _ in range(len(_calls)):
        try:
            callback = _calls.popleft()
        except IndexError:
            return  # another thread has it
        callback()


def restart_in_child() -> None:
    """After a fork: what was collected, and is to be called, is the parent's."""
    collected.clear()
    _calls.clear()


def _taken(most: int) -> Iterator[Lifetime]:
    """Lifetimes from the queue, which several threads may be draining at once."""
    for _ in range(most):
        try:
            yield collected.popleft()
        except IndexError:
            return


@atexit.register
def drain_at_exit() -> None:
    """Deliver what no loop and no event came for."""
    drain_collected(local.state)


def drain_between_turns(state: ThreadState) -> None:
    """Deliver them where no loop turns: at the next event that is outside the collector."""
    if collected and not state.depth and not loop_turns() and not _in_finalizer():
        drain_collected(state)


def loop_turns() -> bool:
    """Whether this thread is inside a callback of a loop."""
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return running is not None and running() is not None


def _in_finalizer() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import (
        Token,
        announce,
        at_next_event,
        born,
        collected,
        create,
        drain_collected,
        dropped,
        end,
        enter,
        forget_collected,
        leave,
        resolve,
    )

    twin.tell(drain_between_turns=drain_between_turns)
