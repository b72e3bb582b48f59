"""Finished lifetimes on their way to the exporters: bounded, never blocking.

Any thread pushes; one sender thread drains.  What does not fit is dropped and counted.
"""

from collections import deque

from .lifetimes import Lifetime

CAPACITY = 65_536


class Ring:
    """A bounded buffer of finished lifetimes."""

    __slots__ = ("_buffer", "capacity", "dropped", "pushed")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.pushed = 0
        self.dropped = 0
        self._buffer: deque[Lifetime] = deque()

    def push(self, lifetime: Lifetime) -> None:
        """Take a lifetime, or count it as dropped."""
        if len(self._buffer) < self.capacity:
            self._buffer.append(lifetime)
            self.pushed += 1
        else:
            self.dropped += 1

    def drain(self, most: int) -> list[Lifetime]:
        """The oldest lifetimes, `most` of them at the most."""
        popleft = self._buffer.popleft
        return [popleft() for _ in range(min(most, len(self._buffer)))]

    def clear(self) -> None:
        """Forget everything: in a forked child it is the parent's."""
        self._buffer.clear()
        self.pushed = self.dropped = 0

    def __len__(self) -> int:
        return len(self._buffer)


ring = Ring()
