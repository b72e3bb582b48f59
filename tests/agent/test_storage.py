"""AsyncLocalStorage: SEMANTICS 10.  What conformance tests is not repeated here."""

import asyncio
import contextvars
import gc
import inspect
import sys
import threading
import types
import warnings
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import whence
from telling import collector_off, turns
from whence import AsyncLocalStorage, AsyncResource
from whence.testing import record

Storage = AsyncLocalStorage[Any]


# -- run, exit, enter_with -----------------------------------------------------------------------


def test_it_creates_no_resource_and_changes_no_id() -> None:
    """SEMANTICS 10.1."""
    storage = Storage()
    ids: list[int] = []

    def note() -> None:
        ids.append(whence.execution_async_id())

    async def work() -> None:
        await turns(1)
        note()

    async def main() -> None:
        note()
        with record() as events:
            storage.run(1, note)
            storage.exit(note)
            storage.enter_with(2)
            storage.bind(note)()
            AsyncLocalStorage.snapshot()(note)
            storage.disable()
            note()
            at_first = AsyncResource("X").async_id()
            await storage.run(3, work)
        assert [e for e in events if e[0] == "init" and e[2] != "Task"] == [
            ("init", at_first, "X", ids[0])
        ]

    before = AsyncResource("X").async_id()
    for _ in range(3):
        storage.run(1, int)
    assert AsyncResource("X").async_id() == before + 1
    asyncio.run(main())
    assert len(set(ids[:-1])) == 1


def test_the_default_is_for_those_outside() -> None:
    """SEMANTICS 10.2, 10.3: None is a store, and beats it."""
    storage: AsyncLocalStorage[str | None] = AsyncLocalStorage(default="default", name="mine")
    assert storage.name == "mine"
    assert Storage().name is None
    assert storage.get_store() == "default"
    assert storage.run(None, storage.get_store) is None
    assert storage.run("a", lambda: storage.run(None, storage.get_store)) is None
    assert storage.get_store() == "default"


def test_arguments_named_as_ours_are_passed() -> None:
    """SEMANTICS 10.3, 10.6, 10.9."""
    storage = Storage()

    def echo(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    names = {"self": 1, "store": 2, "fn": 3, "args": 4, "kwargs": 5}
    assert storage.run("s", echo, 0, **names) == ((0,), names)
    assert storage.exit(echo, 0, **names) == ((0,), names)
    assert AsyncLocalStorage.snapshot()(echo, 0, **names) == ((0,), names)
    bound: Any = AsyncLocalStorage.bind(echo)
    assert bound(0, **names) == ((0,), names)


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt, GeneratorExit])
def test_after_any_exception_the_former_store_is_back(error: type[BaseException]) -> None:
    """SEMANTICS 10.3, 10.6."""
    storage = Storage()

    def fail() -> None:
        storage.enter_with("entered")
        raise error

    def body() -> Any:
        with pytest.raises(error):
            storage.run("in", fail)
        assert storage.get_store() == "out"
        with pytest.raises(error):
            storage.exit(fail)
        return storage.get_store()

    assert storage.run("out", body) == "out"
    assert storage.get_store() is None


class Unfriendly:
    """A store of which nothing may be asked."""

    def _no(self, *_: object) -> Any:
        raise LookupError("asked")

    __eq__ = __hash__ = __bool__ = __repr__ = __len__ = _no


def test_nothing_is_asked_of_a_store() -> None:
    """SEMANTICS 10.3: any value is one."""
    storage, store = Storage(), Unfriendly()
    assert storage.run(store, storage.get_store) is store
    assert storage.run(store, storage.exit, storage.get_store) is None


def test_nothing_is_asked_of_a_result() -> None:
    """SEMANTICS 10.3: not even of a reference to what is no more."""
    proxy = weakref.proxy(AsyncResource("X"))
    storage = Storage()
    assert storage.run("s", lambda: proxy) is proxy
    assert storage.exit(lambda: proxy) is proxy


def test_what_is_not_callable_is_the_callers_error_and_changes_nothing() -> None:
    wrong: Any = 5
    storage = Storage()
    with pytest.raises(TypeError, match="not callable"):
        storage.run("s", wrong)
    with pytest.raises(TypeError, match="not callable"):
        storage.exit(wrong)
    assert storage.get_store() is None


def test_inside_exit_there_is_no_store_nor_default_also_for_what_is_started_there() -> None:
    """SEMANTICS 10.6."""
    storage: AsyncLocalStorage[str] = AsyncLocalStorage(default="default")
    seen: dict[str, Any] = {}

    async def task() -> None:
        seen["task"] = storage.get_store()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def start() -> asyncio.Task[None]:
            seen["inside"] = storage.get_store()
            loop.call_soon(lambda: seen.update(callback=storage.get_store()))
            return loop.create_task(task())

        def body() -> Any:
            started = storage.exit(start)
            seen["afterwards"] = storage.get_store()
            return started

        await storage.run("s", body)
        await turns()

    asyncio.run(main())
    assert seen == {"inside": None, "callback": None, "task": None, "afterwards": "s"}


def test_exit_concerns_its_own_storage_alone() -> None:
    """SEMANTICS 10.10."""
    a, b = Storage(), Storage()
    both = a.run(1, lambda: b.run(2, lambda: a.exit(lambda: (a.get_store(), b.get_store()))))
    assert both == (None, 2)


# -- what is started inside ----------------------------------------------------------------------


def starters(storage: Storage, seen: dict[str, Any]) -> Callable[[], Any]:
    """Starts one of everything; each notes the store that it runs with."""

    def note(what: str, *_: object) -> None:
        seen[what] = storage.get_store()

    async def work(what: str) -> None:
        note(what)
        await asyncio.sleep(0)
        note(what + " later")

    def start() -> list[Any]:
        loop = asyncio.get_running_loop()
        loop.call_soon(note, "call_soon")
        loop.call_soon_threadsafe(note, "call_soon_threadsafe")
        loop.call_later(0.001, note, "call_later")
        loop.call_at(loop.time(), note, "call_at")
        settled_outside = loop.create_future()
        settled_outside.add_done_callback(lambda _: note("done callback"))
        task = loop.create_task(work("task"))
        task.add_done_callback(lambda _: note("task's done callback"))
        gathered = asyncio.gather(work("gathered"), work("gathered too"))
        job = asyncio.ensure_future(asyncio.to_thread(note, "to_thread"))
        return [settled_outside, task, gathered, job]

    return start


EVERYTHING = (
    "call_soon",
    "call_soon_threadsafe",
    "call_later",
    "call_at",
    "done callback",
    "task",
    "task later",
    "task's done callback",
    "gathered",
    "gathered later",
    "gathered too",
    "gathered too later",
    "to_thread",
)


@pytest.mark.parametrize("hooked", [False, True], ids=["no hook", "a hook"])
def test_all_that_is_started_inside_keeps_the_store(hooked: bool) -> None:
    """SEMANTICS 10.4, 10.1: done callbacks have the store of their registration."""
    storage, seen = Storage(), dict[str, Any]()

    async def main() -> None:
        started = storage.run("s", starters(storage, seen))
        storage.run("settling", started[0].set_result, None)
        await asyncio.gather(*started)
        await asyncio.sleep(0.005)
        assert storage.get_store() is None

    if hooked:
        with record():
            asyncio.run(main())
    else:
        asyncio.run(main())
    assert seen == dict.fromkeys(EVERYTHING, "s")


def test_what_is_entered_is_kept_by_all_that_is_started_afterwards() -> None:
    """SEMANTICS 10.7, 10.4."""
    storage, seen = Storage(), dict[str, Any]()

    async def main() -> None:
        storage.enter_with("s")
        started = starters(storage, seen)()
        started[0].set_result(None)
        await asyncio.gather(*started)
        await asyncio.sleep(0.005)
        assert storage.get_store() == "s"

    asyncio.run(main())
    assert seen == dict.fromkeys(EVERYTHING, "s")


def test_what_is_entered_stays_with_its_step_and_not_with_siblings() -> None:
    """SEMANTICS 10.7: callbacks, timers, tasks, the task's parent."""
    storage, seen = Storage(), dict[str, Any]()

    def enter(what: str) -> None:
        seen[what + " before"] = storage.get_store()
        storage.enter_with(what)
        seen[what] = storage.get_store()

    async def child() -> None:
        enter("child")
        await turns(1)
        seen["child later"] = storage.get_store()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(enter, "first")
        loop.call_soon(enter, "second")
        loop.call_later(0, enter, "timer")
        await loop.create_task(child())
        await child()
        await asyncio.sleep(0.002)
        seen["parent"] = storage.get_store()

    asyncio.run(main())
    assert seen == {
        "first before": None,
        "first": "first",
        "second before": None,
        "second": "second",
        "timer before": None,
        "timer": "timer",
        "child before": None,
        "child": "child",
        "child later": "child",
        "parent": "child",
    }
    assert storage.get_store() is None


def test_what_is_entered_ends_with_the_enclosing_run_exit_or_scope() -> None:
    """SEMANTICS 10.7."""
    storage, other = Storage(), Storage()
    resource = AsyncResource("X")
    for enclose in (
        lambda fn: storage.run("in", fn),
        lambda fn: other.run("in", fn),
        lambda fn: storage.exit(fn),
        lambda fn: resource.run_in_async_scope(fn),
        lambda fn: AsyncLocalStorage.snapshot()(fn),
        lambda fn: AsyncLocalStorage.bind(fn)(),
    ):
        assert enclose(lambda: storage.enter_with("entered")) is None
        assert storage.get_store() is None


def test_the_contexts_of_concurrent_tasks_do_not_mix() -> None:
    """SEMANTICS 10.10."""
    a, b = Storage(), Storage()

    async def work(number: int) -> tuple[Any, Any]:
        b.enter_with(-number)
        for _ in range(5):
            assert (a.get_store(), b.get_store()) == (number, -number)
            await asyncio.sleep(0)
        return a.get_store(), b.get_store()

    async def main() -> list[Any]:
        tasks = [a.run(n, asyncio.ensure_future, a.run(n, work, n)) for n in range(20)]
        tasks += [a.run(n, lambda n=n: asyncio.ensure_future(work(n))) for n in range(20)]
        return list(await asyncio.gather(*tasks))

    assert asyncio.run(main()) == [(n, -n) for n in range(20)] * 2


# -- async functions -----------------------------------------------------------------------------


async def steps(storage: Storage, seen: list[Any]) -> str:
    """Notes its store between its awaits."""
    seen.append(storage.get_store())
    await asyncio.sleep(0)
    seen.append(storage.get_store())
    await asyncio.sleep(0.001)
    seen.append(storage.get_store())
    return "result"


async def await_here(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await coroutine


async def make_a_task(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.create_task(coroutine)


async def ensure(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.ensure_future(coroutine)


async def with_a_timeout(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.wait_for(coroutine, 30)


async def gather_it(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return (await asyncio.gather(coroutine))[0]


async def in_a_group(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(coroutine)
    return task.result()


async def shielded(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.shield(coroutine)


async def in_a_context_of_its_own(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())


async def in_another_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.to_thread(asyncio.run, coroutine)


async def through_a_generator(coroutine: Coroutine[Any, Any, Any]) -> Any:
    @types.coroutine
    def delegate() -> Any:
        return (yield from coroutine.__await__())

    return await delegate()


AWAITING = (
    await_here,
    make_a_task,
    ensure,
    with_a_timeout,
    gather_it,
    in_a_group,
    shielded,
    in_a_context_of_its_own,
    in_another_loop,
    through_a_generator,
)


@pytest.mark.parametrize("awaiting", AWAITING, ids=lambda way: way.__name__)
def test_a_coroutine_keeps_its_store_wherever_it_is_awaited(
    awaiting: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]],
) -> None:
    """SEMANTICS 10.5: and the caller keeps its own."""
    storage = Storage()
    seen: list[Any] = []

    async def main() -> None:
        coroutine = storage.run("inner", steps, storage, seen)
        storage.enter_with("outer")
        assert await awaiting(coroutine) == "result"
        assert storage.get_store() == "outer"

    asyncio.run(main())
    assert seen == ["inner"] * 3


def test_exit_of_an_async_function_is_outside_over_all_its_awaits() -> None:
    """SEMANTICS 10.5, 10.6."""
    storage: Storage = AsyncLocalStorage(default="default")
    seen: list[Any] = []

    async def main() -> None:
        storage.enter_with("outer")
        assert await storage.exit(steps, storage, seen) == "result"
        assert storage.get_store() == "outer"

    asyncio.run(main())
    assert seen == [None] * 3


def test_a_bound_async_function_and_a_snapshot_keep_the_store_too() -> None:
    """SEMANTICS 10.5, 10.9."""
    storage = Storage()
    seen: list[Any] = []

    async def main() -> None:
        bound: Any = storage.run("bound", AsyncLocalStorage.bind, steps)
        snapshot: Any = storage.run("snapshot", AsyncLocalStorage.snapshot)
        await bound(storage, seen)
        await snapshot(steps, storage, seen)
        assert storage.get_store() is None

    asyncio.run(main())
    assert seen == ["bound"] * 3 + ["snapshot"] * 3


def test_the_coroutine_of_the_main_task_keeps_its_store() -> None:
    """SEMANTICS 10.5."""
    storage = Storage()
    seen: list[Any] = []
    assert asyncio.run(storage.run("s", steps, storage, seen)) == "result"
    assert seen == ["s"] * 3


def test_what_a_coroutine_enters_stays_with_it() -> None:
    """SEMANTICS 10.5, 10.7."""
    storage = Storage()
    seen: list[Any] = []

    async def work() -> None:
        storage.enter_with("entered")
        await steps(storage, seen)

    async def main() -> None:
        storage.enter_with("outer")
        await storage.run("inner", work)
        seen.append(storage.get_store())

    asyncio.run(main())
    assert seen == ["entered", "entered", "entered", "outer"]


def test_runs_of_async_functions_nest() -> None:
    """SEMANTICS 10.5, 10.10."""
    a, b = Storage(), Storage()
    seen: list[Any] = []

    def note() -> None:
        seen.append((a.get_store(), b.get_store()))

    async def innermost() -> None:
        await asyncio.sleep(0)
        note()

    async def inner() -> None:
        await b.run("b", innermost)
        note()
        await a.run("a2", innermost)
        note()

    async def main() -> None:
        await a.run("a", inner)
        note()

    asyncio.run(main())
    assert seen == [("a", "b"), ("a", None), ("a2", None), ("a", None), (None, None)]


def test_exceptions_pass_both_ways_with_the_store_in_force() -> None:
    """SEMANTICS 10.5, 10.3."""
    storage = Storage()
    seen: list[Any] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append(storage.get_store())
            await asyncio.sleep(0)
            seen.append(storage.get_store())
            raise LookupError from None
        finally:
            seen.append(storage.get_store())

    async def main() -> None:
        task = asyncio.ensure_future(storage.run("s", work))
        await turns()
        task.cancel()
        with pytest.raises(LookupError):
            await task
        assert storage.get_store() is None

    asyncio.run(main())
    assert seen == ["s", "s", "s"]


def test_a_coroutine_that_is_closed_runs_its_finally_with_its_store() -> None:
    """SEMANTICS 10.5."""
    storage = Storage()
    seen: list[Any] = []

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            seen.append(storage.get_store())

    coroutine = storage.run("s", work)
    coroutine.send(None)
    coroutine.close()
    coroutine.close()
    assert seen == ["s"]
    assert storage.get_store() is None


def test_the_coroutine_is_one_to_all_who_ask() -> None:
    """SEMANTICS 10.5: asyncio, isinstance, and the names that it has."""
    storage = Storage()
    coroutine: Any = storage.run("s", steps, storage, [])
    recognised = [isinstance(coroutine, kind) for kind in (Coroutine, Awaitable)]
    recognised += [asyncio.iscoroutine(coroutine), inspect.isawaitable(coroutine)]
    assert recognised == [True] * 4
    assert coroutine.__name__ == "steps"
    assert coroutine.__qualname__ == "steps"
    assert "steps" in repr(coroutine)
    assert coroutine.cr_code is steps.__code__
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    with pytest.raises(AttributeError):
        _ = coroutine.no_such_attribute
    coroutine.close()


def test_a_coroutine_that_nobody_awaits_is_warned_of_as_any_other() -> None:
    """SEMANTICS 10.5."""
    storage = Storage()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        storage.run("s", steps, storage, [])  # type: ignore[unused-coroutine]
        gc.collect()
    (warning,) = caught
    assert "coroutine 'steps' was never awaited" in str(warning.message)


def test_a_coroutine_is_awaited_once() -> None:
    """SEMANTICS 10.5."""
    storage = Storage()

    async def main() -> None:
        coroutine = storage.run("s", steps, storage, [])
        await coroutine
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await coroutine

    asyncio.run(main())


def test_an_awaitable_that_is_no_coroutine_is_given_back_as_it_is() -> None:
    """SEMANTICS 10.3."""
    storage = Storage()

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        assert storage.run("s", lambda: future) is future
        task = storage.run("s", asyncio.ensure_future, turns(1))
        assert isinstance(task, asyncio.Task)
        await task

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_an_eager_task_keeps_the_store() -> None:
    """SEMANTICS 10.5."""
    storage = Storage()
    seen: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        task = loop.create_task(storage.run("s", steps, storage, seen))
        assert seen == ["s"]
        assert storage.get_store() is None
        await task

    asyncio.run(main())
    assert seen == ["s"] * 3


# -- disable -------------------------------------------------------------------------------------


def test_disabled_every_task_and_scheduled_callback_shows_the_default() -> None:
    """SEMANTICS 10.8."""
    storage: Storage = AsyncLocalStorage(default="default")
    seen: dict[str, Any] = {}

    async def work() -> None:
        seen["task before"] = storage.get_store()
        await turns(2)
        seen["task after"] = storage.get_store()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def start() -> asyncio.Task[None]:
            loop.call_later(0.001, lambda: seen.update(timer=storage.get_store()))
            return loop.create_task(work())

        task = storage.run("s", start)
        stored = asyncio.ensure_future(storage.run("s", work_async))
        await turns(1)
        storage.disable()
        loop.call_soon(lambda: seen.update(callback=storage.get_store()))
        await asyncio.gather(task, stored)
        await asyncio.sleep(0.005)
        seen["anew"] = storage.run("new", storage.get_store)
        storage.enter_with("entered")
        seen["entered"] = storage.get_store()

    async def work_async() -> None:
        await turns(2)
        seen["run coroutine"] = storage.get_store()

    asyncio.run(main())
    assert seen == {
        "task before": "s",
        "task after": "default",
        "timer": "default",
        "run coroutine": "default",
        "callback": "default",
        "anew": "new",
        "entered": "entered",
    }


def test_an_enclosed_exit_does_not_enable_again() -> None:
    """SEMANTICS 10.8."""
    storage: Storage = AsyncLocalStorage(default="default")
    seen: list[Any] = []

    def body() -> None:
        storage.exit(storage.disable)
        seen.append(storage.get_store())
        storage.exit(lambda: seen.append(storage.get_store()))
        seen.append(storage.get_store())

    storage.run("s", body)
    seen.append(storage.get_store())
    assert seen == ["default", None, "default", "default"]


def test_contexts_captured_before_stay_exited() -> None:
    """SEMANTICS 10.8: of snapshots, bound functions, resources and contexts."""
    storage: Storage = AsyncLocalStorage(default="default")
    snapshot = storage.run("s", AsyncLocalStorage.snapshot)
    bound = storage.run("s", AsyncLocalStorage.bind, storage.get_store)
    resource = storage.run("s", AsyncResource, "X")
    context = storage.run("s", contextvars.copy_context)
    ways: list[Callable[[], Any]] = [
        lambda: snapshot(storage.get_store),
        bound,
        lambda: resource.run_in_async_scope(storage.get_store),
        lambda: context.run(storage.get_store),
    ]
    assert [way() for way in ways] == ["s"] * 4
    storage.disable()
    assert [way() for way in ways] == ["default"] * 4
    storage.run("new", lambda: None)
    assert [way() for way in ways] == ["default"] * 4


def test_disabling_one_leaves_the_others() -> None:
    """SEMANTICS 10.10."""
    a, b = Storage(), Storage()

    def body() -> Any:
        a.disable()
        return a.get_store(), b.get_store()

    assert a.run(1, lambda: b.run(2, body)) == (None, 2)


# -- bind and snapshot ---------------------------------------------------------------------------


def test_a_capture_holds_all_storages_by_value() -> None:
    """SEMANTICS 10.9."""
    a, b = Storage(), Storage()

    def both() -> Any:
        return a.get_store(), b.get_store()

    def enter() -> Any:
        a.enter_with("entered")
        return both()

    snapshot, bound = a.run(1, lambda: b.run(2, lambda: (a.snapshot(), a.bind(enter))))
    assert bound() == ("entered", 2)
    assert snapshot(enter) == ("entered", 2)
    assert bound() == ("entered", 2)
    assert snapshot(both) == (1, 2)
    assert both() == (None, None)


def test_a_capture_may_be_used_inside_itself() -> None:
    """SEMANTICS 10.9: a contextvars.Context cannot."""
    storage = Storage()
    snapshot = storage.run("s", AsyncLocalStorage.snapshot)

    def inside() -> Any:
        storage.enter_with("entered")
        return snapshot(storage.get_store), storage.get_store()

    assert snapshot(inside) == ("s", "entered")
    bound: Any = storage.run(
        3, AsyncLocalStorage.bind, lambda n: [storage.get_store(), *(bound(n - 1) if n else ())]
    )
    assert bound(3) == [3, 3, 3, 3]


def test_a_capture_may_be_used_by_several_threads_at_once() -> None:
    """SEMANTICS 10.9."""
    storage = Storage()
    barrier = threading.Barrier(4)

    def inside(number: int) -> tuple[Any, Any]:
        first = storage.get_store()
        storage.enter_with(number)
        barrier.wait(30)
        return first, storage.get_store()

    snapshot = storage.run("s", AsyncLocalStorage.snapshot)
    bound = storage.run("b", AsyncLocalStorage.bind, inside)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(bound, range(4))) == [("b", n) for n in range(4)]
        assert list(pool.map(snapshot, [inside] * 4, range(4))) == [("s", n) for n in range(4)]
        assert list(pool.map(lambda _: storage.get_store(), range(4))) == [None] * 4


def test_a_bound_function_keeps_name_doc_and_signature() -> None:
    """SEMANTICS 10.9."""

    def documented(a: int, /, b: str = "b", *, c: float) -> tuple[int, str, float]:
        """What it does."""
        return a, b, c

    bound = AsyncLocalStorage.bind(documented)
    assert bound.__name__ == "documented"
    assert bound.__doc__ == "What it does."
    assert inspect.signature(bound) == inspect.signature(documented)
    assert bound(1, c=2.0) == (1, "b", 2.0)


def test_a_wrong_function_to_bind_is_said_in_one_line() -> None:
    """SEMANTICS 10.9."""
    wrong: Any = "text"
    with pytest.raises(TypeError) as caught:
        AsyncLocalStorage.bind(wrong)
    assert str(caught.value) == "expected a callable to bind, not 'text'"


# -- memory, threads, errors ---------------------------------------------------------------------


class Store:
    """Can be referred to weakly."""


def test_a_store_goes_when_its_run_is_over_and_nothing_started_there_lives() -> None:
    """SEMANTICS 10.11."""
    storage = Storage()
    gone: dict[str, weakref.ref[Store]] = {}

    def store(name: str) -> Store:
        made = Store()
        gone[name] = weakref.ref(made)
        return made

    async def main() -> None:
        loop = asyncio.get_running_loop()
        storage.run(store("run"), int)
        assert gone["run"]() is None
        storage.run(store("nested"), lambda: storage.run(store("inner"), int))
        assert gone["nested"]() is gone["inner"]() is None
        await storage.run(store("coroutine"), turns, 1)
        assert gone["coroutine"]() is None
        handle = storage.run(store("callback"), loop.call_soon, int)
        assert gone["callback"]() is not None
        del handle
        await turns()
        assert gone["callback"]() is None
        task = storage.run(store("task"), lambda: loop.create_task(turns(3)))
        await turns(1)
        assert gone["task"]() is not None
        await task
        del task
        await turns()
        assert gone["task"]() is None
        storage.enter_with(store("entered"))
        storage.enter_with(None)
        assert gone["entered"]() is None

    with collector_off():
        asyncio.run(main())


def test_a_storage_goes_while_contexts_that_had_it_live() -> None:
    """SEMANTICS 10.11: after disable() at the latest."""
    storage = Storage()
    context = storage.run("s", contextvars.copy_context)
    gone = weakref.ref(storage)
    storage.disable()
    with collector_off():
        del storage
        assert gone() is None
    assert context is not None


def test_a_new_thread_has_a_context_of_its_own() -> None:
    """SEMANTICS 10.12."""
    storage: Storage = AsyncLocalStorage(default="default")
    seen: list[Any] = []

    def work() -> None:
        seen.append(storage.get_store())
        storage.enter_with("entered")

    def start() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        seen.append(storage.get_store())

    storage.run("s", start)
    assert seen == ["default", "s"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="in its own context since 3.12")
@pytest.mark.parametrize("hooked", [False, True], ids=["no hook", "a hook"])
def test_the_loops_exception_handler_sees_the_store_of_what_failed(hooked: bool) -> None:
    """SEMANTICS 10.13."""
    storage = Storage()
    seen: list[Any] = []

    def fail() -> None:
        raise LookupError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: seen.append(storage.get_store()))
        storage.run("callback", loop.call_soon, fail)
        storage.run("timer", loop.call_later, 0, fail)
        await asyncio.sleep(0.005)

    if hooked:
        with record():
            asyncio.run(main())
    else:
        asyncio.run(main())
    assert seen == ["callback", "timer"]
