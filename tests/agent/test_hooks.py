"""create_hook() and AsyncHook: SEMANTICS 2.  What conformance tests is not repeated here."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

import whence
from telling import told, turns
from whence import AsyncResource, create_hook
from whence.testing import Event, record

EVENTS = ("init", "before", "after", "destroy", "promise_resolve")


def live(resource: AsyncResource) -> None:
    """The whole life of a resource that is no promise."""
    resource.run_in_async_scope(int)
    resource.emit_destroy()


def test_a_hook_is_off_at_first_and_switching_gives_the_hook() -> None:
    """SEMANTICS 2.4."""
    seen: list[str] = []
    hook = create_hook(init=lambda async_id, kind, *_: seen.append(kind))
    live(AsyncResource("BEFORE"))
    assert hook.enable() is hook
    live(AsyncResource("ON"))
    assert hook.disable() is hook
    live(AsyncResource("AFTER"))
    assert seen == ["ON"]


def test_enabled_twice_is_enabled_once_and_disabling_what_is_off_does_nothing() -> None:
    """SEMANTICS 2.5."""
    seen: list[str] = []
    hook = create_hook(init=lambda async_id, kind, *_: seen.append(kind))
    assert hook.disable() is hook
    hook.enable().enable()
    live(AsyncResource("ON"))
    hook.disable()
    live(AsyncResource("OFF"))
    hook.disable()
    hook.enable()
    live(AsyncResource("AGAIN"))
    hook.disable()
    assert seen == ["ON", "AGAIN"]


def test_every_callback_is_called_by_position_with_plain_arguments() -> None:
    """SEMANTICS 2.10."""
    seen: list[tuple[Any, ...]] = []

    def noting(event: str) -> Callable[..., None]:
        def callback(*args: Any) -> None:
            seen.append((event, *args))

        return callback

    async def settle() -> int:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return 0

    with create_hook({event: noting(event) for event in EVENTS}):
        resource = AsyncResource("X")
        live(resource)
        asyncio.run(settle())
    own = [event for event in seen if event[1] == resource.async_id()]
    assert own == [
        ("init", resource.async_id(), "X", 1, resource),
        ("before", resource.async_id()),
        ("after", resource.async_id()),
        ("destroy", resource.async_id()),
    ]
    resolved = [event for event in seen if event[0] == "promise_resolve"]
    assert resolved
    assert {len(event) for event in resolved} == {2}
    assert {type(event[1]) for event in seen} == {int}


def test_a_mapping_may_hold_none_and_what_is_no_event() -> None:
    """SEMANTICS 2.1, 2.2, 2.3: None plays Node's undefined."""
    seen: list[str] = []
    callbacks = {"init": None, "before": lambda i: seen.append("before"), "resolved": 5}
    with create_hook(callbacks):
        live(AsyncResource("X"))
    assert seen == ["before"]


def test_an_objects_own_attributes_are_callbacks_too() -> None:
    """SEMANTICS 2.2."""
    seen: list[str] = []
    with create_hook(SimpleNamespace(after=lambda i: seen.append("after"), init=None)):
        live(AsyncResource("X"))
    assert seen == ["after"]


def test_methods_are_called_bound() -> None:
    """SEMANTICS 2.2."""

    class Callbacks:
        def __init__(self) -> None:
            self.ids: list[int] = []

        def init(self, async_id: int, *_: object) -> None:
            self.ids.append(async_id)

    callbacks = Callbacks()
    with create_hook(callbacks):
        resource = AsyncResource("X")
    assert callbacks.ids == [resource.async_id()]


def test_keywords_override_the_callbacks_of_the_object() -> None:
    """SEMANTICS 2.1."""
    seen: list[str] = []
    given = {
        "init": lambda *_: seen.append("mapping's init"),
        "after": lambda i: seen.append("mapping's after"),
    }
    with create_hook(given, init=lambda *_: seen.append("keyword's init")):
        live(AsyncResource("X"))
    assert seen == ["keyword's init", "mapping's after"]


def test_callbacks_are_read_once() -> None:
    """A mapping that changes afterwards changes no hook."""
    seen: list[str] = []
    callbacks: dict[str, Any] = {"init": lambda *_: seen.append("first")}
    hook = create_hook(callbacks)
    callbacks["init"] = lambda *_: seen.append("second")
    with hook:
        AsyncResource("X")
    assert seen == ["first"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_wrong_callback_is_named_with_what_came(event: str) -> None:
    """SEMANTICS 2.3: one clear line."""
    wrong: dict[str, Any] = {event: 17}
    clear = f"^{event} must be callable or None, not 17$"
    with pytest.raises(TypeError, match=clear):
        create_hook(wrong)
    with pytest.raises(TypeError, match=clear):
        create_hook(**wrong)


async def coroutine_function(*_: object) -> None: ...


async def async_generator_function(*_: object) -> Any:
    yield


class Asynchronous:
    async def __call__(self, *_: object) -> None: ...

    async def method(self, *_: object) -> None: ...

    @classmethod
    async def class_method(cls, *_: object) -> None: ...


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "callback",
    [
        coroutine_function,
        async_generator_function,
        partial(partial(coroutine_function, 1), 2),
        partial(Asynchronous()),
        Asynchronous(),
        Asynchronous().method,
        Asynchronous.class_method,
        AsyncMock(),
    ],
    ids=[
        "function",
        "generator",
        "partial",
        "partial of an object",
        "object",
        "method",
        "class method",
        "mock",
    ],
)
def test_an_async_callback_is_refused(event: str, callback: Callable[..., Any]) -> None:
    """SEMANTICS 2.3a."""
    with pytest.raises(TypeError, match=f"^{event} must be a plain function, not the coroutine"):
        create_hook({event: callback})


class HasAsyncFunc:
    """Not a partial: what it calls its `func` is its own affair."""

    func = staticmethod(coroutine_function)

    def __call__(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    "callback",
    [print, int, Mock(), MagicMock(), HasAsyncFunc(), partial(print), [].append, lambda *_: None],
    ids=["builtin", "class", "mock", "magic", "object", "partial", "builtin method", "lambda"],
)
def test_any_other_callable_is_a_callback(callback: Callable[..., Any]) -> None:
    """SEMANTICS 2.3."""
    hook = create_hook(init=callback, before=callback)
    assert hook.init is callback
    assert hook.before is callback


def test_two_hooks_of_one_callbacks_object_are_two_hooks() -> None:
    """SEMANTICS 2.8."""
    seen: list[str] = []
    callbacks = {"init": lambda *_: seen.append("init")}
    first, second = create_hook(callbacks), create_hook(callbacks)
    with first, second:
        AsyncResource("X")
        first.disable()
        AsyncResource("Y")
    assert seen == ["init", "init", "init"]


class EqualToAll:
    """Callbacks whose hooks must be told apart by identity."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise AssertionError("shown")

    def init(self, *_: object) -> None:
        self.calls = getattr(self, "calls", 0) + 1


def test_callbacks_objects_are_neither_compared_nor_hashed_nor_shown() -> None:
    """SEMANTICS 2.8: identity of the hook."""
    callbacks = EqualToAll()
    first, second = create_hook(callbacks), create_hook(callbacks)
    first.enable().enable()
    second.enable()
    AsyncResource("X")
    first.disable()
    second.disable()
    assert callbacks.calls == 2


def test_the_order_is_that_of_enabling_in_all_five_events() -> None:
    """SEMANTICS 2.7."""
    seen: list[str] = []

    def hook(name: str) -> whence.AsyncHook:
        return create_hook({e: lambda *_, e=e: seen.append(f"{name}.{e}") for e in EVENTS})

    a, b, c = hook("a"), hook("b"), hook("c")
    a.enable(), b.enable(), c.enable()
    a.disable().enable()
    try:
        live(AsyncResource("X"))

        async def settle() -> None:
            future = asyncio.get_running_loop().create_future()
            seen.clear()
            future.cancel()
            seen.append("cancelled")

        assert seen == [
            f"{name}.{event}" for event in ("init", "before", "after", "destroy") for name in "bca"
        ]
        asyncio.run(settle())
    finally:
        for enabled in (a, b, c):
            enabled.disable()
    assert seen[: seen.index("cancelled")] == [
        f"{name}.{event}" for event in ("promise_resolve", "destroy") for name in "bca"
    ]


def test_a_hook_enabled_while_the_loop_runs_sees_what_is_created_from_then_on() -> None:
    """SEMANTICS 2.11: on a loop that existed before, with methods that were bound before."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call_soon, create_task = loop.call_soon, loop.create_task
        with record() as events:
            call_soon(int)
            task = create_task(turns(1))
            future = loop.create_future()
            future.set_result(None)
            await task
            await turns()
        handle, task_id, future_id = events.ids()[:3]
        own = events.of(handle, task_id, future_id)
        assert told(own, h=handle, t=task_id, f=future_id) == [
            "init h Handle by top",
            "init t Task by top",
            "init f Future by top",
            "promise_resolve f",
            "destroy f",
            "before h",
            "after h",
            "destroy h",
            "before t",
            "after t",
            "before t",
            "promise_resolve t",
            "after t",
            "destroy t",
        ]

    asyncio.run(main())


@pytest.fixture
def another_hook() -> Iterator[None]:
    """Some hook that is on already, so that everything has an id."""
    with create_hook(init=lambda *_: None, destroy=lambda _: None):
        yield


def test_a_hook_enabled_later_gets_the_later_events_and_no_init(another_hook: None) -> None:
    """SEMANTICS 2.12."""

    async def main() -> tuple[list[str], list[Event]]:
        loop = asyncio.get_running_loop()
        ids: list[int] = []
        with create_hook(init=lambda i, *_: ids.append(i)):
            resource = AsyncResource("X")
            future = loop.create_future()
            loop.call_soon(int)
        with record() as events:
            live(resource)
            future.set_result(None)
            await turns()
        names = dict(zip("xfh", ids, strict=True))
        return told(events.of(*ids), **names), [e for e in events if e[0] == "init"]

    seen, inits = asyncio.run(main())
    assert seen == [
        "before x",
        "after x",
        "destroy x",
        "promise_resolve f",
        "destroy f",
        "before h",
        "after h",
        "destroy h",
    ]
    assert inits == []


def test_a_resource_made_without_any_hook_tells_its_later_events() -> None:
    """SEMANTICS 2.12: AsyncResource in any case."""
    resource = AsyncResource("X")
    with record() as events:
        live(resource)
    assert told(events, x=resource.async_id()) == ["before x", "after x", "destroy x"]


def test_a_task_that_was_parked_before_the_first_hook_is_followed_from_its_next_step() -> None:
    """SEMANTICS 2.12: with the ids of one and the same resource."""

    async def main() -> list[str]:
        future = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await future
            await turns(1)

        task = asyncio.ensure_future(wait())
        await turns(1)
        with record() as events:
            future.set_result(None)
            await task
            task_id = events.ids("Task")[0]
            return told(events.of(task_id), t=task_id)

    first, *rest = asyncio.run(main())
    assert first.startswith("init t Task by ")
    assert rest == [
        "before t",
        "after t",
        "before t",
        "promise_resolve t",
        "after t",
        "destroy t",
    ]


def test_leaving_the_block_disables_also_after_an_exception() -> None:
    """SEMANTICS 2.9."""
    seen: list[str] = []
    hook = create_hook(init=lambda i, type, *_: seen.append(type))

    def leave() -> None:
        with hook as entered:
            assert entered is hook
            AsyncResource("in")
            raise SystemExit

    with pytest.raises(SystemExit):
        leave()
    AsyncResource("out")
    assert seen == ["in"]


def test_a_dropped_hook_stays_enabled() -> None:
    """Node's hooks live as long as they are enabled; nobody need keep the object."""
    seen: list[str] = []
    hook = weakref.ref(create_hook(init=lambda i, type, *_: seen.append(type)).enable())
    gc.collect()
    AsyncResource("X")
    enabled = hook()
    assert enabled is not None
    enabled.disable()
    assert seen == ["X"]


def test_a_disabled_hook_is_let_go() -> None:
    callback = Mock()
    hook = create_hook(init=callback).enable()
    AsyncResource("X")
    hook.disable()
    dead = weakref.ref(hook), weakref.ref(callback)
    del hook, callback
    gc.collect()
    assert [gone() for gone in dead] == [None, None]
