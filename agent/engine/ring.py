"""Finished lifetimes on their way to the exporters: bounded, never blocking.

Any thread pushes; one sender thread drains.  What does not fit is dropped and counted.  The sender
says when it wants to be woken: `wake_at`.
"""

import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import twin
from .lifetimes import SpanLifetime

CAPACITY = 65_536
NEVER = sys.maxsize


class Ring:
    """A bounded buffer of finished lifetimes."""

    __slots__ = ("_buffer", "_capacity", "_room", "_wake_at", "drained", "dropped", "wake")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.drained = 0
        """How many have come out: written by the one who drains, it only ever grows."""
        self.dropped = 0
        self._buffer: deque[SpanLifetime] = deque()
        self.wake: Callable[[], object] = lambda: None
        """Called by a push, in the program's thread: never raises, returns at once."""
        self._capacity = capacity
        self.wake_at = NEVER

    @property
    def capacity(self) -> int:
        """How many it holds at the most."""
        return self._capacity

    @capacity.setter
    def capacity(self, capacity: int) -> None:
        self._capacity = capacity
        self._room = min(capacity, self._wake_at)

    @property
    def wake_at(self) -> int:
        """How many must be held already for a push to wake the sender; 0 is any push."""
        return self._wake_at

    @wake_at.setter
    def wake_at(self, held: int) -> None:
        self._wake_at = held
        self._room = min(self._capacity, held)

    @property
    def pushed(self) -> int:
        """How many it has taken."""
        return self.drained + len(self._buffer)

    def push(self, lifetime: SpanLifetime) -> bool:
        """Take a lifetime, or count it as dropped; whether it was taken."""
        buffer = self._buffer
        # One comparison for whatever may be special, for every span of the program pays for it.
        if len(buffer) < self._room:
            buffer.append(lifetime)
            return True
        return self._push_beyond(lifetime)

    def _push_beyond(self, lifetime: SpanLifetime) -> bool:
        """Push when there is no room, or the sender wants to know."""
        held = len(self._buffer)
        if held >= self._capacity:
            self.dropped += 1
            return False
        self._buffer.append(lifetime)
        if held >= self._wake_at:
            self.wake()
        return True

    def drain(self, most: int) -> list[SpanLifetime]:
        """The oldest lifetimes, `most` of them at the most."""
        popleft = self._buffer.popleft
        number = min(most, len(self._buffer))
        self.drained += number
        return [popleft() for _ in range(number)]

    def clear(self) -> None:
        """Forget everything: in a forked child it is the parent's."""
        self._buffer.clear()
        self.drained = self.dropped = 0

    def __len__(self) -> int:
        return len(self._buffer)


ring = Ring()


def let_go(lifetimes: list[SpanLifetime]) -> None:
    """Empty a list: those that nobody else has go."""
    lifetimes.clear()


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Ring, let_go, ring
