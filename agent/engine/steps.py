"""The steps of what cold surfaces enter and leave: how long, how long ready before, in whose loop.

What runs for every callback of the program has this written out (`handles.py`, `callbacks.py`).
"""

from .blocks import held, held_within
from .execution import ThreadState
from .lifetimes import Lifetime, RecordedLifetime, SpanLifetime
from .recorder import clock, recorder


def entered(state: ThreadState, lifetime: RecordedLifetime, previous: Lifetime) -> None:
    """Its callback begins."""
    now = lifetime.entered = clock()
    row = lifetime.type
    if row.on_loop and not state.entered:
        # Called by a loop in C with no handle around it: a protocol's callback.
        state.entered, state.beyond = now, previous
    if lifetime.scheduled:
        ready = now - lifetime.scheduled
        lifetime.ready += ready
        if row.queue is not None:
            row.queue.record(max(0, ready))
    if not row.on_loop and isinstance(lifetime, SpanLifetime):
        # Of a job, or a thread: it was made in another.
        lifetime.thread_id = state.thread_id


def left(state: ThreadState, lifetime: RecordedLifetime, previous: Lifetime) -> None:
    """Its callback has ended."""
    now = clock()
    row = lifetime.type
    outermost = row.on_loop and previous is state.beyond and state.entered > 0
    began = state.entered if outermost else lifetime.entered
    step = now - began
    if outermost:
        step = held(state, lifetime, began, now)
        state.entered, state.beyond = 0, None
        state.busy += step
        row.turns.counts[0][step.bit_length()] += 1
    elif began and row.on_loop and step > recorder.slow:
        step = held_within(state, lifetime, began, now)
    if lifetime.entered:  # else it was counted when it ended, inside its callback
        lifetime.scheduled = 0
        lifetime.run += step
        lifetime.steps += 1
