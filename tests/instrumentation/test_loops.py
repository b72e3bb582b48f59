"""Loops as a whole: closing with work left, and reporting errors."""

import asyncio
import gc
import selectors
import socket
import sys
import warnings
from typing import Any
from unittest import mock

import pytest
from stories import new_loop, story, until

import whence
from telling import recorded, turns
from whence.engine import open_lifetimes, ring
from whence.testing import record


async def wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def test_what_asyncio_makes_for_itself_has_events_like_any_other() -> None:
    """SEMANTICS 6.17a: the reader of its own socket pair, and the task that accepts."""
    names: dict[int, str] = {}

    def init(async_id: int, kind: str, trigger: int, resource: Any) -> None:
        if kind == "Task":
            names[async_id] = resource.get_coro().__qualname__

    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await until(lambda: any("_accept_connection2" in name for name in names.values()))
        writer.close()
        server.close()
        await turns()

    with record() as events, whence.create_hook(init=init):
        asyncio.run(main())
    (helper,) = (i for i, name in names.items() if "_accept_connection2" in name)
    assert events.names(helper)[0] == "init"
    assert events.names(helper)[-4:] == ["before", "promise_resolve", "after", "destroy"]
    reader = events.ids("Reader")[0]
    assert events.trigger_of(reader) == 1
    assert events.names(reader)[:1] + events.names(reader)[-1:] == ["init", "destroy"]


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


def finalizers(frame: Any) -> list[str]:
    """The finalizers on the stack."""
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return [name for name in names if name == "__del__"]


def test_what_ends_when_a_dropped_loop_closes_itself_is_told_later_and_outside() -> None:
    told: list[tuple[int, list[str]]] = []

    def destroy(async_id: int) -> None:
        told.append((async_id, finalizers(sys._getframe())))

    with record() as events, whence.create_hook(destroy=destroy):
        loop = asyncio.new_event_loop()
        loop.call_later(10, int)
        loop.call_soon(int)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del loop
            gc.collect()
        assert any("unclosed event loop" in str(each.message) for each in caught)
        assert told == []
        asyncio.run(asyncio.sleep(0))
        mine = [*events.ids("TimerHandle")[:1], events.ids("Handle")[0], events.ids("Reader")[0]]
    heard = dict(told)
    assert [heard[async_id] for async_id in mine] == [[], [], []]
    assert [async_id for async_id, _ in told].count(mine[0]) == 1


def test_what_ends_when_a_dropped_stream_closes_itself_is_told_later_and_outside() -> None:
    told: list[tuple[int, list[str]]] = []

    def destroy(async_id: int) -> None:
        told.append((async_id, finalizers(sys._getframe())))

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            await asyncio.sleep(0.001)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                del reader, writer
                gc.collect()
            for _ in range(5):
                await asyncio.sleep(0)

    with record() as events, whence.create_hook(destroy=destroy):
        asyncio.run(main())
    assert [stack for _, stack in told if stack] == []
    heard = [async_id for async_id, _ in told]
    for async_id in [*events.ids("Reader"), *events.ids("Transport")]:
        assert heard.count(async_id) == 1


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
