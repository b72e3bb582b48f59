"""Places from C are those that Python gives: what is ordinary, and what is not."""

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lives import Lives, lives_on_a_clock_of_their_own
from whence.engine import Span, SpanLifetime, Trace, TraceIdentity, Tracer, ring, twin
from whence.engine.placing import MAX_DEPTH, give, place_each, place_ordinary
from whence.engine.resource_types import REQUEST, SERVER, TASK

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

_number = st.integers(0, 9)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), _number, st.sampled_from([TASK, TASK, TASK, REQUEST, SERVER])),
        st.tuples(st.just("begin"), _number, st.just(TASK)),
        st.tuples(st.sampled_from(["end", "end", "fail", "cut", "carry"]), _number, st.none()),
        st.tuples(st.just("wait"), st.just(0), st.none()),
        st.tuples(st.just("drain"), st.just(0), st.none()),
    ),
    min_size=10,
    max_size=150,
)


def told(story: list[Any], tracer: Tracer) -> list[tuple[Any, ...]]:
    """What comes out of a story: each lifetime by its number in it."""
    with pytest.MonkeyPatch.context() as patch, lives_on_a_clock_of_their_own(patch) as lives:
        lives.tracer = tracer
        numbers: dict[int, int] = {}
        alive: list[SpanLifetime] = []
        out: list[SpanLifetime] = []
        for act, which, row in story:
            one = alive[-1 - which % len(alive)] if alive else None
            if act == "begin":
                made = lives.begin(f"{len(numbers)}", one, row)
                numbers[made.async_id] = len(numbers)
                alive.append(made)
            elif act == "wait":
                lives.wait(1)
            elif act == "drain":
                out += lives.tracer.place_all(ring.drain(1000))
            elif one is None:
                continue
            elif act == "cut":
                out.append(lives.cut(one))
            elif act == "carry":
                one.attributes = {"carrier": {"traceparent": "x"}, "size": 1}
            elif act == "fail":
                lives.fail(one, ValueError("x"))
                alive.remove(one)
            else:
                lives.end(one)
                alive.remove(one)
        out += lives.tracer.place_all(ring.drain(1000))
        return [_seen(lifetime, numbers) for lifetime in out]


def _seen(lifetime: SpanLifetime, numbers: dict[int, int]) -> tuple[Any, ...]:
    place = lifetime.span
    assert isinstance(place, Span)
    link = lifetime.link
    assert link is None or isinstance(link, Span)
    trace = place.trace
    return (
        numbers[place.async_id],
        place.segment,
        None if place.parent is None else (numbers[place.parent[0]], place.parent[1]),
        None if link is None else (numbers[link.async_id], link.segment),
        place.depth,
        place.out,
        place.consumer,
        place.counted,
        trace.spans,
        trace.carrier,
        None if trace.root is None else numbers[trace.root.async_id],
        trace.top is None,
        lifetime.parent,
        lifetime.attributes,
    )


class InPython(Tracer):
    """Takes the long way with all of them."""

    @property
    def _takes_all(self) -> bool:
        return False


@examples(max_examples=200, deadline=None)
@given(acts, st.sampled_from([1, 2, 4, 2000]))
def test_all_places_are_those_that_python_gives(story: list[Any], max_spans: int) -> None:
    assert told(story, Tracer(max_spans)) == told(story, InPython(max_spans))


def test_a_whole_tree_is_ordinary(lives: Lives) -> None:
    top = lives.begin("top")
    middle = lives.begin("middle", top)
    leaf = lives.begin("leaf", middle)
    for one in (leaf, middle, top):
        lives.end(one, after=2)
    # The first places its ancestors too.
    for one in (leaf, middle, top):
        assert place_ordinary(one, 2000) is True
    assert [one.span.depth for one in (top, middle, leaf)] == [0, 1, 2]  # type: ignore[union-attr]
    assert leaf.span.trace.spans == 3  # type: ignore[union-attr]
    assert leaf.span.trace.top is None  # type: ignore[union-attr]


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 3 * MAX_DEPTH])
def test_no_trace_is_too_deep(lives: Lives, depth: int) -> None:
    chain = [lives.begin("0")]
    for number in range(depth):
        chain.append(lives.begin(str(number + 1), chain[-1]))
    for one in reversed(chain):
        lives.end(one, after=1)
    out = lives.tracer.place_all(ring.drain(1000))
    assert len(out) == depth + 1
    assert max(one.span.depth for one in out) <= MAX_DEPTH  # type: ignore[union-attr]


def test_where_no_identity_comes_a_trace_goes_all_the_same(lives: Lives) -> None:
    """Its root leads to it, and it to its root."""
    lives.live(2, "main")
    (lifetime,) = lives.tracer.place_all(ring.drain(10))
    assert lifetime.span is not None
    assert lifetime.span.trace.root is lifetime
    gone = weakref.ref(lifetime.span.trace)
    del lifetime
    gc.collect()
    assert gone() is None


def test_the_first_place_counts(lives: Lives) -> None:
    lifetime = lives.live(2, "main")
    first, second = (Span(Trace(None), 1, 0, None) for _ in range(2))
    assert give(lifetime, first) is first
    assert give(lifetime, second) is first
    assert lifetime.span is first


def test_the_first_identity_counts(lives: Lives) -> None:
    trace = Trace(lives.begin("main"))
    trace.carrier = {"traceparent": "x"}
    first, second = (TraceIdentity(n, None, None, sampled=True) for n in (1, 2))
    assert trace.identify(first) is first
    assert trace.identify(second) is first
    assert (trace.identity, trace.root, trace.carrier) == (first, None, None)


@pytest.mark.parametrize("trace_id", [0, 1, 2**64, 2**128 - 1, 2**128, -1])
def test_an_identity_says_what_it_was_given(trace_id: int) -> None:
    identity = TraceIdentity(trace_id, "flags", None, sampled=False)
    assert (identity.trace_id, identity.flags, identity.state) == (trace_id, "flags", None)
    assert (identity.sampled, identity.attributes, identity.remote_parent) == (False, {}, None)
    identity.attributes["key"] = 1
    assert identity.attributes == {"key": 1}


@pytest.mark.parametrize(
    "call",
    [
        lambda: place_ordinary(object(), 1),  # type: ignore[arg-type]
        lambda: place_ordinary(SpanLifetime(), "x"),  # type: ignore[arg-type]
        lambda: place_each((), 1, bool),  # type: ignore[arg-type]
        lambda: place_each([object()], 1, bool),  # type: ignore[list-item]
        lambda: give(SpanLifetime(), object()),  # type: ignore[arg-type]
        lambda: Span(None, 1, 0, None),  # type: ignore[arg-type]
        lambda: Span(Trace(None), 1, 0, object()),  # type: ignore[arg-type]
        lambda: Trace(None).identify(object()),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_a_wrong_type_is_refused(call: Any) -> None:
    with pytest.raises(TypeError):
        call()


def test_what_is_not_ordinary_is_left_to_python(lives: Lives) -> None:
    asked: list[SpanLifetime] = []

    def place(lifetime: SpanLifetime) -> bool:
        asked.append(lifetime)
        return len(asked) == 1

    one, other = (lives.live(2, "main") for _ in range(2))
    one.links = other.links = [(one, "trigger")]
    assert place_each(ring.drain(10), 2000, place) == [one]
    assert asked == [one, other]

    def broken(lifetime: SpanLifetime) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        place_each([one], 2000, broken)
