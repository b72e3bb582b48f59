"""What two looks at a process make: rates, percentiles, utilization, and how they went.

Pure: from the answers of the process's socket to numbers.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from whence.engine.histograms import Snapshot

HISTORY = 240
"""Looks that are remembered."""


class TypeRow(NamedTuple):
    """One type of resource."""

    type: str
    open: int
    created: float
    destroyed: float
    """A second, between the last two looks."""
    leaked: int
    history: tuple[int, ...]
    """How many were open, at each look."""


class Reading(NamedTuple):
    """The process at one look, and since the one before."""

    about: dict[str, Any]
    """As the socket gives it."""
    types: list[TypeRow]
    """Those with the most open first."""
    busy: float
    """Part of the time that the loops' threads ran callbacks, 0 to 1; the busiest of them."""
    delay: Snapshot
    """How late the loops were with what was due."""
    queue: Snapshot
    """How long jobs waited for a worker thread."""
    blocked: int
    """Steps that have blocked a loop, in all."""
    blockers: list[dict[str, Any]]
    resources: list[dict[str, Any]]
    left_out: int
    """How many more resources there are."""
    old: float
    """Seconds since the resources were looked at."""
    busy_history: tuple[float, ...]
    delay_history: tuple[float, ...]
    """Seconds, the 99th percentile at each look."""


class Readings:
    """Looks at one process, one after the other."""

    def __init__(self) -> None:
        self._before: dict[str, Any] | None = None
        self._open: dict[str, deque[int]] = {}
        self._busy: deque[float] = deque(maxlen=HISTORY)
        self._delay: deque[float] = deque(maxlen=HISTORY)

    def add(self, pulse: dict[str, Any], table: dict[str, Any], old: float = 0.0) -> Reading:
        """The next look: the answers to `pulse` and `resources`, and how old the latter is."""
        before = self._before or pulse
        seconds = pulse["at"] - before["at"]
        self._before = pulse
        busy = _busiest(before["process"]["loops"], pulse["process"]["loops"], seconds)
        delay = _snapshot(pulse["delay"]) - _snapshot(before["delay"])
        self._busy.append(busy)
        self._delay.append(delay.percentile(99))
        return Reading(
            about=pulse["process"],
            types=self._types(pulse["types"], before["types"], seconds),
            busy=busy,
            delay=delay,
            queue=_snapshot(pulse["queue"]) - _snapshot(before["queue"]),
            blocked=pulse["blocked"]["number"],
            blockers=pulse["blockers"],
            resources=table["resources"],
            left_out=table["left_out"],
            old=old,
            busy_history=tuple(self._busy),
            delay_history=tuple(self._delay),
        )

    def _types(self, now: dict[str, Any], before: dict[str, Any], seconds: float) -> list[TypeRow]:
        rows = []
        for name, counts in now.items():
            was = before.get(name, _NONE)
            opened = max(0, counts["created"] - counts["destroyed"])
            history = self._open.setdefault(name, deque(maxlen=HISTORY))
            history.append(opened)
            rows.append(
                TypeRow(
                    name,
                    opened,
                    _rate(was["created"], counts["created"], seconds),
                    _rate(was["destroyed"], counts["destroyed"], seconds),
                    counts["leaked"],
                    tuple(history),
                )
            )
        return sorted(rows, key=lambda row: (-row.open, row.type))


_NONE = {"created": 0, "destroyed": 0}


def _rate(before: int, now: int, seconds: float) -> float:
    return max(0, now - before) / seconds if seconds > 0 else 0.0


def _snapshot(histogram: dict[str, Any]) -> Snapshot:
    return Snapshot(tuple(histogram["counts"]), tuple(histogram["sums"]))


def _busiest(
    before: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]], seconds: float
) -> float:
    """Of the threads that run loops, how busy the busiest was."""
    was = {loop["thread"]: loop["busy"] for loop in before}
    if seconds <= 0:
        return 0.0
    parts = [(loop["busy"] - was.get(loop["thread"], 0.0)) / seconds for loop in now]
    return min(1.0, max(0.0, *parts, 0.0)) if parts else 0.0
