"""The ring in C does what a bounded queue does, whatever is done to it."""

import gc
import weakref
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from whence.engine import Ring, SpanLifetime, twin
from whence.engine.ring import NEVER

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

number = st.integers(0, 3000)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("push"), number),
        st.tuples(st.just("push"), number),
        st.tuples(st.just("drain"), st.one_of(number, st.sampled_from([-1, 2**62]))),
        st.tuples(st.just("capacity"), number),
        st.tuples(st.just("wake_at"), st.one_of(number, st.just(NEVER))),
        st.tuples(st.just("clear"), st.just(0)),
    ),
    max_size=30,
)


@examples(max_examples=100, deadline=None)
@given(acts)
def test_it_is_a_bounded_queue(story: list[tuple[str, int]]) -> None:
    ring, model = Ring(2000), deque[SpanLifetime]()
    capacity, wake_at, dropped, drained = 2000, NEVER, 0, 0
    expected_wakes = 0
    woken: list[None] = []
    ring.wake = lambda: woken.append(None)
    for act, value in story:
        if act == "push":
            for _ in range(value):
                lifetime = SpanLifetime()
                fits = len(model) < capacity
                assert ring.push(lifetime) is fits
                if fits:
                    expected_wakes += len(model) >= wake_at
                    model.append(lifetime)
                else:
                    dropped += 1
        elif act == "drain":
            came = ring.drain(value)
            assert came == [model.popleft() for _ in range(max(0, min(value, len(model))))]
            drained += len(came)
        elif act == "capacity":
            ring.capacity = capacity = value
        elif act == "wake_at":
            ring.wake_at = wake_at = value
        else:
            ring.clear()
            model.clear()
            dropped = drained = 0
        assert (len(ring), ring.dropped, ring.drained) == (len(model), dropped, drained)
        assert (ring.pushed, ring.capacity, ring.wake_at) == (
            drained + len(model),
            capacity,
            wake_at,
        )
        assert len(woken) == expected_wakes


class Watched(SpanLifetime):
    """Can be watched, and does something when it goes."""

    __slots__ = ("__weakref__", "ring")

    ring: Ring

    def __del__(self) -> None:
        self.ring.push(SpanLifetime())


def test_what_is_let_go_of_may_push_more() -> None:
    ring = Ring()
    for _ in range(5):
        watched = Watched()
        watched.ring = ring
        ring.push(watched)
    gone = weakref.ref(watched)
    del watched
    ring.clear()
    assert gone() is None
    # What came during that is there.
    assert len(ring) == 5
    assert ring.pushed == 5


def test_it_goes_with_what_it_holds_and_whom_it_wakes() -> None:
    def push_one() -> "weakref.ref[Watched]":
        ring, lifetime = Ring(), Watched()
        lifetime.ring = Ring()
        ring.wake = lambda: ring.drain(1)
        ring.push(lifetime)
        return weakref.ref(lifetime)

    gone = push_one()
    gc.collect()
    assert gone() is None


def test_who_raises_when_woken_harms_nobody() -> None:
    ring = Ring()
    ring.wake = lambda: 1 / 0
    ring.wake_at = 0
    assert ring.push(SpanLifetime()) is True
    assert len(ring) == 1


@pytest.mark.parametrize("wrong", ["x", None, 1.5, 2**70])
def test_what_is_no_number_is_refused(wrong: Any) -> None:
    ring = Ring(3)
    with pytest.raises((TypeError, OverflowError)):
        ring.capacity = wrong
    with pytest.raises((TypeError, OverflowError)):
        ring.wake_at = wrong
    if wrong != 2**70:
        with pytest.raises(TypeError):
            ring.drain(wrong)
    with pytest.raises((TypeError, OverflowError)):
        Ring(wrong)
    assert (ring.capacity, ring.wake_at) == (3, NEVER)
