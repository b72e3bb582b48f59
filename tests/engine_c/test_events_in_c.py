"""Events from C: what waits for the next one, and wrong arguments."""

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import whence
from telling import collector_off, policy, recorded
from whence import engine
from whence.engine import (
    CANCELLED,
    Lifetime,
    Token,
    at_next_event,
    collected,
    create,
    drain_collected,
    end,
    enter,
    leave,
    local,
    open_lifetimes,
    resolve,
    twin,
)
from whence.engine.events import announce, born, dropped, forget_collected
from whence.engine.resource_types import FUTURE, type_named

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

ROW = type_named("InC")


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    collected.clear()
    yield
    collected.clear()


def make() -> Lifetime:
    state = local.state
    return create(state, ROW, None, state.current)


def test_more_than_any_queue_holds_is_told_in_order() -> None:
    told: list[int] = []
    with whence.create_hook(destroy=told.append), collector_off():
        made = [make() for _ in range(20_000)]
        for lifetime in made:
            Token(lifetime)
        assert len(collected) == 20_000
        drain_collected(local.state)
    assert told == [lifetime.async_id for lifetime in made]
    assert len(collected) == 0


def test_what_waits_is_told_once_though_threads_drain_at_once() -> None:
    told: list[int] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with whence.create_hook(destroy=told.append), collector_off():
            made = [make() for _ in range(4000)]
            for lifetime in made:
                Token(lifetime)
            threads = [
                threading.Thread(target=lambda: drain_collected(local.state)) for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    ids = [lifetime.async_id for lifetime in made]
    # The threads are resources themselves.
    assert sorted(set(told) - set(ids)) == sorted(told)[len(ids) :]
    assert sorted(told)[: len(ids)] == ids


def test_what_a_destroy_callback_drops_is_for_the_next_time() -> None:
    told: list[int] = []

    def destroy(async_id: int) -> None:
        told.append(async_id)
        Token(make())

    with whence.create_hook(destroy=destroy):
        Token(make())
        for number in (1, 2, 3):
            drain_collected(local.state)
            assert len(told) == number
        assert len(collected) == 1


def test_where_nobody_is_to_be_told_nothing_waits() -> None:
    lifetime = make()
    Token(lifetime)
    assert not lifetime.open
    assert len(collected) == 0


def test_what_is_forgotten_is_finished_and_told_to_nobody() -> None:
    told: list[int] = []
    called: list[int] = []
    with recorded():
        lifetime = make()
        assert lifetime.async_id in open_lifetimes
        Token(lifetime)
        at_next_event(lambda: called.append(1))
        with whence.create_hook(destroy=told.append):
            forget_collected()
        assert lifetime.async_id not in open_lifetimes
        assert not lifetime.open
    drain_collected(local.state)
    assert told == called == []


def test_an_exception_of_the_program_stays_pending_around_all_of_it() -> None:
    with whence.create_hook(destroy=lambda _: None, before=lambda _: None, after=lambda _: None):

        class Dropping:
            def __del__(self) -> None:
                lifetime = make()
                state = local.state
                previous = state.current
                Token(make())
                enter(state, lifetime, None)
                leave(state, lifetime, previous)
                resolve(state, lifetime)
                end(state, lifetime)
                drain_collected(state)

        def fail() -> None:
            dropping = Dropping()
            dropping.me = dropping  # type: ignore[attr-defined]
            raise LookupError("the program's")

        with pytest.raises(LookupError, match="the program's"):
            fail()
        gc.collect()


def test_ctrl_c_while_something_is_called_for_us_is_the_programs_to_handle() -> None:
    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)

    def program() -> None:
        at_next_event(interrupted)
        drain_collected(local.state)
        while True:
            pass

    with pytest.raises(KeyboardInterrupt):
        program()


def test_the_exit_that_a_signal_handler_asks_for_meanwhile_comes_to_pass() -> None:
    def handle(*_: object) -> None:
        raise SystemExit(7)

    def program() -> None:
        at_next_event(lambda: signal.raise_signal(signal.SIGTERM))
        drain_collected(local.state)
        while True:
            pass

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with pytest.raises(SystemExit) as raised:
            program()
        assert raised.value.code == 7
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("log_policy")
def test_what_is_called_for_us_and_fails_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: shown.append(told.exc_value))

    def fail() -> None:
        raise LookupError("a mistake of ours")

    at_next_event(fail)
    drain_collected(local.state)
    assert [str(error) for error in shown] == ["a mistake of ours"]


@pytest.fixture
def log_policy() -> Iterator[None]:
    with policy("log"):
        yield


class Hostile:
    """Has its own ideas of everything."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __repr__(self) -> str:
        raise RuntimeError("repr")


WRONG = [None, 1, "x", (), {}, [], 2**100, -(2**100), 1.5, object(), Hostile(), Hostile, type]

FUNCTIONS = [
    create,
    born,
    announce,
    enter,
    leave,
    resolve,
    end,
    drain_collected,
    dropped,
    engine.hide,
    engine.conclude,
    engine.standing_for,
    engine.recorder.find_slow,
    engine.parents.adopt,
    engine.parents.keep_family,
    engine.parents.forget_family,
    whence._engine.begin,  # type: ignore[attr-defined]
    whence._engine.finish,  # type: ignore[attr-defined]
    whence._engine.finish_outside,  # type: ignore[attr-defined]
    whence._engine.finish_span,  # type: ignore[attr-defined]
    whence._engine.place_up,  # type: ignore[attr-defined]
    whence._engine.is_listed,  # type: ignore[attr-defined]
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_whatever_it_is_called_with_it_answers_or_says_what_it_expected(function: Any) -> None:
    state, lifetime = local.state, make()
    right = [state, ROW, lifetime, state.current, 1, "done"]
    before = engine.recorder.slow, engine.recorder.notable
    try:
        for number in range(7):
            for wrong in WRONG:
                for place in range(number):
                    arguments = (right * 2)[:number]
                    arguments[place] = wrong
                    for rotated in (arguments, arguments[::-1]):
                        try:
                            function(*rotated)
                        except (TypeError, OverflowError, RuntimeError, ValueError):
                            pass
    finally:
        engine.recorder.slow, engine.recorder.notable = before
        state.current = engine.execution.MAIN
        open_lifetimes.clear()


def test_a_recorder_takes_what_it_can_use() -> None:
    made = engine.recorder.__class__()
    assert (made.on, made.sites, made.sends, made.messages) == (False, True, True, True)
    assert (made.min_duration, made.slow) == (1_000_000, 100_000_000)
    made.min_duration = 2**100
    assert made.min_duration == 2**63 - 1
    made.find_slow(5)
    assert (made.slow, made.notable) == (5, 5)
    made.find_slow(2**100)
    assert made.notable == (1 << 23) - 1
    for name in made.__slots__:
        with pytest.raises((TypeError, AttributeError)):
            setattr(made, name, Hostile())
        with pytest.raises((TypeError, AttributeError)):
            delattr(made, name)
    with pytest.raises(TypeError, match="SpanLifetime"):
        made.lifetime = Lifetime  # type: ignore[assignment]
    made.lifetime = engine.SpanLifetime


def test_what_ends_while_a_finalizer_runs_is_told_later() -> None:
    told: list[int] = []
    state = local.state
    with whence.create_hook(destroy=told.append):
        lifetime = make()
        state.finalizing = True
        end(state, lifetime, CANCELLED)
        state.finalizing = False
        assert told == []
        assert lifetime.open
        asyncio.run(asyncio.sleep(0))
        assert lifetime.async_id in told


def test_futures_that_are_dropped_by_the_thousand_leave_nothing(recording: None) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            for _ in range(3000):
                loop.create_future()
            await asyncio.sleep(0)
        return len(collected)

    assert asyncio.run(main()) == 0
    assert [one for one in open_lifetimes.values() if one.type is FUTURE] == []


@pytest.fixture
def recording() -> Iterator[None]:
    with recorded():
        yield
