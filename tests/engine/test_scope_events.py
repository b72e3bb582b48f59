"""Scopes, as hooks and the stack see them: a resource that executes inside a task."""

import asyncio
from typing import Any

import pytest

import whence
from telling import run_followed, told, turns
from whence import AsyncResource, execution_async_id, trigger_async_id
from whence.engine import close_scope, local, open_scope
from whence.engine.resource_types import REQUEST
from whence.testing import Events, record


class Request:
    """What a scope stands for."""


def test_each_step_of_the_task_brackets_the_scope_while_it_is_open() -> None:
    """SEMANTICS 6.11: properly nested; what is created inside is triggered by the scope."""
    ids: list[tuple[int, int]] = []

    async def serve() -> int:
        request = Request()
        scope = open_scope(local.state, REQUEST, request)
        assert scope is not None
        assert whence.execution_async_resource() is request
        ids.append((execution_async_id(), trigger_async_id()))
        await asyncio.sleep(0)
        ids.append((execution_async_id(), trigger_async_id()))
        assert whence.execution_async_resource() is request
        created = AsyncResource("X")
        assert created.trigger_async_id() == execution_async_id()
        close_scope(local.state, scope)
        ids.append((execution_async_id(), trigger_async_id()))
        await asyncio.sleep(0)
        return created.async_id()

    async def main() -> list[str]:
        with record() as events:
            task = asyncio.create_task(serve())
            await task
        (task_id, *_), (request_id,) = events.ids("Task"), events.ids("Request")
        assert ids == [
            (request_id, task_id),
            (request_id, task_id),
            (task_id, execution_async_id()),
        ]
        return told(events.of(task_id, request_id), t=task_id, r=request_id)[1:]

    assert run_followed(main()) == [
        "before t",
        "init r Request by t",
        "before r",
        "after r",
        "after t",
        "before t",
        "before r",
        "after r",
        "destroy r",
        "after t",
        "before t",
        "promise_resolve t",
        "after t",
        "destroy t",
    ]


def test_scopes_of_one_task_nest() -> None:
    async def serve() -> None:
        outer, inner = Request(), Request()
        first = open_scope(local.state, REQUEST, outer)
        second = open_scope(local.state, REQUEST, inner)
        assert first is not None
        assert second is not None
        await asyncio.sleep(0)
        assert whence.execution_async_resource() is inner
        close_scope(local.state, second)
        assert whence.execution_async_resource() is outer
        close_scope(local.state, first)
        assert isinstance(whence.execution_async_resource(), asyncio.Task)

    async def main() -> list[str]:
        with record() as events:
            await asyncio.create_task(serve())
        task, (outer, inner) = events.ids("Task")[0], events.ids("Request")
        return told(events.of(task, outer, inner), t=task, o=outer, i=inner)[1:]

    assert run_followed(main()) == [
        "before t",
        "init o Request by t",
        "before o",
        "init i Request by o",
        "before i",
        "after i",
        "after o",
        "after t",
        "before t",
        "before o",
        "before i",
        "after i",
        "destroy i",
        "after o",
        "destroy o",
        "promise_resolve t",
        "after t",
        "destroy t",
    ]


def test_a_task_that_ends_with_its_scope_open_leaves_it_in_order() -> None:
    """SEMANTICS 6.11."""
    kept: list[Any] = []

    async def serve() -> None:
        kept.append(Request())
        kept.append(open_scope(local.state, REQUEST, kept[0]))
        await asyncio.sleep(0)
        raise LookupError

    async def main() -> list[str]:
        with record() as events:
            task = asyncio.create_task(serve())
            await turns()
            assert isinstance(task.exception(), LookupError)
            close_scope(local.state, kept[1])
        task_id, (request_id,) = events.ids("Task")[0], events.ids("Request")
        return told(events.of(task_id, request_id), t=task_id, r=request_id)[-6:]

    assert run_followed(main()) == [
        "before r",
        "after r",
        "promise_resolve t",
        "after t",
        "destroy t",
        "destroy r",
    ]


def test_where_no_task_executes_there_is_no_scope() -> None:
    with record() as events:
        assert open_scope(local.state, REQUEST, Request()) is None

        def callback() -> None:
            assert open_scope(local.state, REQUEST, Request()) is None

        AsyncResource("X").run_in_async_scope(callback)
    assert events.ids("Request") == []


def test_what_cannot_be_referred_to_weakly_is_refused_before_anything_happens() -> None:
    async def main() -> Events:
        with record() as events:
            with pytest.raises(TypeError, match="weak reference"):
                open_scope(local.state, REQUEST, "a request")
            assert execution_async_id() != 1
        return events

    assert run_followed(main()).ids("Request") == []


def test_a_scope_keeps_no_resource_alive() -> None:
    """SEMANTICS 8.4."""

    async def main() -> None:
        scope = open_scope(local.state, REQUEST, Request())
        assert scope is not None
        await asyncio.sleep(0)
        assert scope.resource() is None
        assert whence.execution_async_resource() is None
        close_scope(local.state, scope)

    run_followed(main())
