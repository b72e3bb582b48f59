"""whence keeps nothing of the program alive: SEMANTICS 8.4.

Every story runs without whence too: it must be the program's own doing that the thing goes, with
the last reference to it and without the collector.
"""

import asyncio
import contextvars
import gc
import socket
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

import whence
from telling import collector_off, recorded, turns
from whence import AsyncResource, create_hook

Gone = weakref.ref[Any]


class Thing:
    """What must not be kept."""


def ignore(*_: object) -> None:
    """A callback."""


async def argument_of_a_callback() -> Gone:
    thing = Thing()
    asyncio.get_running_loop().call_soon(ignore, thing)
    return weakref.ref(thing)


async def argument_of_a_callback_in_a_context() -> Gone:
    thing = Thing()
    context = contextvars.copy_context()
    asyncio.get_running_loop().call_soon(ignore, thing, context=context)
    return weakref.ref(thing)


async def argument_of_a_cancelled_callback() -> Gone:
    thing = Thing()
    handle = asyncio.get_running_loop().call_soon(ignore, thing)
    gone = weakref.ref(thing)
    del thing
    handle.cancel()
    assert gone() is None
    return gone


async def argument_of_a_timer() -> Gone:
    thing = Thing()
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time(), ignore, thing)
    return weakref.ref(thing)


async def argument_of_a_cancelled_timer() -> Gone:
    thing = Thing()
    timer = asyncio.get_running_loop().call_later(3600, ignore, thing)
    gone = weakref.ref(thing)
    del thing
    timer.cancel()
    assert gone() is None
    return gone


async def a_handle_that_ran() -> Gone:
    return weakref.ref(asyncio.get_running_loop().call_soon(ignore))


async def a_pending_future() -> Gone:
    gone = weakref.ref(asyncio.get_running_loop().create_future())
    assert gone() is None
    return gone


async def a_direct_future() -> Gone:
    gone = weakref.ref(asyncio.Future())  # type: ignore[var-annotated]
    assert gone() is None
    return gone


async def result_of_a_future() -> Gone:
    future = asyncio.get_running_loop().create_future()
    future.set_result(Thing())
    return weakref.ref(future.result())


async def awaited_future() -> Gone:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future
    gone = weakref.ref(future)
    del future
    return gone


async def done_callback() -> Gone:
    future = asyncio.get_running_loop().create_future()
    thing = Thing()
    future.add_done_callback(lambda _, thing=thing: None)  # type: ignore[misc]
    future.set_result(None)
    return weakref.ref(thing)


async def finished_task() -> Gone:
    task = asyncio.get_running_loop().create_task(turns(1))
    await task
    return weakref.ref(task)


async def parked_and_finished_task() -> Gone:
    future = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await future

    task = asyncio.get_running_loop().create_task(wait())
    await turns(2)
    future.set_result(None)
    await turns(2)
    assert task.done()
    return weakref.ref(task)


async def result_of_a_task() -> Gone:
    async def work() -> Thing:
        return Thing()

    return weakref.ref(await asyncio.get_running_loop().create_task(work()))


async def local_of_a_failed_task() -> Gone:
    async def work(things: list[Thing]) -> None:
        local = things.pop()
        await turns(1)
        raise LookupError(local is not None)

    thing = Thing()
    task = asyncio.get_running_loop().create_task(work([thing]))
    try:
        await task
    except LookupError:
        del task
    return weakref.ref(thing)


async def local_of_a_cancelled_task() -> Gone:
    async def work(things: list[Thing]) -> None:
        local = things.pop()
        await asyncio.sleep(3600)
        del local

    thing = Thing()
    task = asyncio.get_running_loop().create_task(work([thing]))
    await turns(2)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    return weakref.ref(thing)


async def a_task_cancelled_before_its_first_step() -> Gone:
    task = asyncio.get_running_loop().create_task(turns(1))
    task.cancel()
    await turns()
    return weakref.ref(task)


async def gathered_tasks() -> Gone:
    async def work(thing: Thing) -> None:
        await turns(1)

    thing = Thing()
    await asyncio.gather(work(thing), work(thing))
    return weakref.ref(thing)


async def a_resource() -> Gone:
    gone = weakref.ref(AsyncResource("X"))
    assert gone() is None
    return gone


async def a_resource_that_was_entered() -> Gone:
    resource = AsyncResource("X")
    resource.run_in_async_scope(resource.run_in_async_scope, ignore)
    return weakref.ref(resource)


async def a_resource_left_by_an_exception() -> Gone:
    def fail(things: list[Thing]) -> None:
        local = things.pop()
        raise LookupError(local is not None)

    resource, thing = AsyncResource("X"), Thing()
    try:
        resource.run_in_async_scope(fail, [thing])
    except LookupError:
        pass
    gone = weakref.ref(resource)
    del resource
    assert gone() is None
    return weakref.ref(thing)


async def a_bound_function() -> Gone:
    thing = Thing()
    bound = AsyncResource("X").bind(lambda: thing)
    bound()
    return weakref.ref(bound)


async def an_argument_of_a_bound_function() -> Gone:
    bound = AsyncResource.bind_function(ignore)
    thing = Thing()
    bound(thing)
    return weakref.ref(thing)


async def an_attribute_of_the_executing_resource() -> Gone:
    async def work(thing: Thing) -> None:
        if isinstance(whence.execution_async_resource(), asyncio.Task):
            whence.execution_async_resource().state = thing  # type: ignore[attr-defined]
        await turns(1)

    thing = Thing()
    await asyncio.get_running_loop().create_task(work(thing))
    return weakref.ref(thing)


async def a_removed_reader() -> Gone:
    loop, thing = asyncio.get_running_loop(), Thing()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop.add_reader(ours, ignore, thing)
        theirs.send(b"x")
        await turns(2)
        loop.remove_reader(ours)
    await turns(2)
    return weakref.ref(thing)


async def a_replaced_reader() -> Gone:
    loop, thing = asyncio.get_running_loop(), Thing()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop.add_reader(ours, ignore, thing)
        loop.add_reader(ours, ignore)
        gone = weakref.ref(thing)
        del thing
        assert gone() is None
        loop.remove_reader(ours)
    return gone


async def argument_of_a_thread() -> Gone:
    thing = Thing()
    thread = threading.Thread(target=ignore, args=(thing,))
    thread.start()
    thread.join()
    return weakref.ref(thing)


async def a_thread() -> Gone:
    thread = threading.Thread(target=ignore)
    thread.start()
    thread.join()
    return weakref.ref(thread)


async def argument_of_a_failed_job() -> Gone:
    def fail(thing: Thing) -> None:
        raise LookupError

    thing = Thing()
    with ThreadPoolExecutor(1) as pool:
        try:
            await asyncio.get_running_loop().run_in_executor(pool, fail, thing)
        except LookupError:
            pass
    return weakref.ref(thing)


STORIES = [
    story
    for story in list(globals().values())
    if asyncio.iscoroutinefunction(story) and story is not turns
]


async def local_of_a_failing_callback() -> Gone:
    """Goes with the collector alone: asyncio's own frame is in a cycle with the exception."""

    def fail(things: list[Thing]) -> None:
        local = things.pop()
        raise LookupError(local is not None)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(ignore)
    thing = Thing()
    loop.call_soon(fail, [thing])
    return weakref.ref(thing)


@contextmanager
def five_hooks() -> Iterator[None]:
    names = ("init", "before", "after", "destroy", "promise_resolve")
    with create_hook(dict.fromkeys(names, ignore)):
        yield


MODES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "without whence": nullcontext,
    "hooks": five_hooks,
    "recorded": recorded,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_it_goes_as_without_whence(story: Callable[[], Awaitable[Gone]], mode: str) -> None:
    """SEMANTICS 8.4."""

    async def main() -> None:
        gone = await story()
        await turns(4)
        assert gone() is None

    with MODES[mode](), collector_off():
        asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
def test_a_failing_callback_goes_with_the_collector(mode: str) -> None:
    """SEMANTICS 8.4."""

    async def main() -> None:
        gone = await local_of_a_failing_callback()
        await turns(4)
        gc.collect()
        assert gone() is None

    with MODES[mode]():
        asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_left_run_forever_keeps_no_frame_alive(mode: str, error: type[BaseException]) -> None:
    """SEMANTICS 8.4, 1.9."""

    def fail(things: list[Thing]) -> None:
        local = things.pop()
        raise error(local is not None)

    with MODES[mode](), collector_off():
        loop = asyncio.new_event_loop()
        thing = Thing()
        gone = weakref.ref(thing)
        handle = weakref.ref(loop.call_soon(fail, [thing]))
        del thing
        try:
            loop.run_forever()
        except error:
            pass
        assert gone() is None
        assert handle() is None
        loop.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_kept_exception_keeps_the_programs_frames_and_none_of_ours(mode: str) -> None:
    """SEMANTICS 8.4: not the handle, nor the task, nor its loop."""

    async def fail() -> None:
        raise LookupError

    async def main() -> tuple[BaseException, Gone]:
        task = asyncio.get_running_loop().create_task(fail())
        try:
            await task
        except LookupError as error:
            return error.with_traceback(None), weakref.ref(task)
        raise AssertionError

    with MODES[mode](), collector_off():
        error, task = asyncio.run(main())
        assert isinstance(error, LookupError)
        assert task() is None
