"""Tasks: every step, however they are made and end; SEMANTICS 6.1, 6.5, 6.6, 6.11 to 6.13."""

import asyncio
import contextvars
import gc
import inspect
import sys
import threading
from asyncio import tasks
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

import whence
from telling import recorded, run_followed, told, turns
from whence import AsyncResource, create_hook, execution_async_id, trigger_async_id
from whence.testing import Events, record

ONE_STEP = ["before t", "promise_resolve t", "after t", "destroy t"]
TWO_STEPS = ["before t", "after t", *ONE_STEP]


class CustomTask(asyncio.Task):  # type: ignore[type-arg]
    """A program's own, as a task factory makes them."""


PyTask: Any = tasks._PyTask  # type: ignore[attr-defined]


class PythonTask(PyTask):  # type: ignore[misc]
    """The task written in Python, as debuggers and PyPy have it."""


async def with_factory(factory: Any, coroutine: Coroutine[Any, Any, Any]) -> Any:
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(factory)
    try:
        return loop.create_task(coroutine)
    finally:
        loop.set_task_factory(before)


async def by_create_task(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.create_task(coroutine)


async def by_the_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.get_running_loop().create_task(coroutine)


async def by_ensure_future(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.ensure_future(coroutine)


async def by_the_class(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.Task(coroutine)


async def by_a_class_of_the_programs(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return CustomTask(coroutine)


async def by_a_factory(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await with_factory(lambda loop, coro, **kw: CustomTask(coro, loop=loop, **kw), coroutine)


async def in_python(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return PythonTask(coroutine)


async def in_a_context(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.create_task(coroutine, context=contextvars.Context())


WAYS = (
    by_create_task,
    by_the_loop,
    by_ensure_future,
    by_the_class,
    by_a_class_of_the_programs,
    by_a_factory,
    in_python,
    in_a_context,
)


@pytest.mark.parametrize("make", WAYS, ids=lambda way: way.__name__)
def test_every_step_of_a_task_is_bracketed_however_it_is_made(
    make: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]],
) -> None:
    """SEMANTICS 6.5, 6.1: and its steps are no handles."""
    ids: list[tuple[int, int]] = []

    async def work() -> str:
        ids.append((execution_async_id(), trigger_async_id()))
        await asyncio.sleep(0)
        ids.append((execution_async_id(), trigger_async_id()))
        return "result"

    async def main() -> tuple[list[str], Events, int]:
        with record() as events:
            task = await make(work())
            await turns()
            assert task.result() == "result"
        (task_id,) = events.ids()
        assert ids == [(task_id, execution_async_id())] * 2
        return told(events.of(task_id), t=task_id, main=execution_async_id()), events, task_id

    lines, _, _ = run_followed(main())
    assert lines == ["init t Task by main", *TWO_STEPS]


async def returns() -> None: ...


async def raises() -> None:
    raise LookupError("x")


async def raises_at_once_hostile() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

        __repr__ = __str__

    raise Silent


async def cancels_itself() -> None:
    raise asyncio.CancelledError("message")


@pytest.mark.parametrize("work", [returns, raises, raises_at_once_hostile, cancels_itself])
def test_every_end_has_the_same_events(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """SEMANTICS 6.5."""

    async def main() -> list[str]:
        with record() as events:
            task = asyncio.create_task(work())
            await turns()
            assert task.done()
            if not task.cancelled():
                task.exception()
            task_id = events.ids("Task")[0]
        return told(events.of(task_id), t=task_id)[1:]

    assert run_followed(main()) == ONE_STEP


def test_a_task_cancelled_before_its_first_step_has_one() -> None:
    """SEMANTICS 6.5."""

    async def main() -> list[str]:
        with record() as events:
            task = asyncio.create_task(turns(1))
            assert task.cancel()
            await turns()
            assert task.cancelled()
            task_id = events.ids("Task")[0]
        return told(events.of(task_id), t=task_id)[1:]

    assert run_followed(main()) == ONE_STEP


def test_a_task_cancelled_while_it_waits_ends_in_its_next_step() -> None:
    """SEMANTICS 6.5: the future that it waits for is settled by the cancelling."""

    async def main() -> list[str]:
        with record() as events:
            loop = asyncio.get_running_loop()
            future = loop.create_future()

            async def wait() -> None:
                await future

            task = asyncio.create_task(wait())
            await turns(1)
            task.cancel()
            await turns()
            future_id, task_id = events.ids()
        return told(events.of(future_id, task_id), f=future_id, t=task_id)[2:]

    assert run_followed(main()) == [
        "before t",
        "after t",
        "promise_resolve f",
        "destroy f",
        *ONE_STEP,
    ]


def test_a_task_that_resists_its_cancellation_goes_on() -> None:
    """SEMANTICS 6.12."""

    async def main() -> tuple[list[str], str]:
        async def stubborn() -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
            return "not cancelled"

        with record() as events:
            task = asyncio.create_task(stubborn())
            await turns(2)
            task.cancel()
            result = await task
        return events.names(events.ids("Task")[0]), result

    names, result = run_followed(main())
    assert result == "not cancelled"
    steps = ["before", "after"]
    assert names == ["init", *steps, *steps, "before", "promise_resolve", "after", "destroy"]


def test_a_coroutine_that_is_awaited_directly_is_no_resource() -> None:
    """SEMANTICS 6.6."""
    ids: list[int] = []

    async def inner() -> None:
        ids.append(execution_async_id())
        await asyncio.sleep(0)
        ids.append(execution_async_id())

    async def main() -> int:
        with record() as events:
            await inner()
        assert events.ids() == []
        return execution_async_id()

    assert run_followed(main()) == ids[0] == ids[1]


def test_before_and_after_nest_in_each_thread_whatever_runs() -> None:
    """SEMANTICS 6.11."""
    stacks: dict[int, list[int]] = {}
    depths: list[int] = []

    def push(async_id: int) -> None:
        stack = stacks.setdefault(threading.get_ident(), [])
        stack.append(async_id)
        depths.append(len(stack))
        assert_equal(execution_async_id(), async_id)

    def pop(async_id: int) -> None:
        assert_equal(execution_async_id(), async_id)
        assert_equal(stacks[threading.get_ident()].pop(), async_id)

    wrong: list[tuple[int, int]] = []

    def assert_equal(a: int, b: int) -> None:
        if a != b:
            wrong.append((a, b))

    async def scope() -> None:
        resource = AsyncResource("X")
        resource.run_in_async_scope(resource.run_in_async_scope, int)
        await asyncio.to_thread(AsyncResource("Y").run_in_async_scope, int)

    async def nested_loop() -> None:
        def run_another() -> None:
            asyncio.run(scope())

        await asyncio.to_thread(run_another)

    async def fails() -> None:
        await asyncio.sleep(0)
        AsyncResource("Z").run_in_async_scope(lambda: 1 // 0)

    async def main() -> None:
        await asyncio.gather(scope(), nested_loop(), fails(), scope(), return_exceptions=True)

    with create_hook(before=push, after=pop):
        asyncio.run(main())
    assert wrong == []
    assert max(depths) >= 3
    assert all(stack == [] for stack in stacks.values())


@pytest.mark.parametrize("hooked", [False, True])
def test_what_a_task_shows_and_gives_is_as_ever(hooked: bool) -> None:
    """SEMANTICS 6.12."""

    async def main() -> list[object]:
        async def work(number: int) -> int:
            await asyncio.sleep(0)
            return number

        coroutine = work(7)
        task = asyncio.get_running_loop().create_task(coroutine, name="mine")
        shown: list[object] = [
            task.get_name(),
            task.get_coro() is coroutine,
            task.get_stack()[0].f_code.co_name,
            task in asyncio.all_tasks(),
            task.cancelling(),
            repr(task).startswith("<Task pending name='mine' coro=<"),
            type(task).__name__,
            inspect.isawaitable(task),
        ]
        shown.append(await task)
        shown.append(asyncio.current_task() is not None)
        return shown

    if hooked:
        with record():
            shown = asyncio.run(main())
    else:
        shown = asyncio.run(main())
    assert shown == [
        "mine",
        True,
        "work",
        True,
        0,
        True,
        "Task",
        True,
        7,
        True,
    ]


@pytest.mark.parametrize("hooked", [False, True])
def test_a_pending_task_that_is_dropped_is_reported_as_ever(hooked: bool) -> None:
    """SEMANTICS 6.12."""
    reports: list[str] = []

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context["message"]))
        asyncio.ensure_future(wait())  # noqa: RUF006
        await turns()
        gc.collect()
        await turns()

    if hooked:
        with record():
            asyncio.run(main())
    else:
        asyncio.run(main())
    assert reports == ["Task was destroyed but it is pending!"]


@pytest.mark.parametrize("hooked", [False, True])
def test_an_exception_that_is_never_retrieved_is_reported_as_ever(hooked: bool) -> None:
    """SEMANTICS 6.12: we look at the exception, and retrieve nothing."""
    reports: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context["message"]))
        asyncio.ensure_future(raises())  # noqa: RUF006
        await turns()

    if hooked:
        with record():
            asyncio.run(main())
    else:
        asyncio.run(main())
    assert reports == ["Task exception was never retrieved"]


class Awaited:
    """An awaitable that answers with a hostile object."""

    def __await__(self) -> Generator[Any, Any, Any]:
        yield
        return self

    def _no(self, *_: object) -> Any:
        raise LookupError("asked")

    __eq__ = __hash__ = __bool__ = __repr__ = __str__ = _no


def test_nothing_is_asked_of_what_a_task_awaits_and_gives() -> None:
    async def work(result: Awaited) -> Any:
        return await result

    async def main() -> Any:
        return await asyncio.create_task(work(Awaited()))

    assert isinstance(run_followed(main()), Awaited)


class HostileCoroutine(Coroutine[Any, Any, int]):
    """A program's own coroutine: all but its name and its steps raises."""

    def __init__(self) -> None:
        self.steps = 0

    def send(self, value: Any) -> Any:
        self.steps += 1
        if self.steps == 2:
            raise StopIteration(7)

    def throw(self, *error: Any) -> Any:
        raise error[0]

    def close(self) -> None: ...

    def __await__(self) -> Generator[Any, Any, int]:
        raise LookupError("asked")

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


@pytest.mark.parametrize("also", [nullcontext, recorded], ids=["hooks", "recorded"])
def test_a_coroutine_of_the_programs_own_making_is_run_like_any_other(
    also: Callable[[], AbstractContextManager[None]],
) -> None:
    async def main() -> tuple[list[str], int]:
        with record() as events, also():
            task = asyncio.create_task(HostileCoroutine())
            await turns()
            task_id = events.ids("Task")[0]
        return told(events.of(task_id), t=task_id)[1:], task.result()

    assert run_followed(main()) == (TWO_STEPS, 7)


def test_a_task_may_be_cancelled_by_the_hook_that_hears_of_it() -> None:
    async def main() -> bool:
        def init(async_id: int, type: str, trigger: int, resource: Any) -> None:
            if type == "Task":
                resource.cancel()

        with create_hook(init=init):
            task = asyncio.create_task(turns(1))
        await turns()
        return task.cancelled()

    assert run_followed(main())


def test_data_that_a_hook_puts_on_a_task_is_there() -> None:
    """SEMANTICS 9.4."""

    async def main() -> Any:
        def init(async_id: int, type: str, trigger: int, resource: Any) -> None:
            resource.data = async_id

        async def work() -> Any:
            resource: Any = whence.execution_async_resource()
            return resource.data == execution_async_id()

        with create_hook(init=init):
            return await asyncio.create_task(work())

    assert run_followed(main())


# -- eager tasks ---------------------------------------------------------------------------------

eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")


async def eagerly(coroutine: Coroutine[Any, Any, Any]) -> Any:
    factory: Any = asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
    return await with_factory(factory, coroutine)


async def eagerly_of_a_class(coroutine: Coroutine[Any, Any, Any]) -> Any:
    make: Any = asyncio.create_eager_task_factory  # type: ignore[attr-defined,unused-ignore]
    return await with_factory(make(CustomTask), coroutine)


async def eagerly_by_hand(coroutine: Coroutine[Any, Any, Any]) -> Any:
    make: Any = asyncio.Task
    return make(coroutine, loop=asyncio.get_running_loop(), eager_start=True)


EAGER_WAYS = (eagerly, eagerly_of_a_class, eagerly_by_hand)


@eager
@pytest.mark.parametrize("make", EAGER_WAYS, ids=lambda way: way.__name__)
def test_an_eager_task_that_ends_at_once_has_all_its_events_inside_its_creators(
    make: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]],
) -> None:
    """SEMANTICS 6.13."""
    ids: list[tuple[int, int]] = []

    async def work() -> int:
        ids.append((execution_async_id(), trigger_async_id()))
        return 7

    async def main() -> list[str]:
        with record() as events:
            task = await make(work())
            assert task.done()
            assert await task == 7
        (task_id,) = events.ids()
        assert ids == [(task_id, execution_async_id())]
        return told(events, t=task_id, main=execution_async_id())

    assert run_followed(main()) == ["init t Task by main", *ONE_STEP]


@eager
@pytest.mark.parametrize("make", EAGER_WAYS, ids=lambda way: way.__name__)
def test_an_eager_task_that_waits_goes_on_like_any_other(
    make: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]],
) -> None:
    """SEMANTICS 6.13."""
    ids: list[int] = []

    async def work() -> None:
        ids.append(execution_async_id())
        await asyncio.sleep(0)
        ids.append(execution_async_id())

    async def main() -> list[str]:
        with record() as events:
            task = await make(work())
            assert len(ids) == 1
            await turns()
            assert task.done()
        (task_id,) = events.ids()
        assert ids == [task_id, task_id]
        return told(events.of(task_id), t=task_id, main=execution_async_id())

    assert run_followed(main()) == ["init t Task by main", *TWO_STEPS]


@eager
def test_an_eager_task_that_fails_at_once_fails_as_ever() -> None:
    """SEMANTICS 6.13, 6.12."""

    async def main() -> list[str]:
        with record() as events:
            task = await eagerly(raises())
            assert isinstance(task.exception(), LookupError)
        (task_id,) = events.ids()
        return told(events, t=task_id)[1:]

    assert run_followed(main()) == ONE_STEP


@eager
def test_eager_tasks_in_eager_tasks_nest() -> None:
    """SEMANTICS 6.13, 6.11."""

    async def inner() -> int:
        return execution_async_id()

    async def outer() -> tuple[int, int, int]:
        before = execution_async_id()
        task = await eagerly(inner())
        return before, task.result(), execution_async_id()

    async def main() -> list[str]:
        with record() as events:
            task = await eagerly(outer())
        a, b = events.ids()
        assert task.result() == (a, b, a)
        return told(events, a=a, b=b, main=execution_async_id())

    assert run_followed(main()) == [
        "init a Task by main",
        "before a",
        "init b Task by a",
        "before b",
        "promise_resolve b",
        "after b",
        "destroy b",
        "promise_resolve a",
        "after a",
        "destroy a",
    ]
