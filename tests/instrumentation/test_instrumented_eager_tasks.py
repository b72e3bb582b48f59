"""Eager tasks (3.12 and later): their first step runs inside their constructor."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from stories import new_loop, story

import whence
from telling import told
from whence.testing import Events, record

ONE_STEP = ["init", "before", "promise_resolve", "after", "destroy"]
TWO_STEPS = ["init", "before", "after", "before", "promise_resolve", "after", "destroy"]

eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")


async def nothing() -> str:
    return "result"


async def one_turn() -> str:
    await asyncio.sleep(0)
    return "result"


class MyTask(asyncio.Task[Any]):
    """A subclass of the program's, older than any hook."""


class MarkedTask(MyTask):
    """A subclass of that, with a constructor of its own."""

    def __init__(self, coro: Any, *, mark: int, **kwargs: Any) -> None:
        super().__init__(coro, **kwargs)
        self.mark = mark


def here() -> int:
    return whence.execution_async_id()


def children(events: Events, of: int) -> list[int]:
    return [i for i in events.ids("Task") if events.trigger_of(i) == of]


EAGER_MAKERS: dict[str, Callable[[asyncio.AbstractEventLoop, Any], Any]] = {
    "Task": lambda loop, coro: asyncio.Task(coro, loop=loop, eager_start=True),
    "subclass": lambda loop, coro: type("Younger", (asyncio.Task,), {})(
        coro, loop=loop, eager_start=True
    ),
    "older subclass": lambda loop, coro: MyTask(coro, loop=loop, eager_start=True),
    "older subclass with a constructor": lambda loop, coro: MarkedTask(
        coro, mark=5, loop=loop, eager_start=True
    ),
    "factory": lambda loop, coro: asyncio.eager_task_factory(loop, coro),
    "custom factory": lambda loop, coro: asyncio.create_eager_task_factory(asyncio.Task)(
        loop, coro
    ),
    "custom factory of a subclass": lambda loop, coro: asyncio.create_eager_task_factory(MyTask)(
        loop, coro
    ),
}


@eager
@pytest.mark.parametrize("made_by", EAGER_MAKERS)
def test_the_first_step_of_an_eager_task_is_inside_its_makers(made_by: str) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        at_once = EAGER_MAKERS[made_by](loop, nothing())
        assert at_once.done()
        assert here() == whence.execution_async_id()
        later = EAGER_MAKERS[made_by](loop, one_turn())
        assert not later.done()
        assert [at_once.result(), await later] == ["result", "result"]
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    at_once, later = children(events, main_id)
    lines = told(events.of(main_id, at_once, later), main=main_id, once=at_once, later=later)
    assert lines[:12] == [
        "init main Task by top",
        "before main",
        "init once Task by main",
        "before once",
        "promise_resolve once",
        "after once",
        "destroy once",
        "init later Task by main",
        "before later",
        "after later",
        "after main",
        "before later",
    ]
    assert events.names(later) == TWO_STEPS


@eager
def test_an_eager_task_executes_as_itself_and_what_it_makes_is_its_doing() -> None:
    seen: list[int] = []

    async def inner() -> None:
        seen.append(here())

    async def outer() -> None:
        seen.append(here())
        await asyncio.create_task(inner())
        seen.append(here())

    async def main() -> int:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await asyncio.create_task(outer())
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    (outer_id,) = children(events, main_id)
    (inner_id,) = children(events, outer_id)
    assert seen == [outer_id, inner_id, outer_id]
    assert events.names(inner_id) == ONE_STEP


@eager
def test_a_failing_eager_task_ends_in_its_constructor() -> None:
    async def fail_at_once() -> None:
        raise ValueError("on purpose")

    async def main() -> int:
        task = asyncio.Task(fail_at_once(), loop=asyncio.get_running_loop(), eager_start=True)
        assert str(task.exception()) == "on purpose"
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    assert [events.names(i) for i in children(events, main_id)] == [ONE_STEP]


@eager
def test_an_eager_task_that_cannot_be_made_leaves_nothing_open() -> None:
    async def main() -> int:
        with pytest.raises(TypeError, match="a coroutine was expected"):
            asyncio.Task(5, loop=asyncio.get_running_loop(), eager_start=True)  # type: ignore[arg-type]
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    for async_id in children(events, main_id):
        assert events.names(async_id)[-1] == "destroy"


@eager
def test_an_eager_task_without_a_running_loop_starts_later() -> None:
    with new_loop() as loop, record() as events:
        task = asyncio.Task(one_turn(), loop=loop, eager_start=True)
        assert story(events, "Task") == ["init Task1 Task by top"]
        assert loop.run_until_complete(task) == "result"
    assert events.names(events.ids("Task")[0]) == TWO_STEPS


@eager
def test_a_custom_constructor_that_is_no_class_is_called_as_it_is() -> None:
    calls: list[dict[str, Any]] = []

    def construct(coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        calls.append(kwargs)
        return asyncio.Task(coro, **kwargs)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        factory = asyncio.create_eager_task_factory(construct)
        assert factory(loop, nothing(), name="mine").get_name() == "mine"
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    assert [events.names(i) for i in children(events, main_id)] == [ONE_STEP]
    assert calls[0]["eager_start"] is True


@eager
def test_a_custom_constructor_must_be_callable_as_ever() -> None:
    with record(), pytest.raises((TypeError, AttributeError, ValueError)) as with_whence:
        asyncio.create_eager_task_factory(5)(None, None)  # type: ignore[arg-type]
    with pytest.raises((TypeError, AttributeError, ValueError)) as without:
        asyncio.create_eager_task_factory(5)(None, None)  # type: ignore[arg-type]
    assert str(with_whence.value) == str(without.value)
