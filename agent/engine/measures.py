"""What is measured of loops and executors, and how to read it: from any thread, at any time.

Every number only ever grows, from 0 at the start of the process or fork: a reader keeps what it
read last and subtracts.  What is counted by type stands in the types' rows (`resource_types.py`).
"""

from collections.abc import Callable
from time import monotonic_ns
from typing import NamedTuple

from .execution import ThreadState, threads
from .histograms import Snapshot
from .resource_types import (
    EXECUTOR_JOB,
    GET_ADDR_INFO,
    GET_NAME_INFO,
    HANDLE,
    TASK,
    TIMER_HANDLE,
    UNQUEUED,
)


class Measure(NamedTuple):
    """Some durations that are measured: seconds, once read."""

    name: str
    meaning: str
    parts: tuple[Callable[[], Snapshot], ...]

    def snapshot(self) -> Snapshot:
        """All that was measured so far."""
        return sum((part() for part in self.parts), Snapshot())


LOOP_DELAY = Measure(
    "whence.eventloop.delay",
    "how late the loop was with what was due: timers, callbacks and steps of tasks",
    tuple(row.turns.ready for row in (TIMER_HANDLE, HANDLE, TASK)),
)
"""Node's has timers alone, one of its own that keeps the loop awake; a program of callbacks that
wait for each other would have no delay.  Here it is what the program itself has waited for."""

READY_TIME = Measure(
    "whence.callback.ready_time",
    "from the scheduling of a callback or step to its beginning",
    tuple(row.turns.ready for row in (HANDLE, TASK)),
)

RUN_TIME = Measure(
    "whence.callback.run_time",
    "how long a callback or step held its loop",
    (*(row.turns.run for row in (TIMER_HANDLE, HANDLE, TASK)), UNQUEUED.run),
)

QUEUE_TIME = Measure(
    "whence.executor.queue_time",
    "from the submission of a job to its beginning in a worker thread",
    tuple(
        row.queue.snapshot
        for row in (EXECUTOR_JOB, GET_ADDR_INFO, GET_NAME_INFO)
        if row.queue is not None
    ),
)

MEASURES = (LOOP_DELAY, READY_TIME, RUN_TIME, QUEUE_TIME)


def busy() -> dict[int, float]:
    """Id of a thread that has run callbacks of a loop -> the seconds that they have taken, the one
    that runs included.

    Its growth over a time, divided by that time, is the utilization of the thread's loop."""
    times = {ident: state.busy + _running(state) for ident, state in list(threads.items())}
    return {ident: time / 1e9 for ident, time in times.items() if time}


def _running(state: ThreadState) -> int:
    entered = state.entered
    return max(0, monotonic_ns() - entered) if entered else 0


class Blocked:
    """How many steps have held their loop for longer than `--slow`, and for how long."""

    __slots__ = ("number", "time")

    def __init__(self) -> None:
        self.number = 0
        self.time = 0
        """Nanoseconds."""


blocked = Blocked()
