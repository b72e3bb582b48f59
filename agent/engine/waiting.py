"""What waits for its turn on the running loop: who is late because of a step that held it.

Callbacks and steps that are scheduled, and timers that are due.  Not what the loop has not heard of
yet: connections with data wait in the system, nobody knows since when.

asyncio's own loops keep their handles in a deque and a heap.  uvloop keeps them in a deque and a
set, which it shows only to the collector.
"""

import sys
from collections import deque
from collections.abc import Iterator
from gc import get_referents
from itertools import islice
from typing import Any

from .lifetimes import RecordedLifetime

MAX_LOOKED_AT = 10_000
"""Handles that are looked at in each of the two places."""

brackets: set[type] = set()
"""What loops with handles of their own are given in place of callbacks; each has a `lifetime`."""


class Waiting:
    """What waits: the lifetimes, and how many more there may be that were not looked at."""

    __slots__ = ("lifetimes", "more")

    def __init__(self, now: int) -> None:
        self.lifetimes: list[RecordedLifetime] = []
        self.more = 0
        asyncio: Any = sys.modules.get("asyncio")
        loop = None if asyncio is None else asyncio._get_running_loop()
        if loop is None:
            return
        if isinstance(loop, asyncio.BaseEventLoop):
            ready, timers = _of_asyncio(loop, now)
        else:
            ready, timers = _of_another(loop)
        self.more = max(0, len(ready) - MAX_LOOKED_AT)
        for handle in islice(ready, MAX_LOOKED_AT):
            self._add(handle, now)
        for handle in islice(timers, MAX_LOOKED_AT):
            self._add(handle, now)

    def _add(self, handle: Any, now: int) -> None:
        if _is_cancelled(handle):
            return
        lifetime = _lifetime_of(handle)
        if isinstance(lifetime, RecordedLifetime) and lifetime.open and lifetime.scheduled < now:
            self.lifetimes.append(lifetime)


def _of_asyncio(loop: Any, now: int) -> tuple[deque[Any], Iterator[Any]]:
    ready = getattr(loop, "_ready", None)
    timers = getattr(loop, "_scheduled", None)
    return (
        ready if type(ready) is deque else deque(),
        _due(timers, now) if type(timers) is list else iter(()),
    )


def _due(heap: list[Any], now: int) -> Iterator[Any]:
    """The timers of a heap that are due: below one that is not, none is."""
    positions = [0]
    while positions:
        position = positions.pop()
        if position < len(heap):
            handle = heap[position]
            lifetime = _lifetime_of(handle)
            if lifetime is None or getattr(lifetime, "scheduled", 0) < now:
                yield handle
                positions += (2 * position + 1, 2 * position + 2)


def _of_another(loop: Any) -> tuple[deque[Any], Iterator[Any]]:
    kept = get_referents(loop)
    readies = [one for one in kept if type(one) is deque]
    timers = (handle for one in kept if type(one) is set for handle in tuple(one))
    return readies[0] if len(readies) == 1 else deque(), timers


def _is_cancelled(handle: Any) -> bool:
    cancelled = getattr(type(handle), "cancelled", None)
    return cancelled is not None and bool(handle.cancelled())


def _lifetime_of(handle: Any) -> Any:
    lifetime = getattr(handle, "_lifetime", None)
    if lifetime is None and brackets:
        for referent in get_referents(handle):
            if type(referent) in brackets:
                # The loop may have it before its lifetime is made.
                return getattr(referent, "lifetime", None)
    return lifetime
