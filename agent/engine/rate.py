"""How many spans a second are exported: whole traces, as long as there is room.

The room grows by so many spans a second, to what one second brings, and each exported span takes
one.  A trace begins while there is room, and then is exported to its end: so there may be too
little room afterwards, and then nothing begins until it has grown again.  A trace that fails or
blocks may begin also where there is none, up to what another second brings.

The time is that at which lifetimes end, which is the time of the program, not that of a batch.
"""


class Rate:
    """The room for spans.  Only the sender thread uses it."""

    __slots__ = ("_at", "_room", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        """Spans a second."""
        self._room = float(most)
        self._at: int | None = None

    def has_room(self, now: int, *, preferred: bool) -> bool:
        """Whether a trace may begin at this time, in nanoseconds."""
        if self._at is None:
            self._at = now
        elif now > self._at:
            self._room = min(self.most, self._room + (now - self._at) * self.most / 1e9)
            self._at = now
        return self._room > (-self.most if preferred else 0)

    def take(self) -> None:
        """A span is exported."""
        self._room -= 1
