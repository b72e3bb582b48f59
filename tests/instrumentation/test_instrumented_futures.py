"""Futures: created by the loop, by name, by `gather`; settled, cancelled, dropped."""

import asyncio
import contextvars
import gc
import weakref
from asyncio import futures, tasks
from collections.abc import Callable
from typing import Any

import pytest
from stories import Executing, new_loop, run_recorded, story, until

import whence
from telling import collector_off, listening, told, turns
from whence.testing import record


def test_a_settled_future_is_destroyed_before_its_callbacks_run() -> None:
    seen = Executing()

    with new_loop() as loop, record() as events:
        future = loop.create_future()
        future.add_done_callback(seen)
        future.set_result(1)
        loop.call_soon(loop.stop)
        loop.run_forever()
    callback, stop = events.ids("Handle")
    assert seen.ids == [callback]
    lines = told(events[:6], future=events.ids("Future")[0], callback=callback, stop=stop)
    assert lines == [
        "init future Future by top",
        "init callback Handle by future",
        "promise_resolve future",
        "destroy future",
        "init stop Handle by top",
        "before callback",
    ]
    assert seen.triggers == events.ids("Future")


SETTLING: dict[str, Callable[[Any], Any]] = {
    "result": lambda future: future.set_result(1),
    "exception": lambda future: future.set_exception(ValueError("on purpose")),
    "cancel": lambda future: future.cancel("message"),
}


@pytest.mark.parametrize("how", SETTLING)
@pytest.mark.parametrize("made_by", ["create_future", "Future", "positional class"])
def test_a_future_settles_once_in_every_way(how: str, made_by: str) -> None:
    with new_loop() as loop, record() as events:
        if made_by == "create_future":
            future = loop.create_future()
        else:
            cls = asyncio.Future if made_by == "Future" else futures.Future
            future = cls(loop=loop)
        SETTLING[how](future)
        for again in SETTLING.values():
            if again is SETTLING["cancel"]:
                assert not again(future)
            else:
                with pytest.raises(asyncio.InvalidStateError):
                    again(future)
        if how == "exception":
            assert str(future.exception()) == "on purpose"
    assert story(events, "Future") == [
        "init Future1 Future by top",
        "promise_resolve Future1",
        "destroy Future1",
    ]


def test_an_exception_that_is_refused_settles_nothing() -> None:
    with new_loop() as loop, record() as events:
        future = loop.create_future()
        with pytest.raises(TypeError):
            future.set_exception("no exception")  # type: ignore[arg-type]
        assert story(events, "Future") == ["init Future1 Future by top"]
        future.cancel()


def test_done_callbacks_are_handles_caused_by_their_future_in_order() -> None:
    seen = Executing()

    with new_loop() as loop, record() as events:
        future = loop.create_future()
        for _ in range(2):
            future.add_done_callback(lambda _: seen())
        future.add_done_callback(print)
        assert future.remove_done_callback(print) == 1
        future.set_result(None)
        future.add_done_callback(seen)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert seen.triggers == [events.ids("Future")[0]] * 3
    assert seen.ids == events.ids("Handle")[:3]


def test_a_done_callback_registered_from_elsewhere_is_still_the_futures_doing() -> None:
    seen = Executing()

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()

        async def register() -> None:
            future.add_done_callback(seen)

        await asyncio.create_task(register())
        future.set_result(None)
        await turns()

    events = run_recorded(main)
    assert seen.triggers == events.ids("Future")


def test_a_future_made_before_the_hook_is_told_by_its_callbacks_alone() -> None:
    seen = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        hook, events = listening()
        with hook:
            future.add_done_callback(seen)
            future.set_result(None)
            await turns()
        assert events.ids("Future") == []
        (handle,) = events.ids("Handle")
        assert events.names(handle) == ["init", "before", "after", "destroy"]
        assert seen.ids == [handle]
        assert seen.triggers == [events.trigger_of(handle)]

    asyncio.run(main())


def test_a_future_made_under_the_hook_and_settled_without_is_told_no_more() -> None:
    with new_loop() as loop:
        with record() as events:
            future = loop.create_future()
        future.set_result(1)
        assert future.result() == 1
    assert story(events, "Future") == ["init Future1 Future by top"]


def test_a_dropped_future_is_destroyed_on_a_later_turn() -> None:
    class Node:
        future: Any

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with collector_off():
            loop.create_future()
            node = Node()
            node.future = loop.create_future()
            node.future.node = node
            del node
            gc.collect()
            assert "destroy" not in [e[0] for e in events]
        await turns()
        assert story(events, "Future") == [
            "init Future1 Future by Task1",
            "init Future2 Future by Task1",
            "destroy Future1",
            "destroy Future2",
        ]

    with record() as events:
        asyncio.run(main())


def test_a_future_keeps_what_is_asked_of_it_and_nothing_more() -> None:
    class Value:
        pass

    with new_loop() as loop, record(), collector_off():
        future = loop.create_future()
        value = Value()
        future.set_result(value)
        assert future.result() is value
        references = weakref.ref(future), weakref.ref(value)
        del future, value
        assert [reference() for reference in references] == [None, None]


def test_gather_makes_one_future_that_settles_like_any_other() -> None:
    async def main() -> None:
        gathered = asyncio.gather(turns(1), turns(2))
        assert isinstance(gathered, asyncio.Future)
        assert type(gathered).__name__ == "_GatheringFuture"
        assert list(await gathered) == [None, None]
        cancelled = asyncio.gather(asyncio.sleep(10), asyncio.sleep(10))
        await turns()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        failing = asyncio.gather(fail(), turns())
        with pytest.raises(ValueError, match="on purpose"):
            await failing
        empty: asyncio.Future[list[None]] = asyncio.gather()
        assert await empty == []

    async def fail() -> None:
        raise ValueError("on purpose")

    events = run_recorded(main)
    settled = [i for i in events.ids("Future") if "promise_resolve" in events.names(i)]
    for async_id in settled:
        assert events.names(async_id) == ["init", "promise_resolve", "destroy"]
    assert len(settled) >= 4
    assert [e for e in events if e[0] == "before" and e[1] in events.ids("Future")] == []


def test_a_future_written_in_python_goes_on_as_it_is() -> None:
    seen = Executing()

    async def main() -> None:
        future = futures._PyFuture(loop=asyncio.get_running_loop())  # type: ignore[attr-defined]
        future.add_done_callback(seen)
        asyncio.get_running_loop().call_soon(future.set_result, 5)
        assert await future == 5
        await turns()

    events = run_recorded(main)
    (handle,) = seen.ids
    assert events.names(handle) == ["init", "before", "after", "destroy"]


@pytest.mark.parametrize("with_context", [False, True])
def test_a_callback_on_a_task_written_in_python_that_has_ended_is_triggered_by_it(
    with_context: bool,
) -> None:
    """SEMANTICS 6.8."""
    options = {"context": contextvars.copy_context()} if with_context else {}

    async def main() -> tuple[int, int]:
        task = tasks._PyTask(turns(1), loop=asyncio.get_running_loop())  # type: ignore[attr-defined]
        await task
        seen = Executing()
        task.add_done_callback(seen, **options)
        await turns()
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'fn'"):
            task.add_done_callback()
        return seen.ids[0], seen.triggers[0]

    with record() as events:
        handle, trigger = asyncio.run(main())
    assert events.trigger_of(handle) == trigger
    assert trigger == events.ids("Task")[1]


def test_settling_from_a_hook_is_told_inside() -> None:
    with new_loop() as loop, record() as events:
        other = loop.create_future()

        def settle_the_other(async_id: int) -> None:
            if not other.done():
                other.set_result(1)

        hook = whence.create_hook(promise_resolve=settle_the_other)
        with hook:
            loop.create_future().set_result(0)
    assert story(events, "Future") == [
        "init Future1 Future by top",
        "init Future2 Future by top",
        "promise_resolve Future2",
        "promise_resolve Future1",
        "destroy Future1",
        "destroy Future2",
    ]


@pytest.mark.parametrize("wait", ["await", "wait_for", "wait", "as_completed", "shield"])
def test_a_future_is_awaited_in_every_way(wait: str) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        loop.call_soon(future.set_result, 5)
        if wait == "await":
            return await future
        if wait == "wait_for":
            return await asyncio.wait_for(future, 5)
        if wait == "shield":
            return await asyncio.shield(future)
        if wait == "wait":
            ((done,), _) = await asyncio.wait([future])
            return int(done.result())
        for next_one in asyncio.as_completed([future]):
            return int(await next_one)
        raise AssertionError

    with record() as events:
        assert asyncio.run(main()) == 5
    for async_id in events.ids("Future"):
        assert events.names(async_id) in (
            ["init", "promise_resolve", "destroy"],
            ["init", "destroy"],  # as_completed's own, dropped
        )


def test_the_names_of_futures_are_put_back() -> None:
    places: list[tuple[Any, str]] = [
        (asyncio, "Future"),
        (futures, "Future"),
        (tasks, "_GatheringFuture"),
    ]
    before = [vars(owner)[name] for owner, name in places]
    with record():
        during = [vars(owner)[name] for owner, name in places]
        for stock, ours in zip(before, during, strict=True):
            assert ours is not stock
            assert issubclass(stock, asyncio.Future)
            assert isinstance(tasks.Task, type)
    assert [vars(owner)[name] for owner, name in places] == before


def test_a_future_from_another_thread_is_that_threads_doing() -> None:
    import threading

    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[asyncio.Future[None]] = []
        thread = threading.Thread(target=lambda: made.append(loop.create_future()))
        thread.start()
        await until(lambda: made)
        thread.join()
        made[0].set_result(None)

    events = run_recorded(main)
    (thread,) = events.ids("Thread")
    (future,) = (i for i in events.ids("Future") if events.trigger_of(i) == thread)
    assert events.names(future) == ["init", "promise_resolve", "destroy"]
