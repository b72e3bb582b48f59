"""Whether the whole process stood still: stopped by Ctrl-Z or a debugger, or its machine suspended.

Nobody is to blame for such a time.  It looks like one in which a callback held the loop, and so
does one in which code in C held Python's own lock.  What differs: a thread that waits for that lock
wakes up again and again to ask for it, and the system counts how often threads of the process went
to sleep.  Where it does not count (Windows), the CPU time that has passed has to do.

`look` is called by the watchdog now and then while something runs, and by whoever has found a step
too long.
"""

from collections import deque
from collections.abc import Callable
from sys import getswitchinterval
from time import process_time_ns

_LONG = 1_000_000_000
"""Nanoseconds without a look from which on it is asked why there was none."""
_REMEMBERED = 16
_AWAKE = 4
"""A process that is awake goes to sleep at least once in this many intervals of Python's lock."""
_IDLE = 100
"""Without that count: a process that stood still has used less than one part in so many."""


class Standstill:
    """When the process stood still, the last few times, in nanoseconds of the engine's clock."""

    __slots__ = ("_activity", "_looked", "_measure", "_times", "loaded")

    def __init__(self) -> None:
        self._measure: Callable[[], int] = process_time_ns
        self._times: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._looked = self._activity = 0
        self.loaded = False

    def load(self) -> None:
        """Import what counts best.  In a thread of ours: the program may not have imported it."""
        self.loaded = True
        try:
            from resource import RUSAGE_SELF, getrusage
        except ImportError:
            return  # Windows
        self._measure = lambda: getrusage(RUSAGE_SELF).ru_nvcsw
        if self._looked:
            self._activity = self._measure()

    def begin(self, now: int) -> None:
        """Look from now on; what was before does not count, for the process was idle."""
        self._looked, self._activity = now, self._measure()

    def rest(self) -> None:
        """Look no more: the process is idle."""
        self._looked = 0

    def look(self, now: int) -> None:
        """See whether the process stood still since the last look, if there was one."""
        looked, before = self._looked, self._activity
        if not looked:
            return
        self.begin(now)
        gap = now - looked
        if gap > _LONG and self._activity - before < self._least(gap):
            self._times.append((looked, now))

    def within(self, began: int, ended: int) -> int:
        """How many nanoseconds of this time it stood still."""
        # Two threads may have seen the same one, at the same moment.
        times = dict(self._times)
        return sum(max(0, min(ended, until) - max(began, since)) for since, until in times.items())

    def _least(self, gap: int) -> float:
        if self._measure is process_time_ns:
            return gap / _IDLE
        return gap / (getswitchinterval() * 1e9 * _AWAKE)


standstill = Standstill()
