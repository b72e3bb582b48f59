"""destroy, at once and by collection: SEMANTICS 7 and 8."""

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from launching import Launcher
from telling import collector_off, listening, recorded, run_followed, told, turns
from whence import AsyncResource, create_hook, execution_async_id, execution_async_resource
from whence.engine import events, twin
from whence.testing import record


@pytest.mark.skipif(twin.IN_C, reason="what records it in C takes no frame of the stack")
def test_a_scope_is_left_also_where_there_is_no_stack_to_record_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SEMANTICS 1.9."""

    def left(*_: object) -> None:
        raise RecursionError

    with recorded():
        resource = AsyncResource("Deep")
        with monkeypatch.context() as patch:
            patch.setattr(events, "left", left)
            with pytest.raises(RecursionError):
                resource.run_in_async_scope(print)
        assert execution_async_id() == 1
    assert execution_async_resource() is not resource


# -- at once -------------------------------------------------------------------------------------


def settle(future: "asyncio.Future[None]") -> None:
    future.set_result(None)


def fail(future: "asyncio.Future[None]") -> None:
    future.set_exception(LookupError())
    future.exception()


def cancel(future: "asyncio.Future[None]") -> None:
    future.cancel()


@pytest.mark.parametrize("how", [settle, fail, cancel])
def test_a_settled_future_is_destroyed_before_the_call_returns(
    how: Callable[["asyncio.Future[None]"], None],
) -> None:
    """SEMANTICS 7.1."""

    async def main() -> list[str]:
        with record() as events:
            future = asyncio.get_running_loop().create_future()
            how(future)
            (async_id,) = events.ids()
            return told(events, f=async_id)[1:]

    assert run_followed(main()) == ["promise_resolve f", "destroy f"]


@pytest.mark.parametrize("kind", ["Handle", "TimerHandle"])
def test_a_cancelled_callback_is_destroyed_before_the_call_returns(kind: str) -> None:
    """SEMANTICS 7.1, 6.2."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        with record() as events:
            handle = loop.call_soon(int) if kind == "Handle" else loop.call_later(0, int)
            handle.cancel()
            lines = told(events, h=events.ids()[0])
            handle.cancel()
            await turns()
            assert told(events.of(events.ids()[0]), h=events.ids()[0]) == lines
        return [line.partition(" by ")[0] for line in lines]

    assert run_followed(main()) == [f"init h {kind}", "destroy h"]


def test_a_callback_that_ran_is_destroyed_right_after_its_after() -> None:
    """SEMANTICS 7.1: before the next one begins."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        with record() as events:
            loop.call_soon(int)
            loop.call_soon(int)
            first, second = events.ids()
            await turns()
        return told(events.of(first, second), a=first, b=second)[2:]

    assert run_followed(main()) == [
        "before a",
        "after a",
        "destroy a",
        "before b",
        "after b",
        "destroy b",
    ]


def test_emit_destroy_delivers_before_it_returns() -> None:
    """SEMANTICS 7.1."""
    seen: list[int] = []
    with create_hook(destroy=seen.append):
        resource = AsyncResource("X").emit_destroy()
        assert seen == [resource.async_id()]


def test_a_resource_destroyed_by_hand_is_not_destroyed_again_by_collection() -> None:
    """SEMANTICS 7.2."""
    with record() as events:
        resource = AsyncResource("X").emit_destroy()
        async_id = resource.async_id()
        del resource
        gc.collect()
        asyncio.run(turns())
    assert told(events.of(async_id), x=async_id) == ["init x X by top", "destroy x"]


def test_a_settled_future_is_not_destroyed_again_by_collection() -> None:
    """SEMANTICS 7.2."""

    async def main() -> int:
        with record() as events:
            future = asyncio.get_running_loop().create_future()
            future.set_result(None)
            future.cancel()
            async_id = events.ids()[0]
            del future
            gc.collect()
            await turns()
        return events.names(async_id).count("destroy")

    assert run_followed(main()) == 1


@pytest.mark.parametrize("cancelled", ["in itself", "afterwards", "twice before"])
@pytest.mark.parametrize("kind", ["Handle", "TimerHandle"])
def test_whatever_is_cancelled_whenever_is_destroyed_once(kind: str, cancelled: str) -> None:
    """SEMANTICS 7.2, 6.2."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        handles: list[asyncio.Handle] = []

        def callback() -> None:
            if cancelled == "in itself":
                handles[0].cancel()
                handles[0].cancel()

        with record() as events:
            start = loop.call_soon if kind == "Handle" else lambda c: loop.call_at(0, c)
            handles.append(start(callback))
            async_id = events.ids()[0]
            if cancelled == "twice before":
                handles[0].cancel()
                handles[0].cancel()
            await turns()
            if cancelled == "afterwards":
                handles[0].cancel()
                handles[0].cancel()
            await turns()
        return sorted(events.names(async_id))

    ran = ["after", "before"] if cancelled != "twice before" else []
    assert run_followed(main()) == [*ran, "destroy", "init"]


def test_a_destroy_callback_may_destroy_another_resource() -> None:
    """SEMANTICS 7.3: delivered, once."""
    first, second = AsyncResource("A"), AsyncResource("B")
    hook, events = listening()

    def destroy(async_id: int) -> None:
        if async_id == first.async_id():
            second.emit_destroy()

    with hook, create_hook(destroy=destroy):
        first.emit_destroy()
    names = {"a": first.async_id(), "b": second.async_id()}
    assert told(events, **names) == ["destroy a", "destroy b"]


def test_emit_destroy_in_its_own_scope_is_followed_by_after() -> None:
    """SEMANTICS 7.4."""
    with record() as events:
        resource = AsyncResource("X")
        resource.run_in_async_scope(resource.emit_destroy)
    names = events.names(resource.async_id())
    assert names[:2] == ["init", "before"]
    assert sorted(names[2:]) == ["after", "destroy"]


# -- by collection -------------------------------------------------------------------------------


def drop_resource() -> None:
    AsyncResource("X")


def drop_resource_in_cycle() -> None:
    resource: Any = AsyncResource("X")
    resource.itself = resource


class Query(AsyncResource):
    """As libraries derive: bound to itself, so in a cycle."""

    def __init__(self) -> None:
        super().__init__("X")
        self.callback = self.bind(lambda: None)


def drop_future() -> None:
    asyncio.get_running_loop().create_future()


def drop_future_in_cycle() -> None:
    future: Any = asyncio.Future()
    future.add_done_callback(lambda _: future)


def drop_task() -> None:
    """A pending task that waits for what nobody else refers to, which makes a cycle."""
    loop = asyncio.get_running_loop()

    async def wait() -> None:
        await loop.create_future()

    task: Any = loop.create_task(wait())
    task._log_destroy_pending = False


DROPS: dict[str, tuple[str, Callable[[], object]]] = {
    "resource": ("X", drop_resource),
    "resource in a cycle": ("X", drop_resource_in_cycle),
    "subclass in a cycle": ("X", Query),
    "future": ("Future", drop_future),
    "future in a cycle": ("Future", drop_future_in_cycle),
    "task in a cycle": ("Task", drop_task),
}


@pytest.fixture
def collecting() -> Iterator[Callable[[], bool]]:
    """Says whether the collector is running."""
    running = False

    def phase(name: str, info: object) -> None:
        nonlocal running
        running = name == "start"

    gc.callbacks.append(phase)
    yield lambda: running
    gc.callbacks.remove(phase)


@pytest.mark.parametrize("what", DROPS)
def test_what_is_dropped_is_destroyed_once_outside_the_collector_with_id_zero(
    what: str, collecting: Callable[[], bool]
) -> None:
    """SEMANTICS 8.1, 8.2."""
    type_, drop = DROPS[what]
    delivered: list[tuple[int, bool, int]] = []

    async def main() -> int:
        with record() as events:
            drop()
        (async_id,) = events.ids(type_)
        await turns()
        gc.collect()
        await turns()
        gc.collect()
        await turns()
        return async_id

    def destroy(async_id: int) -> None:
        delivered.append((async_id, collecting(), execution_async_id()))

    with create_hook(init=lambda *_: None, destroy=destroy):
        async_id = asyncio.run(main())
    assert [event for event in delivered if event[0] == async_id] == [(async_id, False, 0)]


@pytest.mark.parametrize("what", [what for what in DROPS if what.endswith("cycle")])
def test_the_collector_itself_delivers_nothing(what: str) -> None:
    """SEMANTICS 8.2: it is delivered on a later turn."""
    type_, drop = DROPS[what]

    async def main() -> tuple[list[str], list[str]]:
        with record() as events, collector_off():
            drop()
            (async_id,) = events.ids(type_)
            await turns()
            gc.collect()
            at_once = events.names(async_id)
            await turns(1)
            return at_once, events.names(async_id)

    at_once, later = run_followed(main())
    assert "destroy" not in at_once
    assert later == [*at_once, "destroy"]


@pytest.mark.parametrize("what", ["resource", "future"])
def test_losing_the_last_reference_delivers_nothing_but_the_next_callback_does(what: str) -> None:
    """SEMANTICS 8.2."""
    log: list[str] = []
    own: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        kept: list[object] = []
        if what == "resource":
            kept.append(AsyncResource("X"))
        else:
            kept.append(loop.create_future())

        def drop() -> None:
            kept.clear()
            log.append("dropped")

        loop.call_soon(drop)
        loop.call_soon(log.append, "next callback")
        await turns()

    def destroy(async_id: int) -> None:
        if async_id in own:
            log.append(f"destroyed in {execution_async_id()}")

    def init(async_id: int, type: str, *_: object) -> None:
        if type in ("X", "Future") and not own:
            own.append(async_id)

    with create_hook(init=init, destroy=destroy):
        asyncio.run(main())
    assert log == ["dropped", "destroyed in 0", "next callback"]


def test_by_then_the_resource_is_gone_for_good() -> None:
    """SEMANTICS 8.2: nothing is resurrected."""
    seen: list[object] = []
    resource: AsyncResource | None = AsyncResource("NOT FOLLOWED")

    with create_hook(init=lambda *_: None, destroy=lambda i: seen.append(alive())):
        resource = AsyncResource("X")
        alive = weakref.ref(resource)
        resource = None
        assert seen == []
        asyncio.run(turns())
    assert seen[0] is None


LATER_EVENTS: dict[str, Callable[[AsyncResource], object]] = {
    "init": lambda other: AsyncResource("NEXT"),
    "before": lambda other: other.run_in_async_scope(int),
    "destroy": lambda other: other.emit_destroy(),
    "a thread's": lambda other: join(threading.Thread(target=int)),
}


def join(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


@pytest.mark.parametrize("event", LATER_EVENTS)
def test_where_no_loop_turns_the_next_event_delivers(event: str) -> None:
    """SEMANTICS 8.2."""
    seen: list[tuple[int, int]] = []
    other = AsyncResource("OTHER")
    with create_hook(destroy=lambda i: seen.append((i, execution_async_id()))):
        resource: AsyncResource | None = AsyncResource("X")
        assert resource is not None
        async_id = resource.async_id()
        resource = None
        assert seen == []
        LATER_EVENTS[event](other)
    assert seen[0] == (async_id, 0)


class Finalizing:
    """Makes and drops resources in its finalizer, as a connection of a pool may."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.itself = self

    def __del__(self) -> None:
        self.log.append("finalizer begins")
        other = AsyncResource("IN FINALIZER")
        other.run_in_async_scope(int)
        self.log.append("finalizer ends")


def test_a_finalizer_that_makes_resources_is_no_occasion_to_deliver() -> None:
    """SEMANTICS 8.2: of what was dropped before, and of what it drops itself."""
    log: list[str] = []
    types: dict[int, str] = {}

    def init(async_id: int, type: str, *_: object) -> None:
        types[async_id] = type

    with create_hook(init=init, destroy=lambda i: log.append(f"destroy {types[i]}")):
        AsyncResource("DROPPED BEFORE")
        with collector_off():
            Finalizing(log)
            assert log == []
            gc.collect()
        log.append("collected")
        AsyncResource("NEXT").emit_destroy()
    assert log == [
        "finalizer begins",
        "finalizer ends",
        "collected",
        "destroy DROPPED BEFORE",
        "destroy IN FINALIZER",
        "destroy NEXT",
    ]


def test_what_no_loop_and_no_event_came_for_is_delivered_at_exit(launch: Launcher) -> None:
    """SEMANTICS 8.2."""
    program = """
import whence

def destroy(async_id):
    print("destroy", async_id, "in", whence.execution_async_id())

whence.create_hook(destroy=destroy).enable()
kept = whence.AsyncResource("KEPT")
whence.AsyncResource("X")
print("end")
"""
    finished = launch(launch.python, "-c", program)
    assert (finished.code, finished.out, finished.err) == (0, "end\ndestroy 3 in 0\n", "")


def test_what_goes_with_the_interpreter_is_told_to_nobody_and_says_nothing(
    launch: Launcher,
) -> None:
    """No hook runs in an interpreter half taken down."""
    program = """
import asyncio, whence

whence.create_hook(init=lambda *_: None, destroy=lambda i: print("destroy", i)).enable()
kept = [whence.AsyncResource("X")]
kept.append(kept)
loop = asyncio.new_event_loop()
kept += [loop.create_future(), loop.call_later(9, print)]
loop.close()
print("end")
"""
    finished = launch(launch.python, "-c", program)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.endswith("end\n")


def test_what_was_made_before_the_hook_is_not_told_to_it_by_collection() -> None:
    """SEMANTICS 8.3."""
    dropped = AsyncResource("X")
    async_id = dropped.async_id()
    with record() as events:
        del dropped
        gc.collect()
        asyncio.run(turns())
    assert events.ids("Task")
    assert events.of(async_id) == []


@pytest.mark.parametrize("another", [False, True], ids=["the only hook", "one of two"])
def test_a_hook_disabled_before_the_delivery_does_not_hear(another: bool) -> None:
    """SEMANTICS 8.3."""
    first, events = listening()
    second, others = listening()
    if another:
        second.enable()
    first.enable()
    AsyncResource("X")
    (async_id,) = events.ids()
    first.disable()
    AsyncResource("NEXT").run_in_async_scope(int)
    second.disable()
    assert events.names(async_id) == ["init"]
    assert others.names(async_id) == (["init", "destroy"] if another else [])


def test_what_was_dropped_before_the_last_hook_went_is_told_to_no_later_one() -> None:
    """SEMANTICS 8.3."""
    with record() as before:
        AsyncResource("X")
    with record() as events:
        AsyncResource("NEXT").run_in_async_scope(int)
    (async_id,) = before.ids("X")
    assert events.of(async_id) == []


def test_require_manual_destroy_is_never_told_by_collection() -> None:
    """SEMANTICS 5.12."""
    with record() as events:
        AsyncResource("X", require_manual_destroy=True)
        gc.collect()
        asyncio.run(turns())
    assert events.names(events.ids("X")[0]) == ["init"]


def test_a_resource_that_is_still_referred_to_is_not_destroyed() -> None:
    """SEMANTICS 8.4: not even when nobody but its bound function does."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        with record() as events:
            bound = AsyncResource("X").bind(int)
            future = loop.create_future()
            waiting = loop.create_task(wait_for(future))
            await turns()
            gc.collect()
            await turns()
            lines = [e[0] for e in events if e[1] in events.ids()[:3]]
            bound()
            future.set_result(None)
            await waiting
        return lines

    async def wait_for(future: "asyncio.Future[None]") -> None:
        await future

    assert "destroy" not in run_followed(main())


def test_a_long_queue_is_delivered_completely() -> None:
    """SEMANTICS 8.5."""
    number = 10_000
    seen: list[int] = []

    async def main() -> None:
        for _ in range(number):
            AsyncResource("X")
        assert seen == []
        await turns(1)
        assert len(seen) == number

    with create_hook(destroy=seen.append):
        asyncio.run(main())
    assert seen[:number] == sorted(set(seen[:number]))


def test_a_destroy_callback_that_drops_one_more_each_time_does_not_hang_the_program() -> None:
    """The rest is for the next turn."""
    seen: list[int] = []

    def destroy(async_id: int) -> None:
        seen.append(async_id)
        AsyncResource("ONE MORE")

    async def main() -> None:
        AsyncResource("X")
        await turns(1)
        assert len(seen) == 1
        await turns(1)
        assert len(seen) == 2

    with create_hook(destroy=destroy):
        asyncio.run(main())


def test_two_loops_in_two_threads_deliver_each_drop_once() -> None:
    """SEMANTICS 7.2, 8.5."""
    number = 3000
    seen: list[int] = []
    errors: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, c: errors.append(c))
        for _ in range(number // 10):
            for _ in range(10):
                AsyncResource("X")
            await turns(1)

    dropped: set[int] = set()

    def init(async_id: int, type: str, *_: object) -> None:
        if type == "X":
            dropped.add(async_id)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with create_hook(init=init, destroy=seen.append):
            threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
    assert len(dropped) == 2 * number
    assert sorted(i for i in seen if i in dropped) == sorted(dropped)


def test_in_a_forked_child_the_parents_queue_is_not_delivered(launch: Launcher) -> None:
    """What the parent dropped is the parent's to tell."""
    program = """
import os, whence

def destroy(async_id):
    print(os.getpid() == parent, flush=True)

parent = os.getpid()
whence.create_hook(destroy=destroy).enable()
whence.AsyncResource("X")
child = os.fork()
if child == 0:
    kept = whence.AsyncResource("Y")
    raise SystemExit(0)
os.waitpid(child, 0)
"""
    finished = launch(launch.python, "-W", "ignore", "-c", program)
    assert (finished.code, finished.out, finished.err) == (0, "True\n", "")
