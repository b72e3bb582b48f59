"""Finished lifetimes on their way to the exporters: bounded, never blocking.

Any thread pushes; one sender thread drains.  What does not fit is dropped and counted.  The sender
says when it wants to be woken: `wake_at`.
"""

import sys
from collections import deque
from collections.abc import Callable

from .lifetimes import SpanLifetime

CAPACITY = 65_536
NEVER = sys.maxsize


class Ring:
    """A bounded buffer of finished lifetimes."""

    __slots__ = ("_buffer", "capacity", "dropped", "pushed", "wake", "wake_at")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.pushed = 0
        self.dropped = 0
        self._buffer: deque[SpanLifetime] = deque()
        self.wake: Callable[[], object] = lambda: None
        """Called by a push, in the program's thread: never raises, returns at once."""
        self.wake_at = NEVER
        """How many must be held already for a push to wake the sender; 0 is any push."""

    def push(self, lifetime: SpanLifetime) -> bool:
        """Take a lifetime, or count it as dropped; whether it was taken."""
        held = len(self._buffer)
        if held >= self.capacity:
            self.dropped += 1
            return False
        self._buffer.append(lifetime)
        self.pushed += 1
        if held >= self.wake_at:
            self.wake()
        return True

    def drain(self, most: int) -> list[SpanLifetime]:
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
