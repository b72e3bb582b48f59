"""Futures that nothing can settle any more: only those who wait for them refer to them.

Counted, not guessed: every reference to the future must be one of a waiter's, or of a container
that only waiters refer to.  One that the collector does not show, a local variable of a running
function say, or what is frozen or in an extension, counts as somebody who may settle it.  The whole
heap is walked for each step outwards: it is done for `why` alone, and for a few futures.
"""

import gc
import sys
from _weakref import getweakrefcount
from collections import Counter, deque
from time import perf_counter
from types import BuiltinMethodType, CellType, FrameType, MethodType
from typing import Any

MAX_FUTURES = 100
MAX_STEPS = 5
MAX_OBJECTS = 2000
"""Of what refers to a future, that is looked at in one step."""
_PATIENCE = 0.5
"""Seconds after which no further future is looked at."""

_PASSES_ON = (CellType, deque, dict, list, set, tuple, MethodType, BuiltinMethodType)
"""What settles nothing by itself; who refers to it may."""


def stranded(futures: list[Any], waiting: list[set[int]]) -> list[bool]:
    """Of each future, whether nothing but its waiters refers to it.

    `waiting` are for each the addresses of the tasks that wait for it and of the coroutines that
    they consist of."""
    answers = [False] * len(futures)
    until = perf_counter() + _PATIENCE
    for index in range(min(len(futures), MAX_FUTURES)):
        if perf_counter() > until:
            break
        only_waiters = _Search(futures, waiting[index]).is_stranded(index)
        # Who has settled it meanwhile has let go of it.
        answers[index] = only_waiters and not futures[index].done()
    return answers


class _Search:
    """From one future outwards."""

    def __init__(self, futures: list[Any], waiting: set[int]) -> None:
        self._futures = futures
        self._waiting = waiting
        self._ours = {id(futures)}
        """Addresses of our own lists: what they refer to is no news."""
        self._kept: list[Any] = []
        """So that no other list has such an address."""

    def is_stranded(self, index: int) -> bool:
        # A tuple: another would be made of a list for the call, and be found among the referrers.
        layer: tuple[Any, ...] = (self._futures[index],)
        seen: set[int] = set()
        for _ in range(MAX_STEPS):
            outer = self._outwards(layer, seen)
            if outer is None or len(outer) > MAX_OBJECTS:
                return False
            if not outer:
                return True
            layer = tuple(outer)
            outer.clear()
        return False

    def _outwards(self, layer: tuple[Any, ...], seen: set[int]) -> list[Any] | None:
        """What refers to these and may be known to others; None if they are known to others."""
        outer: list[Any] = []
        self._ours |= {id(layer), id(outer), id(self._kept)}
        self._kept += (layer, outer)
        known: Counter[int] = Counter()
        referrers = gc.get_referrers(*layer)
        for one in referrers:
            if id(one) in self._ours or _is_frame_of_ours(one):
                continue
            known.update(map(id, gc.get_referents(one)))
            if id(one) in seen or id(one) in self._waiting or _waits(one):
                continue
            if not _passes_on(one):
                return None
            seen.add(id(one))
            outer.append(one)
        one = None
        referrers.clear()
        if any(self._is_held_by_others(layer, index, known) for index in range(len(layer))):
            return None
        return outer

    def _is_held_by_others(self, layer: tuple[Any, ...], index: int, known: Counter[int]) -> bool:
        """Whether there are references that no referrer accounts for: more than the collector's
        view, our two lists, and the call here; or weak ones: a stream's reader is known so to the
        protocol that fills it."""
        if getweakrefcount(layer[index]):
            return True
        ours = 2 + sum(one is layer[index] for one in self._futures)
        return sys.getrefcount(layer[index]) - ours > known[id(layer[index])]


def _waits(one: Any) -> bool:
    """The awaitable between a future and the coroutine that awaits it."""
    return type(one).__name__ == "FutureIter"


def _passes_on(one: Any) -> bool:
    return isinstance(one, _PASSES_ON) or type(one).__module__.startswith("asyncio.")


def _is_frame_of_ours(one: Any) -> bool:
    return isinstance(one, FrameType) and one.f_code.co_filename == __file__
