"""How long things take: histograms with a slot for each power of two of nanoseconds.

The rules:

- What is counted for every callback of the program costs one addition to a list, and no lock.
- Histograms only ever grow, so any number of readers may each keep the snapshot that they took
  last and subtract it: nobody resets what another one reads.
- The number of values in a slot is exact.  Their sum is too, in a `Histogram`, and among `Turns`
  for what is `LONG`; so the largest value is exact where it is alone in its slot, as outliers are.
"""

from typing import TYPE_CHECKING

from . import twin

SLOTS = 64
"""Slot n holds what has n binary digits: from 2**(n-1) up to but not including 2**n nanoseconds."""

LONG_SLOT = 24
LONG = (1 << LONG_SLOT - 1) - 1
"""Nanoseconds beyond which a turn is timed exactly: 8.4 ms."""

_NANOSECONDS = 1e9


class Histogram:
    """Durations in nanoseconds, counted as they come.

    Written by threads that run Python one at a time; read by any thread, through a snapshot."""

    __slots__ = ("counts", "sums")

    def __init__(self) -> None:
        self.counts = [0] * SLOTS
        self.sums = [0] * SLOTS

    def record(self, nanoseconds: int) -> None:
        """Count a duration, 0 or more."""
        slot = nanoseconds.bit_length()
        self.counts[slot] += 1
        self.sums[slot] += nanoseconds

    def snapshot(self) -> "Snapshot":
        """What has been counted so far."""
        return Snapshot(tuple(self.counts), tuple(self.sums))

    def clear(self) -> None:
        """Begin anew."""
        self.counts[:] = self.sums[:] = [0] * SLOTS


class _TurnCounts:
    """The numbers of `Turns`."""

    __slots__ = ("_long_ready", "_long_run", "counts")

    def __init__(self) -> None:
        self.counts = [[0] * SLOTS for _ in range(SLOTS)]
        """By slot of the time that it was ready, then by slot of the time that it ran."""
        self._long_ready = [0] * SLOTS
        self._long_run = [0] * SLOTS

    def record(self, ready: int, run: int) -> None:
        """Count a turn: two durations in nanoseconds, 0 or more."""
        self.counts[ready.bit_length()][run.bit_length()] += 1
        if ready > LONG:
            self.long_ready(ready)
        if run > LONG:
            self.long_run(run)

    def long_ready(self, nanoseconds: int) -> None:
        """Add what has been counted to the sum of its slot."""
        self._long_ready[nanoseconds.bit_length()] += nanoseconds

    def long_run(self, nanoseconds: int) -> None:
        """Add what has been counted, or is about to be, to the sum of its slot."""
        self._long_run[nanoseconds.bit_length()] += nanoseconds

    def clear(self) -> None:
        """Begin anew, in place: the hot path may be holding a list."""
        for row in (*self.counts, self._long_ready, self._long_run):
            row[:] = [0] * SLOTS


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Turns as _TurnCounts


class Turns(_TurnCounts):
    """What callbacks have had: how long they were ready before their turn, and how long it was.

    The hot path has `record` written out."""

    __slots__ = ()

    def ready(self) -> "Snapshot":
        """How long they were ready and waited."""
        return _with_sums([sum(row) for row in self.counts], self._long_ready)

    def run(self) -> "Snapshot":
        """How long they held their loop."""
        return _with_sums(
            [sum(column) for column in zip(*self.counts, strict=True)], self._long_run
        )


def _with_sums(counts: list[int], long: list[int]) -> "Snapshot":
    """Below the long ones, values are taken to lie evenly in their slots."""
    short = [number * (3 << slot >> 2) for slot, number in enumerate(counts[:LONG_SLOT])]
    return Snapshot(tuple(counts), (*short, *long[LONG_SLOT:]))


class Snapshot:
    """What a histogram had counted at a time.  In seconds; never changes.

    `later - earlier` is what was counted between two of the same histogram, `one + other` is what
    two histograms have counted together."""

    __slots__ = ("counts", "sums")

    def __init__(self, counts: tuple[int, ...] = (), sums: tuple[int, ...] = ()) -> None:
        self.counts = counts or (0,) * SLOTS
        self.sums = sums or (0,) * SLOTS

    def __add__(self, other: "Snapshot") -> "Snapshot":
        return Snapshot(
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)),
        )

    def __sub__(self, earlier: "Snapshot") -> "Snapshot":
        return Snapshot(
            tuple(max(0, a - b) for a, b in zip(self.counts, earlier.counts, strict=True)),
            tuple(max(0, a - b) for a, b in zip(self.sums, earlier.sums, strict=True)),
        )

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self.counts)

    @property
    def sum(self) -> float:
        """All values together."""
        return sum(self.sums) / _NANOSECONDS

    @property
    def mean(self) -> float:
        """0.0 without values, like the other numbers below."""
        count = self.count
        return self.sum / count if count else 0.0

    @property
    def min(self) -> float:
        """The smallest value, or somewhat less: at the lower end of its slot."""
        slots = self._filled()
        return self._within(slots[0], 0.0) if slots else 0.0

    @property
    def max(self) -> float:
        """The largest value, or somewhat more: at the upper end of its slot if it is not alone."""
        slots = self._filled()
        return self._within(slots[-1], 1.0) if slots else 0.0

    def percentile(self, p: float) -> float:
        """The value that `p` percent of all do not exceed, `p` from 0 to 100.

        Its slot is certain; within the slot the values are taken to lie evenly round their mean."""
        if not 0 <= p <= 100:
            raise ValueError(f"expected a percentile from 0 to 100, not {p!r}")
        rank = max(1.0, -(-self.count * p // 100))
        for slot in self._filled():
            number = self.counts[slot]
            if rank <= number:
                return self._within(slot, (rank - 0.5) / number)
            rank -= number
        return 0.0

    def buckets(self) -> list[tuple[float, int]]:
        """The slots that are not empty, and those between: exclusive upper bound, number of
        values in it; in ascending order."""
        slots = self._filled()
        if not slots:
            return []
        between = range(slots[0], slots[-1] + 1)
        return [((1 << slot) / _NANOSECONDS, self.counts[slot]) for slot in between]

    def _filled(self) -> list[int]:
        return [slot for slot, number in enumerate(self.counts) if number]

    def _within(self, slot: int, part: float) -> float:
        """What stands at this part of a slot, from its smallest value (0) to its largest (1)."""
        lowest, beyond = (1 << slot) >> 1, 1 << slot
        # A reader may come between the counting of a value and the adding to its sum.
        mean = min(max(self.sums[slot] / self.counts[slot], lowest), beyond)
        if self.counts[slot] == 1:
            return mean / _NANOSECONDS
        reach = min(mean - lowest, beyond - mean)
        return (mean + (2 * part - 1) * reach) / _NANOSECONDS

    def __repr__(self) -> str:
        return f"<Snapshot of {self.count}, mean {self.mean:.9f} s, max {self.max:.9f} s>"
