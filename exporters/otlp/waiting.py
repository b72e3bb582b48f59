"""Spans that wait for another try, encoded: a receiver that is away for a while gets them later.

- They are bounded in bytes.  Beyond that the oldest go: of what happened last there is most to see,
  and of its traces the roots are still to come.
- What came in many small batches goes in few requests.
"""

from collections import deque
from typing import NamedTuple

from ..http_connection import Content
from .protobuf import Surroundings

MOST_WAITING = 16 << 20
"""Bytes; some 35,000 spans."""


class Parcel(NamedTuple):
    """Encoded spans."""

    number: int
    content: bytes | memoryview
    """A view is good until the next parcel is made; what waits is copied."""
    around: Surroundings | None
    """What makes a request of them; None if they are one."""

    def request(self) -> Content:
        """The request that takes them to the receiver, in parts."""
        return [self.content] if self.around is None else self.around.request(self.content)


class Waiting:
    """Parcels, the oldest first."""

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0
        self.spans = 0

    def add(self, parcel: Parcel) -> None:
        """Keep one more; the oldest are dropped for it."""
        parcel = parcel._replace(content=bytes(parcel.content))
        self._parcels.append(parcel)
        self._count(parcel, 1)
        while self._bytes > MOST_WAITING:
            self._count(self._parcels.popleft(), -1)

    def put_back(self, parcel: Parcel) -> None:
        """Keep one that was taken out."""
        self._parcels.appendleft(parcel)
        self._count(parcel, 1)

    def take(self, most: int) -> Parcel | None:
        """The oldest, and what fits into the same request of about `most` bytes; None if there is
        nothing."""
        if not self._parcels:
            return None
        together = [self._out()]
        size = len(together[0].content)
        around = together[0].around
        while around is not None and self._parcels and self._parcels[0].around is around:
            size += len(self._parcels[0].content)
            if size > most:
                break
            together.append(self._out())
        if len(together) == 1:
            return together[0]
        number = sum(parcel.number for parcel in together)
        return Parcel(number, b"".join([parcel.content for parcel in together]), around)

    def _out(self) -> Parcel:
        parcel = self._parcels.popleft()
        self._count(parcel, -1)
        return parcel

    def _count(self, parcel: Parcel, sign: int) -> None:
        self.spans += sign * parcel.number
        self._bytes += sign * len(parcel.content)
