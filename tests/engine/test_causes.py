"""The chain of causes: bounded, and keeping nothing of the program."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from lives import Lives, lives_on_a_clock_of_their_own
from telling import recorded
from whence import AsyncResource, create_hook
from whence.engine import Cause, RecordedLifetime, SpanLifetime, local, open_lifetimes
from whence.engine.causes import MAX_DEPTH


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lives]:
    with lives_on_a_clock_of_their_own(monkeypatch) as made:
        yield made


def names(lifetime: RecordedLifetime) -> list[str | None]:
    """The causes of a lifetime, nearest first."""
    return [] if lifetime.cause is None else [cause.name for cause in lifetime.cause.chain()]


def test_the_chain_leads_from_the_nearest_to_the_first(lives: Lives) -> None:
    first = lives.begin("first")
    second = lives.begin("second", by=first)
    third = lives.begin("third", by=second)
    assert names(third) == ["second", "first"]
    assert names(first) == []


def test_all_that_one_triggers_share_one_cause(lives: Lives) -> None:
    parent = lives.begin("parent")
    a, b = lives.begin("a", by=parent), lives.begin("b", by=parent)
    assert a.cause is b.cause is parent.own_cause
    assert a.cause is not None
    assert a.cause.async_id == parent.async_id
    assert a.cause.type is parent.type
    assert a.cause.repeats == 1


def test_a_cause_says_where_it_was_created(lives: Lives) -> None:
    parent = lives.begin("parent")
    child = lives.begin("child", by=parent)
    assert child.cause is not None
    where = child.cause.site()
    assert where is not None
    assert where.file == __file__
    assert where.function == test_a_cause_says_where_it_was_created.__qualname__


def test_what_is_not_recorded_is_no_cause(lives: Lives) -> None:
    assert lives.begin("at the top").cause is None


def test_a_cause_outlives_what_it_was(lives: Lives) -> None:
    """A settled future is destroyed before its callbacks run, and is their cause all the same."""
    parent = lives.begin("parent")
    lives.end(parent)
    assert names(lives.begin("child", by=parent)) == ["parent"]


def test_equal_consecutive_sites_are_one_hop_with_a_number(lives: Lives) -> None:
    """A timer that re-arms itself grows no chain."""
    last = lives.begin("main")
    for _ in range(1000):
        last = lives.begin("tick", by=last)
    child = lives.begin("child", by=last)
    assert names(child) == ["tick", "main"]
    assert child.cause is not None
    assert child.cause.repeats == 1000
    assert child.cause.async_id == last.async_id
    assert child.cause.depth == 2


def grow(lives: Lives, last: SpanLifetime, first: int, end: int) -> SpanLifetime:
    """A chain without repeats: two lines take turns."""
    for number in range(first, end):
        if number % 2:
            last = lives.begin(f"odd {number}", by=last)
        else:
            last = lives.begin(f"even {number}", by=last)
    return last


def test_no_chain_is_longer_than_its_bound_and_the_nearest_hops_survive(lives: Lives) -> None:
    last = lives.begin("main")
    longest = 0
    for number in range(100):
        last = grow(lives, last, number, number + 1)
        child = lives.begin("child", by=last)
        assert child.cause is not None
        chain = child.cause.chain()
        longest = max(longest, len(chain))
        assert len(chain) == chain[0].depth <= MAX_DEPTH
        assert [cause.depth for cause in chain] == list(range(len(chain), 0, -1))
        assert chain[0].async_id == last.async_id
        assert [cause.async_id for cause in chain] == sorted(
            (cause.async_id for cause in chain), reverse=True
        )
        assert len(chain) >= min(number + 2, MAX_DEPTH // 2)
    assert longest == MAX_DEPTH


def test_a_long_chain_that_is_cut_leaves_others_whole(lives: Lives) -> None:
    last = grow(lives, lives.begin("main"), 0, MAX_DEPTH - 1)
    before = lives.begin("before", by=last)
    assert before.cause is not None
    whole = before.cause.chain()
    assert len(whole) == MAX_DEPTH
    grow(lives, last, MAX_DEPTH, MAX_DEPTH + 4)
    assert before.cause.chain() == whole
    assert whole[-1].name == "main"


def test_a_cause_keeps_no_resource_alive() -> None:
    """SEMANTICS 8.4."""
    kept: list[Cause | None] = []

    def init(async_id: int, type: str, *_: object) -> None:
        if type == "CHILD":
            kept.append(open_lifetimes[async_id].cause)

    with recorded(), create_hook(init=init):
        parent = AsyncResource("PARENT")
        gone = weakref.ref(parent)
        parent.run_in_async_scope(AsyncResource, "CHILD")
        del parent
        assert gone() is None
        gc.collect()
    (cause,) = kept
    assert cause is not None
    assert cause.type.name == "PARENT"


def test_a_real_timer_that_re_arms_itself_grows_no_chain() -> None:
    depths: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def tick(left: int) -> None:
            current = local.state.current
            assert isinstance(current, RecordedLifetime)
            depths.append(0 if current.cause is None else current.cause.depth)
            if left:
                loop.call_later(0, tick, left - 1)
            else:
                done.set_result(None)

        tick(100)
        await done

    with recorded():
        asyncio.run(main())
    assert len(depths) == 101
    assert max(depths) <= 3
