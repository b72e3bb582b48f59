"""The record of a life: times, outcome, error, and what is kept of it."""

import _thread
import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import whence
from lives import MS, Lives, lives_on_a_clock_of_their_own
from telling import recorded, run_followed
from whence import AsyncResource
from whence.engine import (
    CANCELLED,
    CLOSED,
    COLLECTED,
    DONE,
    FAILED,
    RecordedLifetime,
    SpanLifetime,
    clock,
    describe,
    failed,
    hide,
    open_lifetimes,
    recorder,
    ring,
)
from whence.engine.lifetimes import DROPPED, KEPT
from whence.engine.recorder import MAX_MESSAGE, clock_source
from whence.engine.resource_types import FUTURE, HANDLE, TASK


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lives]:
    with lives_on_a_clock_of_their_own(monkeypatch) as made:
        yield made


def test_a_life_is_split_into_run_ready_and_wait(lives: Lives) -> None:
    one = lives.begin()
    lives.wait(1)
    with lives.running(one):
        lives.wait(4)
    lives.wait(16)
    with lives.running(one):
        lives.wait(32)
    lives.end(one)
    assert one.steps == 2
    assert one.run == 36 * MS
    assert one.ready == 1 * MS
    assert one.wait == 16 * MS
    assert one.ended - one.created == 53 * MS


def test_a_span_of_what_runs_in_another_thread_names_that_thread(lives: Lives) -> None:
    resource = AsyncResource("X")
    (one,) = [life for life in open_lifetimes.values() if life.async_id == resource.async_id()]
    assert isinstance(one, SpanLifetime)
    assert one.thread_id == threading.get_ident()
    thread = threading.Thread(target=resource.run_in_async_scope, args=[int])
    thread.start()
    ident = thread.ident
    thread.join()
    assert one.thread_id == ident


def test_what_is_open_is_listed_oldest_first_until_it_ends(lives: Lives) -> None:
    a, b, c = (lives.begin() for _ in range(3))
    assert list(open_lifetimes.values()) == [a, b, c]
    assert open_lifetimes[b.async_id] is b
    lives.end(b)
    assert list(open_lifetimes.values()) == [a, c]
    lives.end(b)
    assert list(open_lifetimes.values()) == [a, c]


def test_what_lived_long_enough_is_kept_and_the_rest_is_dropped(lives: Lives) -> None:
    short, long = lives.live(0.999), lives.live(1)
    assert (short.fate, long.fate) == (DROPPED, KEPT)
    assert ring.drain(9) == [long]


def test_what_failed_is_kept_however_short_it_was(lives: Lives) -> None:
    one = lives.begin()
    lives.fail(one, LookupError("x"))
    assert (one.fate, one.outcome, one.error) == (KEPT, FAILED, ("LookupError", "x"))
    assert ring.drain(9) == [one]


@pytest.mark.parametrize("outcome", [DONE, CANCELLED, CLOSED, COLLECTED])
def test_how_it_ended_is_noted_and_is_no_error(lives: Lives, outcome: str) -> None:
    one = lives.live(2, outcome=outcome)
    assert (one.outcome, one.error, one.open) == (outcome, None, False)


def test_where_nothing_is_sent_nothing_is_held_for_sending(lives: Lives) -> None:
    recorder.sends = False
    lives.live(2)
    assert ring.drain(9) == []


def test_resources_are_counted_by_type(lives: Lives) -> None:
    created, destroyed = TASK.created, TASK.destroyed
    one = lives.begin()
    lives.live(0)
    assert (TASK.created, TASK.destroyed) == (created + 2, destroyed + 1)
    lives.end(one)
    lives.end(one)
    assert (TASK.created, TASK.destroyed) == (created + 2, destroyed + 2)


def test_what_becomes_no_span_is_counted_and_timed_all_the_same(lives: Lives) -> None:
    created = FUTURE.created
    one = lives.record(None, FUTURE)
    assert isinstance(one, RecordedLifetime)
    assert not isinstance(one, SpanLifetime)
    assert one.transparent
    lives.end(one, after=50)
    assert FUTURE.created == created + 1
    assert ring.drain(9) == []


def test_a_transparent_one_passes_its_parent_on(lives: Lives) -> None:
    parent = lives.begin()
    handle = lives.record(parent, HANDLE)
    future = lives.record(handle, FUTURE)
    child = lives.begin(by=future)
    assert handle.parent is future.parent is child.parent is parent


def test_a_span_says_where_and_in_what_it_was_created(lives: Lives) -> None:
    resource = AsyncResource("X")
    made: list[SpanLifetime] = []
    resource.run_in_async_scope(lambda: made.append(lives.begin()))
    (one,) = made
    assert one.execution_async_id == one.trigger_async_id == resource.async_id()
    assert one.thread_id == threading.get_ident()
    assert one.code is not None
    assert one.code.co_filename == __file__


def test_names_and_attributes_are_added(lives: Lives) -> None:
    one = lives.begin()
    describe(one, "name", size=1)
    assert (one.name, one.attributes) == ("name", {"size": 1})
    describe(one, "other")
    assert (one.name, one.attributes) == ("other", {"size": 1})
    describe(lives.record(None, FUTURE), "of no span")


def test_what_asyncio_makes_for_itself_is_hidden_and_its_children_move_up(lives: Lives) -> None:
    parent = lives.begin()
    helper = lives.begin(by=parent)
    assert parent.children == 1
    hide(helper)
    hide(helper)
    assert parent.children == 0
    child = lives.begin(by=helper)
    assert child.parent is parent
    lives.end(helper, after=50)
    assert ring.drain(9) == []
    hide(lives.record(None, FUTURE))


def test_what_ends_before_its_child_was_fire_and_forget(lives: Lives) -> None:
    parent, other = lives.begin(), lives.begin()
    child = lives.begin(by=parent)
    quick = lives.begin(by=other)
    lives.end(quick)
    lives.end(parent)
    lives.end(other)
    lives.end(child)
    assert (parent.fire_and_forget, other.fire_and_forget) == (True, False)
    assert parent.children == 0


class Modular(Exception):
    """In a module of the program's."""


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        (LookupError("text"), ("LookupError", "text")),
        (Modular("text"), (f"{__name__}.Modular", "text")),
        (KeyError("key"), ("KeyError", "'key'")),
        (ValueError(), ("ValueError", "")),
        (Silent(), (f"{__name__}.Silent", "<unprintable: ValueError>")),
        (ValueError("x" * 5000), ("ValueError", "x" * MAX_MESSAGE)),
        (KeyboardInterrupt(), ("KeyboardInterrupt", "")),
    ],
)
def test_an_error_is_noted_as_text(
    lives: Lives, error: BaseException, noted: tuple[str, str]
) -> None:
    one = lives.begin()
    failed(one, error)
    assert one.error == noted


def test_messages_can_be_switched_off(lives: Lives) -> None:
    recorder.messages = False
    one = lives.begin()
    failed(one, LookupError("secret"))
    assert one.error == ("LookupError", "")


def test_what_is_described_twice_has_both_descriptions(lives: Lives) -> None:
    one = lives.begin()
    describe(one, "a", first=1, second=1)
    describe(one, "b", second=2)
    assert (one.name, one.attributes) == ("b", {"first": 1, "second": 2})


def test_sites_can_be_switched_off(lives: Lives) -> None:
    recorder.sites = False
    one = lives.begin()
    assert (one.code, one.lasti) == (None, 0)


def test_a_method_of_the_loop_may_be_all_that_a_thread_runs() -> None:
    """There are not as many frames then as there are in general."""
    refused: list[object] = []
    ran = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        _thread.start_new_thread(loop.call_soon_threadsafe, (ran.set,))
        await loop.run_in_executor(None, ran.wait, 20)

    before, sys.unraisablehook = sys.unraisablehook, lambda told: refused.append(told.exc_value)
    try:
        with recorded():
            asyncio.run(main())
    finally:
        sys.unraisablehook = before
    assert ran.is_set()
    assert refused == []


def test_a_collected_resource_is_counted_as_leaked() -> None:
    """SEMANTICS 8.1, though no hook listens."""
    row = whence.engine.resource_types.type_named("leaks")
    with recorded():
        AsyncResource("leaks")
        AsyncResource("leaks").emit_destroy()
        asyncio.run(asyncio.sleep(0))
        assert (row.created, row.destroyed, row.leaked) == (2, 2, 1)


def test_recording_changes_no_id_and_no_event() -> None:
    """SEMANTICS 1.1: the agent's own hook is no hook to the program."""

    async def main() -> list[Any]:
        with whence.testing.record() as events:
            task = asyncio.create_task(asyncio.sleep(0))
            asyncio.get_running_loop().call_soon(int)
            await task
        first = events.ids()[0]
        return [(name, i - first, *rest[:1]) for name, i, *rest in events]

    plain = run_followed(main())
    with recorded():
        assert run_followed(main()) == plain
    assert len(plain) > 8


def test_its_clock_is_the_one_that_the_system_calls_monotonic() -> None:
    """Read between two readings of Python's it lies between, but for what two clocks of a machine
    may differ while one is being compared with the other."""
    until = time.monotonic_ns() + 50 * MS
    off: list[int] = []
    while (before := time.monotonic_ns()) < until:
        now = clock()
        off.append(max(before - now, now - time.monotonic_ns()))
    off.sort()
    assert off[len(off) * 99 // 100] < MS // 10
    assert clock_source() in ("system", "tsc")
