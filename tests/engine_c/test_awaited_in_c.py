"""Futures in C that tasks await: asyncio's fast way takes them, and nobody notices.

While the step of a task awaits one, it is of asyncio's class. What a program could do meanwhile
takes calling `__await__` without awaiting, or driving a coroutine by hand.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from telling import told
from whence import execution_async_id
from whence.engine import twin
from whence.engine.futures import Future
from whence.testing import Events, record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

STOCK: Any = vars(Future)["_stands_for"]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as made:
        yield made


def new_future() -> Any:
    return asyncio.get_running_loop().create_future()


def events_of_future(events: Events) -> tuple[int, ...]:
    return tuple(event[1] for event in events if event[0] == "init" and event[2] == "Future")


WAYS: dict[str, Callable[[Any], object]] = {
    "result": lambda future: future.set_result(5),
    "exception": lambda future: future.set_exception(LookupError("x")),
    "cancel": lambda future: future.cancel(),
}
OUTCOMES = {"result": "5", "exception": "LookupError('x')", "cancel": "CancelledError()"}


async def outcome(awaitable: Any) -> str:
    try:
        return repr(await awaitable)
    except (LookupError, asyncio.CancelledError) as error:
        return repr(error)


@pytest.mark.parametrize("way", WAYS)
def test_what_a_task_awaits_is_of_our_class_when_others_see_it(
    runner: asyncio.Runner, way: str
) -> None:
    seen: list[type] = []

    async def main() -> str:
        future = new_future()

        def settle() -> None:
            seen.append(type(future))
            WAYS[way](future)

        asyncio.get_running_loop().call_soon(settle)
        result = await outcome(future)
        seen.append(type(future))
        return result

    with record() as events:
        assert runner.run(main()) == OUTCOMES[way]
    (future,) = events_of_future(events)
    assert seen == [Future, Future]
    assert told(events.of(future), f=future)[1:] == ["promise_resolve f", "destroy f"]


@pytest.mark.parametrize("way", WAYS)
def test_tasks_that_await_the_same_future_all_get_what_it_was_given(
    runner: asyncio.Runner, way: str
) -> None:
    async def main() -> list[str]:
        future = new_future()
        waiting = [asyncio.create_task(outcome(future)) for _ in range(3)]
        await asyncio.sleep(0)
        WAYS[way](future)
        return [*await asyncio.gather(*waiting), await outcome(future)]

    with record():
        assert runner.run(main()) == [OUTCOMES[way]] * 4


@pytest.mark.parametrize("way", WAYS)
def test_settled_by_the_step_that_has_called_its_await_it_has_its_events_in_that_step(
    runner: asyncio.Runner, way: str
) -> None:
    async def main() -> tuple[Any, int]:
        future = new_future()
        task = execution_async_id()
        future.__await__()
        WAYS[way](future)
        assert isinstance(future, asyncio.Future)
        await asyncio.sleep(0)
        assert type(future) is Future
        future.exception() if way == "exception" else None
        return future, task

    with record() as events:
        _, task = runner.run(main())
    (future,) = events_of_future(events)
    lines = told(events.of(task, future), t=task, f=future)
    settled = lines.index("promise_resolve f")
    assert lines[settled:][:3] == ["promise_resolve f", "destroy f", "after t"]
    assert lines.count("promise_resolve f") == lines.count("destroy f") == 1


def test_one_whose_await_was_called_and_nothing_more_is_pending_afterwards(
    runner: asyncio.Runner,
) -> None:
    async def main() -> int:
        future = new_future()
        iterator = future.__await__()
        await asyncio.sleep(0)
        assert type(future) is Future
        assert not future.done()
        asyncio.get_running_loop().call_soon(future.set_result, 7)
        del iterator
        return int(await future)

    with record() as events:
        assert runner.run(main()) == 7
    (future,) = events_of_future(events)
    assert told(events.of(future), f=future)[1:] == ["promise_resolve f", "destroy f"]


def test_a_task_that_was_cancelled_before_it_awaits_cancels_what_it_awaits(
    runner: asyncio.Runner,
) -> None:
    async def cancelled(future: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await future

    async def main() -> Any:
        future = new_future()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cancelled(future))
        return future

    with record() as events:
        future = runner.run(main())
    assert future.cancelled()
    assert type(future) is Future
    (async_id, *_) = events_of_future(events)
    assert told(events.of(async_id), f=async_id)[1:] == ["promise_resolve f", "destroy f"]


def test_a_coroutine_driven_by_hand_gives_a_future_that_is_one(runner: asyncio.Runner) -> None:
    async def inner(future: Any) -> object:
        return await future

    async def main() -> object:
        future = new_future()
        coroutine = inner(future)
        given = coroutine.send(None)
        assert given is future
        assert isinstance(given, asyncio.Future)
        future.set_result("given")
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        return stopped.value.value

    with record() as events:
        assert runner.run(main()) == "given"
    (future,) = events_of_future(events)
    assert told(events.of(future), f=future)[1:] == ["promise_resolve f", "destroy f"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of 3.12 and later")
def test_what_an_eager_task_awaits_is_settled_at_once_by_who_made_the_task() -> None:
    async def main() -> tuple[type, int]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        future = new_future()
        task = asyncio.create_task(outcome(future))
        seen = type(future)
        maker = execution_async_id()
        future.set_result(5)
        await asyncio.sleep(0)
        assert await task == "5"
        return seen, maker

    with record() as events:
        seen, maker = asyncio.run(main())
    (future, *_) = events_of_future(events)
    lines = told(events.of(maker, future), m=maker, f=future)
    assert seen is Future
    assert lines.index("promise_resolve f") < lines.index("after m")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of 3.12 and later")
def test_a_step_that_has_made_an_eager_task_lends_what_it_awaits() -> None:
    seen: list[type] = []

    class Awaited:
        """Looks at the future's class while the step awaits it."""

        def __init__(self, future: Any) -> None:
            self.future = future

        def __await__(self) -> Iterator[Any]:
            waiting = self.future.__await__()
            seen.append(type(self.future))
            return waiting  # type: ignore[no-any-return]

    async def main() -> str:
        loop = asyncio.get_running_loop()
        make: Any = asyncio.Task
        await make(asyncio.sleep(0), loop=loop, eager_start=True)
        before = new_future()
        make(outcome(before), loop=loop, eager_start=True)
        future = new_future()
        loop.call_soon(before.set_result, 1)
        loop.call_soon(future.set_result, 5)
        return await outcome(Awaited(future))

    with record():
        assert asyncio.run(main()) == "5"
    assert seen == [STOCK]


def test_one_that_is_constructed_again_is_awaited_again(runner: asyncio.Runner) -> None:
    async def main() -> list[str]:
        future = new_future()
        loop = asyncio.get_running_loop()
        loop.call_soon(future.set_result, 1)
        results = [await outcome(future)]
        future.__init__(loop=loop)
        loop.call_soon(future.set_exception, LookupError("x"))
        return [*results, await outcome(future)]

    with record():
        assert runner.run(main()) == ["1", "LookupError('x')"]


def test_a_future_of_another_loop_is_refused_in_asyncios_words(runner: asyncio.Runner) -> None:
    other = asyncio.new_event_loop()

    async def main() -> tuple[str, type]:
        future = other.create_future()
        with pytest.raises(RuntimeError, match="attached to a different loop") as refused:
            await future
        return str(refused.value), type(future)

    with record():
        message, kind = runner.run(main())
    other.close()
    assert "got Future <Future pending> attached" in message
    assert kind is Future


def test_awaiting_leaves_no_reference_to_a_class(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(100):
            future = new_future()
            loop.call_soon(future.set_result, number)
            if number % 2:
                # Seen by the collector while it is of asyncio's class.
                future.__await__()
                gc.collect(0)
            assert await future == number

    with record():
        runner.run(main())
        before = sys.getrefcount(STOCK), sys.getrefcount(Future)
        runner.run(main())
        after = sys.getrefcount(STOCK), sys.getrefcount(Future)
    assert [abs(now - then) < 10 for then, now in zip(before, after, strict=True)] == [True, True]
