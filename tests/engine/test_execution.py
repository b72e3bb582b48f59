"""Ids, the stack of what executes, and the resource that does: SEMANTICS 1 and 9."""

import _thread
import asyncio
import os
import selectors
import signal
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import whence
from launching import Launcher
from telling import collector_off, run_followed, told, turns
from whence import AsyncResource, create_hook, execution_async_id, trigger_async_id
from whence.engine import handle_classes
from whence.testing import record


def ids() -> tuple[int, int]:
    """Where we are: the execution id and the trigger id."""
    return execution_async_id(), trigger_async_id()


def in_thread(fn: Callable[[], Any]) -> Any:
    """What `fn` gives in a thread that whence did not see start."""
    results: list[Any] = []
    done = threading.Event()

    def work() -> None:
        results.append(fn())
        done.set()

    _thread.start_new_thread(work, ())
    assert done.wait(30)
    return results[0]


# -- ids -----------------------------------------------------------------------------------------


def test_ids_grow_with_creation_whatever_is_created() -> None:
    """SEMANTICS 1.1."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            loop.call_soon(int)
            AsyncResource("X")
            loop.create_future().cancel()
            loop.call_later(0, int)
            await loop.create_task(turns(1))

    with record() as events:
        asyncio.run(main())
    assert len(events.ids()) >= 15
    assert events.ids() == sorted(set(events.ids()))


def test_ids_are_unique_across_threads() -> None:
    """SEMANTICS 1.1."""
    made: list[list[int]] = [[] for _ in range(8)]
    barrier = threading.Barrier(8)

    def make(into: list[int]) -> None:
        barrier.wait()
        into.extend(AsyncResource("X").async_id() for _ in range(500))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(into == sorted(into) for into in made)
    assert len({i for into in made for i in into}) == 8 * 500


def test_the_first_id_of_a_process_is_two(launch: Launcher) -> None:
    """SEMANTICS 1.1, 1.3: 1 is the top level."""
    program = """
import whence
print(whence.execution_async_id(), whence.trigger_async_id())
print([whence.AsyncResource("X").async_id() for _ in range(3)])
"""
    assert launch(launch.python, "-c", program).out == "1 0\n[2, 3, 4]\n"


def test_a_failed_constructor_costs_no_id() -> None:
    """SEMANTICS 5.3."""
    before = AsyncResource("X").async_id()
    for type_, trigger in (("", None), ("X", -2)):
        with pytest.raises((TypeError, ValueError)):
            AsyncResource(type_, trigger_async_id=trigger)
    assert AsyncResource("X").async_id() == before + 1


# -- the stack -----------------------------------------------------------------------------------


def test_every_thread_has_a_stack_of_its_own() -> None:
    """SEMANTICS 1.4."""
    seen: dict[str, Any] = {}
    barrier = threading.Barrier(2)

    def note(name: str) -> None:
        barrier.wait()
        seen[name].append(ids())

    def work(name: str, resource: AsyncResource) -> None:
        barrier.wait()
        seen[name] = [ids()]
        resource.run_in_async_scope(note, name)
        seen[name].append(ids())

    a, b = AsyncResource("A"), AsyncResource("B", trigger_async_id=7)
    threads = [threading.Thread(target=work, args=pair) for pair in (("a", a), ("b", b))]
    with record() as events:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    first, second = events.ids("Thread")
    assert seen == {
        "a": [(first, 1), (a.async_id(), 1), (first, 1)],
        "b": [(second, 1), (b.async_id(), 7), (second, 1)],
    }
    assert ids() == (1, 0)


def test_a_thread_that_was_not_seen_starting_has_id_zero() -> None:
    """SEMANTICS 1.10, 1.7: and so has what triggers its resources."""
    with record():
        assert in_thread(ids) == (0, 0)
        assert in_thread(lambda: AsyncResource("X").trigger_async_id()) == 0
    go_on = threading.Event()
    seen: list[Any] = []

    def wait() -> None:
        go_on.wait(30)
        seen.append(ids())

    started_before = threading.Thread(target=wait)
    started_before.start()
    with record():
        go_on.set()
        started_before.join()
    assert seen == [(0, 0)]


@pytest.mark.parametrize("kind", ["AsyncResource", "Handle", "TimerHandle", "Task"])
def test_the_ids_that_each_callback_of_a_hook_sees(kind: str) -> None:
    """SEMANTICS 1.5, 1.6."""
    seen: dict[str, tuple[int, int]] = {}
    own: list[int] = []

    def init(async_id: int, type: str, *_: object) -> None:
        if type == kind and not own:
            own.append(async_id)
            seen["init"] = ids()

    def noting(event: str) -> Callable[[int], None]:
        def callback(async_id: int) -> None:
            if own == [async_id]:
                seen[event] = ids()

        return callback

    hook = create_hook(
        {event: noting(event) for event in ("before", "after", "promise_resolve")}, init=init
    )

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()

        async def work() -> None:
            seen["callback"] = ids()

        def callback() -> None:
            seen["callback"] = ids()

        with hook:
            if kind == "AsyncResource":
                AsyncResource(kind).run_in_async_scope(callback)
            elif kind == "Handle":
                loop.call_soon(callback)
            elif kind == "TimerHandle":
                loop.call_at(loop.time(), callback)
            else:
                await loop.create_task(work())
            await turns(5)
        return ids()

    outside = run_followed(main())
    inside = (own[0], outside[0])
    expected = {"init": outside, "before": inside, "callback": inside, "after": inside}
    if kind == "Task":
        expected["promise_resolve"] = inside
    assert seen == expected


def test_a_future_is_resolved_in_the_context_of_whoever_settles() -> None:
    """SEMANTICS 6.7, 1.4."""
    seen: list[int] = []

    async def main() -> int:
        future = asyncio.get_running_loop().create_future()
        resource = AsyncResource("X")
        with create_hook(promise_resolve=lambda i: seen.append(execution_async_id())):
            resource.run_in_async_scope(future.set_result, None)
        return resource.async_id()

    assert run_followed(main()) == seen[0]


def test_a_task_reports_its_creator_whoever_resumes_it() -> None:
    """SEMANTICS 1.6."""
    seen: list[tuple[int, int]] = []

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        async def wait() -> None:
            seen.append(ids())
            await future
            seen.append(ids())

        with record() as events:
            task = loop.create_task(wait())
            await turns(1)
            AsyncResource("X").run_in_async_scope(loop.call_soon, future.set_result, None)
            await task
        return events.ids("Task")[0], execution_async_id()

    assert set(seen) | {run_followed(main())} == set(seen)
    assert len(seen) == 2


def test_the_stack_is_as_deep_as_pythons_own() -> None:
    """SEMANTICS 1.8."""
    depth = 2000
    seen: list[int] = []

    def deeper(left: int) -> None:
        resource = AsyncResource("X")
        resource.run_in_async_scope(deeper, left - 1) if left else None
        seen.append(execution_async_id())

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * depth)
    try:
        with record() as events:
            deeper(depth)
    finally:
        sys.setrecursionlimit(limit)
    assert seen == [*reversed(events.ids()[:-1]), 1]
    assert [e[0] for e in events].count("after") == depth


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, LookupError])
def test_leaving_by_any_exception_fires_after_and_restores_the_stack(
    error: type[BaseException],
) -> None:
    """SEMANTICS 1.9."""
    outer, inner = AsyncResource("O"), AsyncResource("I")

    def fail() -> None:
        raise error

    with record() as events, pytest.raises(error):
        outer.run_in_async_scope(inner.run_in_async_scope, fail)
    assert ids() == (1, 0)
    assert told(events, o=outer.async_id(), i=inner.async_id()) == [
        "before o",
        "before i",
        "after i",
        "after o",
    ]


def leave_from_callback(loop: asyncio.AbstractEventLoop, fail: Callable[[], None]) -> None:
    loop.call_soon(fail)


def leave_from_timer(loop: asyncio.AbstractEventLoop, fail: Callable[[], None]) -> None:
    loop.call_later(0, fail)


def leave_from_done_callback(loop: asyncio.AbstractEventLoop, fail: Callable[[], None]) -> None:
    future = loop.create_future()
    future.add_done_callback(lambda _: fail())
    future.set_result(None)


def leave_from_task(loop: asyncio.AbstractEventLoop, fail: Callable[[], None]) -> object:
    async def work() -> None:
        await turns(1)
        fail()

    return loop.create_task(work())


def leave_from_reader(loop: asyncio.AbstractEventLoop, fail: Callable[[], None]) -> object:
    ours, theirs = socket.socketpair()

    def readable() -> None:
        loop.remove_reader(ours)
        ours.close()
        theirs.close()
        fail()

    loop.add_reader(ours, readable)
    theirs.send(b"x")
    return ours, theirs


WAYS_OUT = {
    "Handle": leave_from_callback,
    "TimerHandle": leave_from_timer,
    "done callback": leave_from_done_callback,
    "Task": leave_from_task,
    "Reader": leave_from_reader,
}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("way", WAYS_OUT)
def test_leaving_run_forever_restores_the_top_level(way: str, error: type[BaseException]) -> None:
    """SEMANTICS 1.9: and the loop may run again."""
    seen: list[int] = []
    loop = asyncio.new_event_loop()

    def fail() -> None:
        seen.append(execution_async_id())
        raise error

    try:
        with record() as events:
            kept = WAYS_OUT[way](loop, fail)
            with pytest.raises(error):
                loop.run_forever()
            assert ids() == (1, 0)
            assert whence.execution_async_resource() is whence.execution_async_resource()
            (left,) = seen
            settled = ["promise_resolve x"] if way == "Task" else []
            steps = ["before x", "after x"] if way == "Task" else []
            ended = [] if way == "Reader" else ["destroy x"]
            lines = told(events.of(left), x=left)[1:]
            if way == "Reader":
                assert lines == ["before x", "destroy x", "after x"]
            else:
                assert lines == [*steps, "before x", *settled, "after x", *ended]
            loop.call_soon(lambda: seen.append(execution_async_id()))
            loop.call_soon(loop.stop)
            loop.run_forever()
            assert seen[1] == events.ids("Handle")[-2]
        if isinstance(kept, asyncio.Task):
            assert kept.exception() is not None
    finally:
        loop.close()


class NotingSelector(selectors.DefaultSelector):
    """What the loop itself runs between two callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, int]] = set()

    def select(self, timeout: float | None = None) -> Any:
        self.seen.add(ids())
        return super().select(timeout)


def loop_with(selector: NotingSelector) -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selector)


def run_with(selector: NotingSelector) -> None:
    loop = loop_with(selector)
    try:
        loop.run_until_complete(asyncio.sleep(0.001))
    finally:
        loop.close()


def test_the_loop_itself_runs_with_the_ids_of_whoever_called_run() -> None:
    """SEMANTICS 1.11."""
    at_top, in_scope, in_a_thread = NotingSelector(), NotingSelector(), NotingSelector()
    resource = AsyncResource("X", trigger_async_id=9)
    with record() as events:
        run_with(at_top)
        resource.run_in_async_scope(run_with, in_scope)
        thread = threading.Thread(target=run_with, args=(in_a_thread,))
        thread.start()
        thread.join()
    (thread_id,) = events.ids("Thread")
    assert at_top.seen == {(1, 0)}
    assert in_scope.seen == {(resource.async_id(), 9)}
    assert in_a_thread.seen == {(thread_id, 1)}


def test_a_resource_may_be_entered_inside_itself() -> None:
    """SEMANTICS 1.12."""
    seen: list[tuple[int, object]] = []
    resource = AsyncResource("X")

    def note() -> None:
        seen.append((execution_async_id(), whence.execution_async_resource()))

    def outer() -> None:
        resource.run_in_async_scope(note)
        note()

    with record() as events:
        resource.run_in_async_scope(outer)
    assert told(events, x=resource.async_id()) == ["before x", "before x", "after x", "after x"]
    assert seen == [(resource.async_id(), resource)] * 2


# -- the resource --------------------------------------------------------------------------------


def test_the_top_level_resource_is_one_object_that_takes_attributes(launch: Launcher) -> None:
    """SEMANTICS 9.1."""
    program = """
import asyncio, whence
top = whence.execution_async_resource()
assert top is not None
top.state = {"a": 1}
whence.AsyncResource("X").run_in_async_scope(int)
with whence.create_hook(init=lambda *_: None):
    asyncio.run(asyncio.sleep(0))
    assert whence.execution_async_resource() is top
print(whence.execution_async_resource().state)
"""
    assert launch(launch.python, "-c", program).out == "{'a': 1}\n"


def test_a_thread_that_was_not_seen_has_a_resource_too() -> None:
    """SEMANTICS 9.1."""
    resource = in_thread(whence.execution_async_resource)
    assert resource is not None
    assert resource is in_thread(whence.execution_async_resource)
    assert resource is not whence.execution_async_resource()


def test_the_resource_is_the_very_object_given_to_init_in_all_that_execute() -> None:
    """SEMANTICS 9.2, 9.3: with everything that asyncio brings to run callbacks."""
    given: dict[int, object] = {}
    types: dict[int, str] = {}
    wrong: list[tuple[str, str]] = []
    executed: set[str] = set()

    def init(async_id: int, type: str, trigger: int, resource: object) -> None:
        given[async_id], types[async_id] = resource, type

    def compare(where: str) -> None:
        current = execution_async_id()
        if current in given:
            executed.add(types[current])
            if whence.execution_async_resource() is not given[current]:
                wrong.append((where, types[current]))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        compare("serve")
        writer.write(await reader.read(1))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            compare("connection_made")

        def data_received(self, data: bytes) -> None:
            compare("data_received")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        compare("main")
        loop.call_soon(compare, "callback")
        loop.call_later(0, compare, "timer")
        future = loop.create_future()
        future.add_done_callback(lambda _: compare("done callback"))
        future.set_result(None)
        await asyncio.to_thread(compare, "job")
        thread = threading.Thread(target=compare, args=("thread",))
        thread.start()
        await asyncio.to_thread(thread.join)
        AsyncResource("X").run_in_async_scope(compare, "scope")
        loop.add_signal_handler(signal.SIGUSR1, compare, "signal")
        os.kill(os.getpid(), signal.SIGUSR1)
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(Protocol, *address)
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"x")
        await asyncio.sleep(0.02)
        transport.close()
        server.close()
        await turns(5)
        loop.remove_signal_handler(signal.SIGUSR1)

    before = lambda _: compare("before")  # noqa: E731
    after = lambda _: compare("after")  # noqa: E731
    with create_hook(init=init, before=before, after=after):
        asyncio.run(main())
    assert wrong == []
    assert executed >= {
        "X",
        "ExecutorJob",
        "Handle",
        "Reader",
        "SignalHandle",
        "Task",
        "Thread",
        "TimerHandle",
        "Transport",
    }


def test_what_each_resource_is() -> None:
    """SEMANTICS 9.3."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        given: dict[str, object] = {}
        with create_hook(init=lambda i, type, trigger, resource: given.update({type: resource})):
            handle = loop.call_soon(int)
            assert given["Handle"] is handle
            timer = loop.call_later(0, int)
            assert given["TimerHandle"] is timer
            at = loop.call_at(0, int)
            assert given["TimerHandle"] is at
            threadsafe = loop.call_soon_threadsafe(int)
            assert given["Handle"] is threadsafe
            future = loop.create_future()
            assert given["Future"] is future
            direct: asyncio.Future[None] = asyncio.Future()
            assert given["Future"] is direct
            task = loop.create_task(turns(1))
            assert given["Task"] is task
            resource = AsyncResource("X")
            assert given["X"] is resource
            await task

    run_followed(main())


def overlap(resource: AsyncResource) -> list[bool]:
    """Have it entered by two threads, the first to come being the first to go."""
    first_in, both_in, first_out = (threading.Event() for _ in range(3))
    seen: list[bool] = []

    def note() -> None:
        seen.append(whence.execution_async_resource() is resource)

    def first() -> None:
        first_in.set()
        both_in.wait(30)
        note()

    def second() -> None:
        both_in.set()
        first_out.wait(30)
        note()

    def enter_first() -> None:
        resource.run_in_async_scope(first)
        first_out.set()

    def enter_second() -> None:
        first_in.wait(30)
        resource.run_in_async_scope(second)

    threads = [threading.Thread(target=enter) for enter in (enter_first, enter_second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def test_a_resource_entered_by_two_threads_at_once_is_itself_in_both() -> None:
    """SEMANTICS 9.2, 1.4; and 8.4: neither leaves it to the collector."""
    resource = AsyncResource("X")
    assert overlap(resource) == [True, True]
    alive = weakref.ref(resource)
    with collector_off():
        del resource
        assert alive() is None


@pytest.mark.skipif(handle_classes.keeps_stock, reason="a handle of asyncio's takes no attribute")
def test_data_is_carried_from_parent_to_child_as_in_the_documentation() -> None:
    """SEMANTICS 9.4: tasks, timers, callbacks and done callbacks all the way down."""

    def init(async_id: int, type: str, trigger: int, resource: object) -> None:
        parent = whence.execution_async_resource()
        if hasattr(parent, "state"):
            resource.state = parent.state  # type: ignore[attr-defined]

    def state() -> Any:
        return whence.execution_async_resource().state  # type: ignore[attr-defined]

    async def request(url: str, answers: dict[str, list[Any]]) -> None:
        loop = asyncio.get_running_loop()
        whence.execution_async_resource().state = {"state": url}  # type: ignore[attr-defined]
        answer = answers[url] = []
        done = loop.create_future()

        def respond() -> None:
            answer.append(state())
            loop.call_soon(finish)

        def finish() -> None:
            answer.append(state())
            done.set_result(None)

        loop.call_later(0.002, respond)
        done.add_done_callback(lambda _: answer.append(state()))
        await asyncio.sleep(0.001)
        answer.append(state())
        await done

    async def main() -> dict[str, list[Any]]:
        answers: dict[str, list[Any]] = {}
        await asyncio.gather(*(request(url, answers) for url in ("/a", "/b")))
        return answers

    with create_hook(init=init):
        answers = asyncio.run(main())
    assert answers == {url: [{"state": url}] * 4 for url in ("/a", "/b")}
