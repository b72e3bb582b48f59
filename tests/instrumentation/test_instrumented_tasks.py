"""Tasks, however they are made: their steps, their ends, and what they cause."""

import asyncio
import contextvars
import gc
import sys
import threading
from asyncio import tasks
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from stories import new_loop, run_recorded, story, until

import whence
from telling import collector_off, listening, told, turns
from whence.testing import Events, record

ONE_STEP = ["init", "before", "promise_resolve", "after", "destroy"]
TWO_STEPS = ["init", "before", "after", "before", "promise_resolve", "after", "destroy"]


async def nothing() -> str:
    return "result"


async def one_turn() -> str:
    await asyncio.sleep(0)
    return "result"


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("on purpose")


class MyTask(asyncio.Task[Any]):
    """A subclass of the program's."""


MAKERS: dict[str, Callable[[asyncio.AbstractEventLoop, Coroutine[Any, Any, Any]], Any]] = {
    "create_task": lambda loop, coro: loop.create_task(coro),
    "asyncio.create_task": lambda loop, coro: asyncio.create_task(coro),
    "ensure_future": lambda loop, coro: asyncio.ensure_future(coro),
    "Task": lambda loop, coro: asyncio.Task(coro, loop=loop),
    "tasks.Task": lambda loop, coro: tasks.Task(coro, loop=loop),
    "subclass": lambda loop, coro: MyTask(coro, loop=loop),
    "in Python": lambda loop, coro: tasks._PyTask(coro, loop=loop),  # type: ignore[attr-defined]
    "with a context": lambda loop, coro: loop.create_task(coro, context=contextvars.copy_context()),
}


@pytest.mark.parametrize("made_by", MAKERS)
def test_a_task_is_told_step_by_step_however_it_is_made(made_by: str) -> None:
    async def main() -> tuple[int, int, Any]:
        task = MAKERS[made_by](asyncio.get_running_loop(), one_turn())
        (async_id,) = (i for i in events.ids("Task") if events.trigger_of(i) == here())
        return here(), async_id, await task

    with record() as events:
        main_id, async_id, result = asyncio.run(main())
    assert result == "result"
    assert told(events.of(async_id), task=async_id, main=main_id) == [
        "init task Task by main",
        "before task",
        "after task",
        "before task",
        "promise_resolve task",
        "after task",
        "destroy task",
    ]


def here() -> int:
    return whence.execution_async_id()


def children(events: Events, of: int) -> list[int]:
    return [i for i in events.ids("Task") if events.trigger_of(i) == of]


def test_tasks_of_gather_and_of_a_group_are_their_makers_doing() -> None:
    async def main() -> int:
        await asyncio.gather(one_turn(), nothing())
        async with asyncio.TaskGroup() as group:
            group.create_task(one_turn())
            group.create_task(nothing())
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    assert [events.names(i) for i in children(events, main_id)] == [
        TWO_STEPS,
        ONE_STEP,
        TWO_STEPS,
        ONE_STEP,
    ]


def test_a_failing_and_a_cancelled_task_end_as_any_other() -> None:
    async def main() -> int:
        failing = asyncio.create_task(fail())
        never_run = asyncio.create_task(one_turn())
        never_run.cancel()
        waiting = asyncio.create_task(asyncio.sleep(10))
        await turns()
        waiting.cancel()
        await asyncio.wait([failing, never_run, waiting])
        assert never_run.cancelled()
        assert str(failing.exception()) == "on purpose"
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    assert [events.names(i) for i in children(events, main_id)] == [TWO_STEPS, ONE_STEP, TWO_STEPS]


def test_a_task_that_refuses_to_be_cancelled_goes_on() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "done all the same"

    async def main() -> int:
        task = asyncio.create_task(stubborn())
        await turns()
        task.cancel()
        assert await task == "done all the same"
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    (task,) = children(events, main_id)
    assert events.names(task) == [
        *("init", "before", "after", "before", "after"),
        *("before", "promise_resolve", "after", "destroy"),
    ]


def test_a_step_of_a_task_is_no_callback() -> None:
    async def main() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        await asyncio.create_task(one_turn())

    with new_loop() as loop, record() as events:
        loop.run_until_complete(main())
    assert story(events, "Handle") == [
        "init Handle1 Handle by Task1",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
    ], "the one is run_until_complete's own"


def test_a_task_executes_as_itself_in_every_step_with_its_makers_id_as_trigger() -> None:
    seen: list[tuple[int, int, object]] = []

    def note() -> None:
        ids = whence.execution_async_id(), whence.trigger_async_id()
        seen.append((*ids, whence.execution_async_resource()))

    async def work() -> None:
        note()
        await asyncio.sleep(0)
        note()
        await deeper()

    async def deeper() -> None:
        note()

    async def main() -> tuple[int, asyncio.Task[None]]:
        task = asyncio.create_task(work())
        await task
        return here(), task

    with record() as events:
        main_id, task = asyncio.run(main())
    (async_id,) = children(events, main_id)
    assert seen == [(async_id, main_id, task)] * 3


def test_a_task_woken_by_another_keeps_its_trigger() -> None:
    async def main() -> list[int]:
        future = asyncio.get_running_loop().create_future()

        async def wait() -> list[int]:
            before = whence.trigger_async_id()
            await future
            return [before, whence.trigger_async_id()]

        async def wake() -> None:
            future.set_result(None)

        task = asyncio.create_task(wait())
        await turns()
        await asyncio.create_task(wake())
        return [*await task, here()]

    with record():
        before, after, main_id = asyncio.run(main())
    assert before == after == main_id


def test_the_main_task_of_a_loop_in_a_thread_is_the_threads_doing() -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    with record() as events:
        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        thread.join()
    (thread_id,) = events.ids("Thread")
    task = events.ids("Task")[0]
    assert events.trigger_of(task) == thread_id


def test_a_coroutine_given_to_a_loop_from_a_thread_leads_back_to_the_thread() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        results: list[Any] = []

        def give() -> None:
            future = asyncio.run_coroutine_threadsafe(one_turn(), loop)
            results.append(future.result())

        thread = threading.Thread(target=give)
        thread.start()
        await until(lambda: results)
        thread.join()
        assert results == ["result"]

    events = run_recorded(main)
    (thread,) = events.ids("Thread")
    (task,) = (i for i in events.ids("Task") if thread in events.chain(i))
    chain = events.chain(task)
    assert [events.type_of(i) for i in chain[:3]] == ["Task", "Handle", "Thread"]
    assert chain[2] == thread


def test_a_hook_enabled_while_tasks_wait_sees_their_next_steps() -> None:
    hook, events = listening()

    async def wait(future: asyncio.Future[None]) -> None:
        await future
        await asyncio.sleep(0)

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(wait(future))
        await turns()
        with hook:
            future.set_result(None)
            await task

    asyncio.run(main())
    (waiting, _) = events.ids("Task")
    assert events.names(waiting) == TWO_STEPS


def test_a_hook_disabled_while_tasks_wait_hears_no_more_and_later_again() -> None:
    hook, events = listening()

    async def main() -> list[str]:
        future = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await future

        hook.enable()
        task = asyncio.create_task(wait())
        await turns()
        hook.disable()
        await turns()
        heard = list(events.names(events.ids("Task")[0]))
        hook.enable()
        future.set_result(None)
        await task
        hook.disable()
        return heard

    heard = asyncio.run(main())
    assert heard == ["init", "before", "after"]
    assert events.names(events.ids("Task")[0]) == [
        *heard,
        *("before", "promise_resolve", "after", "destroy"),
    ]


def test_a_task_that_is_dropped_unfinished_is_destroyed_on_a_later_turn() -> None:
    async def for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        with collector_off():
            task = asyncio.create_task(for_ever())
            await turns()
            del task
            gc.collect()
        await turns()
        assert events.names(children(events, here())[0]) == ["init", "before", "after", "destroy"]

    with record() as events:
        asyncio.run(main())


def test_a_task_factory_of_the_programs_is_called_as_it_is() -> None:
    made: list[tuple[Any, ...]] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        made.append((loop, coro.__name__, sorted(kwargs)))
        return MyTask(coro, loop=loop, **kwargs)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        assert loop.get_task_factory() is factory
        task = loop.create_task(one_turn(), context=contextvars.copy_context())
        assert type(task) is MyTask
        await task
        loop.set_task_factory(None)
        assert made == [(loop, "one_turn", made[0][2])]
        return here()

    with record() as events:
        main_id = asyncio.run(main())
    assert [events.names(i) for i in children(events, main_id)] == [TWO_STEPS]


def test_the_names_of_tasks_are_put_back_also_in_asyncios_own_factory() -> None:
    names = ["Task"]
    if sys.version_info >= (3, 12):
        names += ["create_eager_task_factory", "eager_task_factory"]
    before = [vars(asyncio)[name] for name in names]
    with record():
        assert isinstance(tasks.Task, type)
        assert issubclass(tasks.Task, asyncio.Task)
        assert issubclass(MyTask, asyncio.Task)
    assert [vars(asyncio)[name] for name in names] == before
    assert asyncio.Task is tasks.Task
    if sys.version_info >= (3, 12):
        factory: Any = asyncio.eager_task_factory
        (cell,) = factory.__closure__
        assert cell.cell_contents is tasks.Task


def test_tasks_numbers_are_those_they_would_have_without_hooks() -> None:
    async def names() -> list[str]:
        task = asyncio.create_task(nothing())
        await task
        return [task.get_name()]

    def number(name: str) -> int:
        return int(name.removeprefix("Task-"))

    first = number(*asyncio.run(names()))
    with record():
        second = number(*asyncio.run(names()))
    third = number(*asyncio.run(names()))
    assert second - first == third - second
