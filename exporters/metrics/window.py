"""What a reader of metrics has not seen yet: the time since its last look.

Percentiles and utilization are of a time, not of the whole life of the process.  Counters only ever
grow, so each reader keeps its own last look and subtracts, and no reader takes anything from
another.  Where several read through one window (a pair of Prometheus servers, the readers of the
application's own provider), none gets less than `shortest` seconds.
"""

import sys
from collections import deque
from collections.abc import Callable
from time import monotonic

from whence.engine.histograms import Snapshot
from whence.engine.measures import MEASURES, busy
from whence.sending.metrics import since

SAME_LOOK = 0.2
"""Seconds within which what is asked belongs to one look: its metrics are asked for one by one."""


class _Look:
    """What was counted by a moment."""

    __slots__ = ("at", "busy", "measures")

    def __init__(self, at: float, measures: dict[str, Snapshot], busy: dict[int, float]) -> None:
        self.at = at
        self.measures = measures
        self.busy = busy


class Window:
    """The time between two looks of one reader."""

    def __init__(self, shortest: float = 0.0, clock: Callable[[], float] = monotonic) -> None:
        self._shortest = shortest
        self._clock = clock
        # The first window begins where counting did.
        self._looks = deque([_Look(since(), {}, {})])
        self._now = self._looks[0]

    def look(self) -> None:
        """Look now: the window reaches from the last look to this one."""
        self._now = self._look()
        # The first one is what the window begins with; it may be no younger than asked for.
        while len(self._looks) > 1 and self._looks[1].at <= self._now.at - self._shortest:
            self._looks.popleft()
        self._looks.append(self._now)

    def look_once(self) -> None:
        """The same, unless it was only just done."""
        if len(self._looks) == 1 or self._clock() - self._now.at > SAME_LOOK:
            self.look()

    def total(self, measure: str) -> Snapshot:
        """All that was measured up to the last look."""
        return self._now.measures.get(measure) or Snapshot()

    def since(self, measure: str) -> Snapshot:
        """What was measured in the window."""
        before = self._looks[0].measures.get(measure)
        total = self.total(measure)
        return total if before is None else total - before

    def utilization(self) -> dict[int, float]:
        """Thread that runs loops -> part of the window that they were busy, from 0 to 1."""
        before, now = self._looks[0], self._now
        seconds = now.at - before.at
        if seconds <= 0:
            return {}
        return {
            ident: min(1.0, max(0.0, (time - before.busy.get(ident, 0.0)) / seconds))
            for ident, time in now.busy.items()
        }

    def _look(self) -> _Look:
        alive = sys._current_frames()
        return _Look(
            self._clock(),
            {measure.name: measure.snapshot() for measure in MEASURES},
            {ident: time for ident, time in busy().items() if ident in alive},
        )
