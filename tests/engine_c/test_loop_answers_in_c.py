"""What asyncio asks its loops all the time, answered in C: as asyncio's own methods answer."""

import asyncio
import sys
import time
from asyncio import base_events
from collections.abc import Iterator
from typing import Any

import pytest

from whence.engine import twin
from whence.engine.handles import LOOP_METHODS
from whence.testing import record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

ANSWERS = ("get_debug", "is_running", "time")


@pytest.fixture
def loop() -> Iterator[Any]:
    with record():
        made = asyncio.new_event_loop()
        yield made
        made.close()


def test_they_stand_in_asyncios_place_while_a_hook_listens() -> None:
    stock = {name: vars(asyncio.BaseEventLoop)[name] for name in ANSWERS}
    with record():
        for name in ANSWERS:
            assert vars(asyncio.BaseEventLoop)[name] is LOOP_METHODS[name]
    assert {name: vars(asyncio.BaseEventLoop)[name] for name in ANSWERS} == stock


def test_debug_mode_is_what_it_was_set_to(loop: Any) -> None:
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop._debug = "as the program has set it"
    assert loop.get_debug() == "as the program has set it"


def test_a_loop_runs_from_its_start_to_its_stop(loop: Any) -> None:
    seen: list[bool] = [loop.is_running()]
    loop.call_soon(lambda: seen.append(loop.is_running()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    seen.append(loop.is_running())
    assert seen == [False, True, False]


def test_the_time_is_that_of_the_clock(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert time.monotonic() <= loop.time() <= time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 5.0)
        assert loop.time() == 5.0
    with monkeypatch.context() as patch:
        patch.setattr(base_events, "time", type("Clock", (), {"monotonic": lambda: 7.0}))
        assert loop.time() == 7.0
    assert time.monotonic() <= loop.time()


def test_a_class_that_keeps_it_elsewhere_is_asked() -> None:
    class Own(asyncio.SelectorEventLoop):
        @property
        def _debug(self) -> str:
            return "kept elsewhere"

        @_debug.setter
        def _debug(self, value: object) -> None: ...

    with record():
        own = Own()
        assert own.get_debug() == "kept elsewhere"  # type: ignore[comparison-overlap]
        own.close()


@pytest.mark.parametrize("name", ANSWERS)
def test_a_class_that_answers_itself_is_asked(name: str) -> None:
    calls: list[str] = []

    def own(self: Any) -> Any:
        calls.append(name)
        return getattr(super(made, self), name)()

    with record():
        made: Any = type("Own", (asyncio.SelectorEventLoop,), {name: own})
        loop = made()
        calls.clear()
        getattr(loop, name)()
        assert calls == [name]
        future = loop.create_future()
        loop.call_soon(future.set_result, 5)
        assert loop.run_until_complete(future) == 5
        loop.close()


@pytest.mark.parametrize("name", ANSWERS)
def test_what_they_are_not_asked_with_fails_as_with_asyncio(loop: Any, name: str) -> None:
    def failure(call: Any, *args: Any, **kwargs: Any) -> str:
        with pytest.raises(TypeError) as raised:
            call(*args, **kwargs)
        return str(raised.value)

    stock = LOOP_METHODS[name].__get__(loop).__func__
    assert failure(getattr(loop, name), 5) == failure(stock, loop, 5)
    assert "given" in failure(getattr(loop, name), 5)
    assert "unexpected keyword" in failure(getattr(loop, name), wrong=1)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_profiler_sees_asyncios_function(loop: Any, name: str) -> None:
    seen: set[str] = set()
    sys.setprofile(lambda frame, event, arg: seen.add(frame.f_code.co_name))
    try:
        getattr(loop, name)()
    finally:
        sys.setprofile(None)
    assert name in seen
