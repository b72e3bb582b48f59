"""The open lifetimes as a list in C: a mapping by id, oldest first, whatever comes and goes."""

import gc
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from whence.engine import DONE, RecordedLifetime, Token, local, open_lifetimes, recorder, twin
from whence.engine.recorder import begin, finish_outside, is_listed
from whence.engine.resource_types import FUTURE, HANDLE, TASK

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)


@pytest.fixture(autouse=True)
def nothing_open() -> Iterator[None]:
    sends, recorder.sends = recorder.sends, False
    open_lifetimes.clear()
    yield
    open_lifetimes.clear()
    recorder.sends = sends


def make(row: Any = HANDLE) -> RecordedLifetime:
    state = local.state
    return begin(row, state.current, state, 1)


def test_what_comes_and_goes_at_random_is_as_in_a_dict() -> None:
    choice = random.Random(7)
    mirror: dict[int, RecordedLifetime] = {}
    for _ in range(5000):
        if not mirror or choice.random() < 0.55:
            one = make(choice.choice((HANDLE, FUTURE, TASK)))
            mirror[one.async_id] = one
        else:
            one = mirror.pop(choice.choice(list(mirror)))
            how = choice.randrange(3)
            if how == 0:
                finish_outside(one, DONE, one.created)
            elif how == 1:
                assert open_lifetimes.pop(one.async_id) is one
            else:
                del open_lifetimes[one.async_id]
            assert not is_listed(one)
        if choice.random() < 0.02:
            assert list(open_lifetimes.values()) == list(mirror.values())
            assert list(open_lifetimes) == list(open_lifetimes.keys()) == list(mirror)
        asked = choice.choice(list(mirror)) if mirror else 1
        assert open_lifetimes.get(asked) is mirror.get(asked)
        assert open_lifetimes.get(asked + 1) is mirror.get(asked + 1)
        assert (asked in open_lifetimes) is (asked in mirror)
        assert len(open_lifetimes) == len(mirror)
    assert open_lifetimes == mirror
    assert repr(open_lifetimes) == repr(mirror)


def test_one_that_is_put_back_stands_where_its_id_is() -> None:
    first, middle, last = make(), make(), make()
    open_lifetimes.pop(middle.async_id)
    open_lifetimes[middle.async_id] = middle
    open_lifetimes[middle.async_id] = middle
    assert list(open_lifetimes.values()) == [first, middle, last]


@pytest.mark.parametrize("key", [None, "1", 1.0, -1, 0, 2**63, -(2**63), 2**200, (), object()])
def test_what_is_no_id_of_any_is_not_in_it(key: Any) -> None:
    make()
    assert key not in open_lifetimes
    assert open_lifetimes.get(key) is None
    assert open_lifetimes.get(key, 5) == 5
    assert open_lifetimes.pop(key, 5) == 5
    for refused in (open_lifetimes.__getitem__, open_lifetimes.pop, open_lifetimes.__delitem__):
        with pytest.raises(KeyError):
            refused(key)


def test_it_takes_nothing_but_what_is_recorded() -> None:
    with pytest.raises(TypeError, match="expected a RecordedLifetime"):
        open_lifetimes[1] = local.state.current  # type: ignore[assignment]
    with pytest.raises(TypeError):
        hash(open_lifetimes)
    assert len(open_lifetimes) == 0


def test_it_holds_each_and_lets_it_go() -> None:
    one = make()
    held = sys.getrefcount(one)
    finish_outside(one, DONE, one.created)
    assert sys.getrefcount(one) == held - 1
    finish_outside(one, DONE, one.created)
    assert sys.getrefcount(one) == held - 1
    open_lifetimes[one.async_id] = one
    assert sys.getrefcount(one) == held
    open_lifetimes.clear()
    assert sys.getrefcount(one) == held - 1


class Ending:
    """Ends others when it is dropped."""

    def __init__(self, others: list[RecordedLifetime]) -> None:
        self.others = others

    def __del__(self) -> None:
        for other in self.others:
            finish_outside(other, DONE, other.created)
        make()


def test_what_goes_may_end_others_and_begin_new_ones() -> None:
    others: list[RecordedLifetime] = []
    for number in range(50):
        one: Any = make(TASK)
        if number % 5 == 0:
            one.attributes = {"ending": Ending(others)}
        else:
            others.append(one)
    del one
    open_lifetimes.clear()
    gc.collect()
    assert all(not is_listed(other) for other in others)
    open_lifetimes.clear()
    assert len(open_lifetimes) == 0


def test_lists_of_it_are_whole_while_threads_change_it() -> None:
    wrong: list[str] = []
    done = threading.Event()
    interval = sys.getswitchinterval()

    def change() -> None:
        mine: list[RecordedLifetime] = []
        for number in range(4000):
            mine.append(make())
            if number % 3:
                finish_outside(mine.pop(0), DONE, 1)
        for one in mine:
            finish_outside(one, DONE, 1)

    def look() -> None:
        while not done.is_set():
            ids = [one.async_id for one in open_lifetimes.values()]
            if ids != sorted(set(ids)):
                wrong.append(f"out of order: {ids[:10]}")

    sys.setswitchinterval(1e-5)
    try:
        watcher = threading.Thread(target=look)
        changers = [threading.Thread(target=change) for _ in range(3)]
        for thread in (watcher, *changers):
            thread.start()
        for thread in changers:
            thread.join()
        done.set()
        watcher.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert len(open_lifetimes) == 0


def test_a_collector_that_begins_new_ones_meanwhile_keeps_the_order() -> None:
    """Between the id and the list the collector may run, and any code with it."""

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            make()

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(300):
            Cycle()
            make(TASK)
    finally:
        gc.set_threshold(*threshold)
    ids = list(open_lifetimes)
    assert len(ids) >= 300
    assert ids == sorted(ids)


def test_a_token_that_goes_says_so_once() -> None:
    from whence.engine import collected

    waiting = len(collected)
    one = make()
    token = Token(one)
    assert token.lifetime is one
    del token
    assert len(collected) == waiting + 1
    ended = make()
    token = Token(ended)
    ended.open = False
    del token
    assert len(collected) == waiting + 1
    with pytest.raises(TypeError):
        Token(None)  # type: ignore[arg-type]
    collected.clear()
