"""The buffer of finished lifetimes: bounded, never blocking."""

import threading
import weakref

import pytest

from whence.engine import Ring, SpanLifetime
from whence.engine.ring import CAPACITY, NEVER, let_go


def lifetimes(number: int) -> list[SpanLifetime]:
    return [SpanLifetime() for _ in range(number)]


def test_what_is_pushed_is_drained_oldest_first() -> None:
    ring = Ring()
    pushed = lifetimes(5)
    assert [ring.push(lifetime) for lifetime in pushed] == [True] * 5
    assert len(ring) == 5
    assert ring.drain(2) == pushed[:2]
    assert ring.drain(100) == pushed[2:]
    assert ring.drain(100) == []
    assert (len(ring), ring.pushed, ring.dropped) == (0, 5, 0)


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    ring = Ring(capacity=3)
    pushed = lifetimes(5)
    assert [ring.push(lifetime) for lifetime in pushed] == [True] * 3 + [False] * 2
    assert (len(ring), ring.pushed, ring.dropped) == (3, 3, 2)
    assert ring.drain(10) == pushed[:3]
    assert ring.push(pushed[4])
    assert ring.dropped == 2


def test_its_capacity_is_what_the_design_says() -> None:
    assert Ring().capacity == CAPACITY == 65_536


@pytest.mark.parametrize(("wake_at", "wakes"), [(0, 4), (2, 2), (NEVER, 0)])
def test_a_push_wakes_the_sender_once_so_many_are_held(wake_at: int, wakes: int) -> None:
    ring = Ring()
    woken: list[int] = []
    ring.wake = lambda: woken.append(len(ring))
    ring.wake_at = wake_at
    for lifetime in lifetimes(4):
        ring.push(lifetime)
    assert len(woken) == wakes
    assert woken == list(range(4 - wakes + 1, 5))


def test_cleared_it_holds_and_has_counted_nothing() -> None:
    ring = Ring(capacity=1)
    for lifetime in lifetimes(3):
        ring.push(lifetime)
    ring.clear()
    assert (len(ring), ring.pushed, ring.dropped, ring.drain(9)) == (0, 0, 0, [])


def test_of_what_many_threads_push_while_one_drains_nothing_is_lost_or_doubled() -> None:
    ring = Ring()
    drained: list[SpanLifetime] = []
    pushed = [lifetimes(1000) for _ in range(4)]

    def push(mine: list[SpanLifetime]) -> None:
        for lifetime in mine:
            ring.push(lifetime)

    threads = [threading.Thread(target=push, args=(mine,)) for mine in pushed]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        drained += ring.drain(64)
    drained += ring.drain(5000)
    assert {id(lifetime) for lifetime in drained} == {id(one) for mine in pushed for one in mine}
    assert len(drained) == 4000


class Watched(SpanLifetime):
    """Can be watched, and looks at the list that it was in when it goes."""

    __slots__ = ("__weakref__", "among", "seen")

    among: list[SpanLifetime]
    seen: list[int]

    def __del__(self) -> None:
        self.seen.append(len(self.among))


def test_whom_nobody_else_has_is_let_go_of() -> None:
    among: list[SpanLifetime] = []
    seen: list[int] = []
    for _ in range(50):
        watched = Watched()
        watched.among, watched.seen = among, seen
        among.append(watched)
    kept = among[7]
    all_of_them = [weakref.ref(lifetime) for lifetime in among]  # type: ignore[type-var]
    del watched
    let_go(among)
    assert among == []
    assert [gone() for gone in all_of_them if gone() is not None] == [kept]
    assert seen == [0] * 49
    let_go(among)
    assert among == []
