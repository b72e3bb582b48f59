"""The watchdog: takes the stack of what holds a loop for too long, while it does.

- It reads what every callback notes anyway, `ThreadState.entered`; the program is never asked.
- While callbacks run now and then, it looks every `slow` milliseconds, and finds what has just
  begun; so it can come back when that has taken `slow`, to the moment.  A step that goes on is
  looked at again each time that long, and later on more and more seldom.
- Where nothing runs it sleeps, until the next event wakes it (`at_next_event`).

Start-up path of every attached process: imports nothing heavy.
"""

import atexit
import os
import sys
from _thread import interrupt_main
from time import monotonic

from .background import Signal
from .engine import at_next_event, clock
from .engine.execution import threads
from .engine.stacks import Sample, look
from .engine.standstill import standstill
from .resident import Resident

_SHORTEST = 1_000_000
_LONGEST = 500_000_000
"""Nanoseconds between two looks while something runs, at the least and at the most.  More would
hide from `standstill` when the process stood still."""
_OFTEN, _SELDOM = 8, 40
"""Looks at one step: up to here all the same time apart, then each after twice the time, and up to
here."""
_AT_REST = 2
"""Looks that find nothing before it sleeps: what wakes it may be an event of no loop, and those may
come by the thousand."""
_FOR_GOOD = 1e6
_PATIENCE = 0.05
"""Seconds that stop() waits."""


class Watchdog:
    """Watches the loops of this process."""

    __slots__ = ("_busy", "_idle", "_looked_at", "_slow", "_waits_for_event", "_woken", "resident")

    def __init__(self, slow: int) -> None:
        """`slow` nanoseconds are too long."""
        self._slow = max(slow, _SHORTEST)
        self._woken = Signal()
        self._waits_for_event = False
        self._busy = self._idle = 0
        self._looked_at: dict[int, tuple[int, int]] = {}
        """Thread -> when the step began at which it was looked, and how often."""
        self.resident = Resident("watching for blocked loops", self._work, self._woken.set)

    def in_child(self) -> "Watchdog":
        """The same for a forked child."""
        return Watchdog(self._slow)

    def _work(self) -> None:
        standstill.begin(clock())
        while self.resident.order is None:
            self._load()
            self._woken.wait(self._look_round())
        standstill.rest()

    def _load(self) -> None:
        """In a process that has loops only."""
        if not standstill.loaded and "asyncio" in sys.modules:
            self.resident.loading = True
            try:
                standstill.load()
            finally:
                self.resident.loading = False

    def _look_round(self) -> float:
        """Look at every loop; seconds until the next time."""
        # First of all: who held Python's lock until now has it back in a moment.
        now = clock()
        due = self._look(now)
        standstill.look(now)
        self._idle = self._idle + 1 if due is None and not self._was_busy() else 0
        if self._idle == _AT_REST:
            self._idle = 0
            self._wait_for_event()
            # It may have come in between.
            due = self._look(now)
            if due is None:
                standstill.rest()
                return _FOR_GOOD
        if due is None:
            due = now + self._slow
        return max(0, min(due - clock(), _LONGEST)) / 1e9

    def _look(self, now: int) -> int | None:
        """Look at the loops that something holds; when to look again, None if there is none."""
        soonest = None
        for thread_id, state in list(threads.items()):
            step = state.entered
            if not step:
                continue
            looked_at, times = self._looked_at.get(thread_id, (0, 0))
            if looked_at != step:
                times = 0
            if step + self._age(times) <= now:
                times += 1
                self._looked_at[thread_id] = step, times
                stack = look(thread_id)
                if stack is None:
                    # The thread has ended without leaving its callback.
                    threads.pop(thread_id, None)
                    continue
                if stack.frames and state.entered == step:
                    of_step = [sample for sample in state.samples if sample.step == step]
                    state.samples = (*of_step, Sample(step, now, stack))
            due = step + self._age(times)
            soonest = due if soonest is None else min(soonest, due)
        return soonest

    def _age(self, times: int) -> int:
        """Nanoseconds that a step takes before it is looked at once more."""
        return self._slow * (times + 1 if times < _OFTEN else 1 << min(times, _SELDOM) - _OFTEN + 4)

    def _was_busy(self) -> bool:
        """Whether anything has run since this was asked last."""
        before, self._busy = self._busy, sum(state.busy for state in list(threads.values()))
        return self._busy != before

    def _wait_for_event(self) -> None:
        if not self._waits_for_event:
            self._waits_for_event = True
            at_next_event(self._notice)

    def _notice(self) -> None:
        """At an event, in a thread of the program's."""
        self._waits_for_event = False
        if self.resident.order is None:
            standstill.begin(clock())
            self._woken.set()


_watchdog: Watchdog | None = None
_hooked = False


def start(slow: int) -> None:
    """Watch for what takes longer than `slow` nanoseconds, from the first event on.

    Starts no thread yet."""
    global _watchdog, _hooked
    _watchdog = Watchdog(slow)
    _watchdog.resident.begin()
    if not _hooked:
        _hooked = True
        atexit.register(stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child
            )


def stop() -> None:
    """Watch no more.  Does nothing if nothing was started."""
    global _watchdog
    stopped, _watchdog = _watchdog, None
    if stopped is not None:
        stopped.resident.stop(monotonic() + _PATIENCE)
        stopped.resident.wait()


def _before_fork() -> None:
    if _watchdog is not None:
        try:
            _watchdog.resident.pause()
        except KeyboardInterrupt:
            # Python would only print it: it is the program's, once the fork is over.
            interrupt_main()


def _in_parent() -> None:
    if _watchdog is not None:
        _watchdog.resident.resume()


def _in_child() -> None:
    global _watchdog
    if _watchdog is not None:
        _watchdog = _watchdog.in_child()
        _watchdog.resident.begin()
