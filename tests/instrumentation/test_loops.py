"""Loops as a whole: closing with work left, and reporting errors."""

import asyncio
import selectors
from typing import Any
from unittest import mock

import pytest
from stories import new_loop, story

from telling import recorded
from whence.engine import open_lifetimes, ring
from whence.testing import record


async def wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def test_a_task_outlives_the_loop_that_closes_on_it() -> None:
    with record() as events:
        loop = asyncio.new_event_loop()
        task = loop.create_task(wait_for_ever())
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.call_soon(int)
        loop.close()
        assert story(events, "Task", "Handle")[-2:] == [
            "init Handle2 Handle by top",
            "destroy Handle2",
        ]
        assert events.names(events.ids("Task")[0]) == ["init", "before", "after"]
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[union-attr]


def test_the_first_step_of_a_task_that_never_runs_ends_nothing() -> None:
    with record() as events:
        loop = asyncio.new_event_loop()
        task = loop.create_task(wait_for_ever())
        loop.close()
        assert story(events, "Task", "Handle") == ["init Task1 Task by top"]
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[union-attr]


def test_a_selector_that_is_no_selector_is_not_asked_for_what_it_holds() -> None:
    def calls_of_a_short_life() -> list[str]:
        fake = mock.Mock()
        fake.get_key.side_effect = KeyError
        fake.get_map.return_value = {}
        asyncio.SelectorEventLoop(fake).close()
        return [call[0] for call in fake.mock_calls]

    without = calls_of_a_short_life()
    with record():
        assert calls_of_a_short_life() == without


def test_a_selector_of_the_programs_is() -> None:
    class Selector(selectors.DefaultSelector):
        pass

    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs, record() as events:
        loop = asyncio.SelectorEventLoop(Selector())
        loop.add_reader(ours, int)
        loop.close()
    assert story(events, "Reader") == [
        "init Reader1 Reader by top",
        "init Reader2 Reader by top",
        "destroy Reader1",
        "destroy Reader2",
    ]


def test_a_loop_that_overrides_close_is_closed_as_it_says() -> None:
    closed: list[bool] = []

    class Loop(asyncio.SelectorEventLoop):
        def close(self) -> None:
            super().close()
            closed.append(self.is_closed())

    with record() as events:
        loop = Loop()
        loop.call_later(10, int)
        loop.close()
        loop.close()
    assert closed == [True, True]
    assert story(events, "TimerHandle") == [
        "init TimerHandle1 TimerHandle by top",
        "destroy TimerHandle1",
    ]


def test_a_loop_older_than_the_hook_closes_as_ever() -> None:
    loop = asyncio.new_event_loop()
    loop.call_soon(int)
    loop.call_later(10, int)
    with record() as events:
        loop.close()
    assert loop.is_closed()
    assert events == []


def test_what_a_callback_failed_with_is_recorded() -> None:
    def fail() -> None:
        raise ValueError("on purpose")

    with recorded(), new_loop() as loop:
        loop.set_exception_handler(lambda loop, context: None)
        timer = loop.call_later(0, fail)
        lifetime = timer._lifetime  # type: ignore[attr-defined]
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        assert lifetime.error == ("ValueError", "on purpose")


@pytest.mark.parametrize(
    "context",
    [
        {"message": "of nothing"},
        {"message": "of an odd handle", "handle": object(), "exception": ValueError()},
        {"message": "of an odd exception", "handle": None, "exception": "no exception"},
    ],
)
def test_any_context_goes_to_the_exception_handler_as_it_is(context: dict[str, Any]) -> None:
    got: list[Any] = []
    with recorded(), new_loop() as loop:
        loop.set_exception_handler(lambda loop, context: got.append(context))
        loop.call_exception_handler(context)
        loop.call_exception_handler(context=context)
    assert got == [context, context]
    assert got[0] is context


def test_nothing_stays_open_after_many_loops() -> None:
    with recorded():
        for _ in range(5):
            with new_loop() as loop:
                loop.call_soon(int)
                loop.call_later(10, int)
                loop.create_future().cancel()
                loop.run_until_complete(asyncio.sleep(0))
        assert open_lifetimes == {}
        ring.clear()


def test_closing_is_put_back() -> None:
    from asyncio import base_events, selector_events

    places: list[tuple[Any, str]] = [
        (base_events.BaseEventLoop, "close"),
        (base_events.BaseEventLoop, "call_exception_handler"),
        (selector_events.BaseSelectorEventLoop, "close"),
    ]
    before = [vars(owner)[name] for owner, name in places]
    with record():
        assert [vars(owner)[name] for owner, name in places] != before
    assert [vars(owner)[name] for owner, name in places] == before
