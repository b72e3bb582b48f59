"""Futures that nothing can settle any more: only those who wait for them refer to them.

Counted, not guessed: every reference to the future must be one of a waiter's, or of a container
that only waiters refer to.  One that the collector does not show, a local variable of a running
function say, or what is frozen or in an extension, counts as somebody who may settle it.

The whole heap is walked for each step outwards, and a walk for 32 futures takes less than twice as
long as for one: so many are looked at together.  It is done for `why` alone.
"""

import gc
import sys
from _weakref import getweakrefcount
from collections import Counter, defaultdict, deque
from time import perf_counter
from types import BuiltinMethodType, CellType, FrameType, MethodType
from typing import Any

MAX_FUTURES = 96
_AT_ONCE = 32
"""Futures that are looked at in the same walks."""
MAX_STEPS = 5
MAX_OBJECTS = 2000
"""Of what refers to futures, that is looked at in one step."""
_PATIENCE = 0.5
"""Seconds after which no further futures are looked at."""

_PASSES_ON = (CellType, deque, dict, list, set, tuple, MethodType, BuiltinMethodType)
"""What settles nothing by itself; who refers to it may."""


def stranded(futures: list[Any], waiting: list[set[int]]) -> list[bool]:
    """Of each future, whether nothing but its waiters refers to it.

    `waiting` are for each the addresses of the tasks that wait for it and of the coroutines that
    they consist of."""
    answers = [False] * len(futures)
    until = perf_counter() + _PATIENCE
    for start in range(0, min(len(futures), MAX_FUTURES), _AT_ONCE):
        if start and perf_counter() > until:
            break
        search = _Search(futures)
        search.walk(start, start + _AT_ONCE)
        for index in range(start, min(start + _AT_ONCE, len(futures))):
            only_waiters = search.is_stranded(index, waiting[index])
            # Who has settled it meanwhile has let go of it.
            answers[index] = only_waiters and not futures[index].done()
    return answers


class _Search:
    """From some futures outwards, all in the same walks: what refers to what."""

    def __init__(self, futures: list[Any]) -> None:
        self._futures = futures
        self._ours = {id(futures)}
        """Addresses of our own lists: what they refer to is no news."""
        self._kept: list[Any] = []
        """So that nothing else has the address of what was found."""
        self._outer: defaultdict[int, set[int]] = defaultdict(set)
        """Address -> those of what refers to it and settles nothing by itself."""
        self._holders: defaultdict[int, set[int]] = defaultdict(set)
        """Address -> those of what refers to it and may settle it, unless it is a waiter."""
        self._escaped: set[int] = set()
        """Addresses of what others may know, or was not looked at."""

    def walk(self, start: int, stop: int) -> None:
        """Look at what refers to these futures, and at what refers to that."""
        # A tuple: another would be made of a list for the call, and be found among the referrers.
        layer = tuple(self._futures[start:stop])
        seen = set(map(id, layer))
        for _ in range(MAX_STEPS):
            outer = self._outwards(layer, seen)
            layer = tuple(outer)
            outer.clear()
            if not layer or len(layer) > MAX_OBJECTS:
                break
        self._escaped.update(map(id, layer))

    def is_stranded(self, index: int, waiters: set[int]) -> bool:
        """Whether all that refers to a future in the end are its waiters."""
        reached: set[int] = set()
        follow = [id(self._futures[index])]
        while follow:
            address = follow.pop()
            if address in reached:
                continue
            reached.add(address)
            if address in self._escaped or not self._holders[address] <= waiters:
                return False
            follow += self._outer[address] - waiters
        return True

    def _outwards(self, layer: tuple[Any, ...], seen: set[int]) -> list[Any]:
        """What refers to these, settles nothing by itself and is new."""
        outer: list[Any] = []
        self._ours |= {id(layer), id(outer), id(self._kept)}
        self._kept += (layer, outer)
        here = set(map(id, layer))
        known: Counter[int] = Counter()
        referrers = gc.get_referrers(*layer)
        for one in referrers:
            if id(one) in self._ours or _is_frame_of_ours(one):
                continue
            referents = list(map(id, gc.get_referents(one)))
            known.update(referents)
            if _waits(one):
                continue
            passes_on = _passes_on(one)
            links = self._outer if passes_on else self._holders
            for address in here.intersection(referents):
                links[address].add(id(one))
            if passes_on and id(one) not in seen:
                seen.add(id(one))
                outer.append(one)
        one = None
        referrers.clear()
        for index in range(len(layer)):
            if self._is_held_by_others(layer, index, known):
                self._escaped.add(id(layer[index]))
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
