"""AsyncResource: SEMANTICS 5.  What conformance tests is not repeated here."""

import asyncio
import enum
import inspect
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import whence
from telling import collector_off, policy, told
from whence import AsyncLocalStorage, AsyncResource, create_hook, execution_async_id
from whence.testing import Events, record


def test_ids_and_the_stack_work_without_a_hook() -> None:
    """SEMANTICS 1.2."""
    outer, inner = AsyncResource("OUTER"), AsyncResource("INNER", trigger_async_id=111)

    def look() -> tuple[int, int, object]:
        return execution_async_id(), whence.trigger_async_id(), whence.execution_async_resource()

    def nest() -> tuple[tuple[int, int, object], ...]:
        return look(), inner.run_in_async_scope(look), look()

    assert outer.async_id() < inner.async_id()
    outside = look()
    here = (outer.async_id(), outer.trigger_async_id(), outer)
    assert outer.run_in_async_scope(nest) == (here, (inner.async_id(), 111, inner), here)
    assert look() == outside


# -- the constructor -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "message"),
    [
        (None, "expected the type as a str, not None"),
        (7, "expected the type as a str, not 7"),
        (b"X", "expected the type as a str, not b'X'"),
        ("", "expected the type as a str that is not empty, not ''"),
    ],
)
@pytest.mark.parametrize("hooked", [False, True])
def test_a_wrong_type_is_said_in_one_line(type_: Any, message: str, hooked: bool) -> None:
    """SEMANTICS 5.1, 5.3."""
    with record() as events:
        with pytest.raises(TypeError) as caught:
            AsyncResource(type_)
        assert str(caught.value) == message
    assert events == []


@pytest.mark.parametrize(
    ("trigger", "error", "message"),
    [
        ("1", TypeError, "expected trigger_async_id as an int, not '1'"),
        (1.0, TypeError, "expected trigger_async_id as an int, not 1.0"),
        (AsyncResource, TypeError, "expected trigger_async_id as an int, not <class"),
        (-2, ValueError, "expected trigger_async_id to be -1 or more, not -2"),
        (-(10**30), ValueError, "expected trigger_async_id to be -1 or more, not -1000"),
        (1 << 63, ValueError, "expected trigger_async_id to be less than 2**63, not 9223"),
    ],
)
def test_a_wrong_trigger_is_said_in_one_line(
    trigger: Any, error: type[Exception], message: str
) -> None:
    """SEMANTICS 5.2, 5.3."""
    with record() as events:
        with pytest.raises(error) as caught:
            AsyncResource("X", trigger_async_id=trigger)
        assert str(caught.value).startswith(message)
    assert events == []


@pytest.mark.parametrize("trigger", [-1, 0, 1, 111, (1 << 63) - 1, True])
def test_any_int_from_minus_one_is_the_trigger_as_it_is(trigger: int) -> None:
    """SEMANTICS 5.2: known or not; and in its scope it is the trigger id."""
    with record() as events:
        resource = AsyncResource("X", trigger_async_id=trigger)
    assert resource.trigger_async_id() == trigger
    assert resource.run_in_async_scope(whence.trigger_async_id) == trigger
    assert events == [("init", resource.async_id(), "X", trigger)]


def test_without_a_trigger_it_is_what_executes() -> None:
    """SEMANTICS 5.2, 1.7."""
    outer = AsyncResource("O", trigger_async_id=55)
    inner = outer.run_in_async_scope(lambda: AsyncResource("I", trigger_async_id=None))
    assert inner.trigger_async_id() == outer.async_id()


def test_options_are_given_by_keyword() -> None:
    with pytest.raises(TypeError):
        AsyncResource("X", 5)  # type: ignore[call-arg]


class Color(enum.StrEnum):
    RED = "Red"


class Number(enum.IntEnum):
    SEVEN = 7


def test_a_str_and_an_int_of_the_programs_own_making_are_taken_by_value() -> None:
    """SEMANTICS 5.1, 5.2: events carry plain ones."""
    seen: list[Any] = []
    with create_hook(init=lambda *event: seen.extend(event)):
        AsyncResource(Color.RED, trigger_async_id=Number.SEVEN)
    assert seen[1:3] == ["Red", 7]
    assert [type(value) for value in seen[:3]] == [int, str, int]


class BadStr(str):
    """Answers nothing."""

    __slots__ = ()

    def _no(self, *_: object) -> Any:
        raise LookupError("asked")

    __hash__ = __eq__ = __str__ = __repr__ = __len__ = __bool__ = _no


class BadInt(int):
    def _no(self, *_: object) -> Any:
        raise LookupError("asked")

    __hash__ = __eq__ = __lt__ = __repr__ = __index__ = _no


def test_hostile_arguments_are_not_asked() -> None:
    with record() as events:
        resource = AsyncResource(BadStr("X"), trigger_async_id=BadInt(7))
    assert events == [("init", resource.async_id(), "X", 7)]


def test_the_table_of_types_keeps_no_object_of_the_programs() -> None:
    class Name(str):
        """Can be referred to weakly."""

    name = Name("a type that nobody else has")
    gone = weakref.ref(name)
    with collector_off():
        AsyncResource(name)
        del name
        assert gone() is None


def test_init_comes_in_the_constructor_with_a_subclass_unfinished() -> None:
    """SEMANTICS 5.4."""
    seen: list[bool] = []

    class Query(AsyncResource):
        def __init__(self) -> None:
            super().__init__("Query")
            self.finished = True

    def init(async_id: int, type: str, trigger: int, resource: object) -> None:
        assert isinstance(resource, Query)
        seen.append(hasattr(resource, "finished"))
        seen.append(resource.async_id() == async_id)

    with create_hook(init=init):
        assert Query().finished
    assert seen == [False, True]


def test_init_may_use_the_resource_that_it_is_given() -> None:
    """SEMANTICS 5.4: its scope and its destroy, in the constructor already."""
    hook, events = listening_with_body()
    with hook:
        resource = AsyncResource("X")
    assert told(events, x=resource.async_id()) == [
        "init x X by top",
        "before x",
        "after x",
        "destroy x",
    ]


def listening_with_body() -> tuple[whence.AsyncHook, Events]:
    events = Events()

    def init(async_id: int, type: str, trigger: int, resource: Any) -> None:
        events.append(("init", async_id, type, trigger))
        resource.run_in_async_scope(int)
        resource.emit_destroy()

    def noting(name: str) -> Callable[[int], None]:
        return lambda async_id: events.append((name, async_id))

    names = ("before", "after", "destroy")
    return create_hook({name: noting(name) for name in names}, init=init), events


class Hostile(AsyncResource):
    """Everything that a collection of resources would ask of it raises."""

    def __init__(self) -> None:
        super().__init__("Hostile")

    def __eq__(self, other: object) -> bool:
        raise LookupError("compared")

    def __hash__(self) -> int:
        raise LookupError("hashed")

    def __repr__(self) -> str:
        raise LookupError("shown")

    def __bool__(self) -> bool:
        raise LookupError("tested")

    def __len__(self) -> int:
        raise LookupError("counted")


def test_a_hostile_resource_lives_like_any_other() -> None:
    with record() as events:
        resource = Hostile()
        resource.run_in_async_scope(resource.run_in_async_scope, int)
        assert resource.run_in_async_scope(whence.execution_async_resource) is resource
        resource.bind(int)()
        async_id = resource.emit_destroy().async_id()
        with pytest.raises(RuntimeError, match=f"^emit_destroy.. called twice .* {async_id}$"):
            resource.emit_destroy()
    assert events.names(async_id)[:3] == ["init", "before", "before"]
    assert events.names(async_id)[-1] == "destroy"


def test_a_resource_with_a_finalizer_that_raises_is_destroyed_all_the_same() -> None:
    """SEMANTICS 8.1."""
    unraisable: list[object] = []

    class Failing(AsyncResource):
        def __del__(self) -> None:
            self.run_in_async_scope(int)
            raise LookupError

    hook, sys.unraisablehook = sys.unraisablehook, lambda args: unraisable.append(args.exc_type)
    try:
        with record() as events:
            Failing("X")
            AsyncResource("NEXT")
    finally:
        sys.unraisablehook = hook
    assert unraisable == [LookupError]
    assert events.names(events.ids("X")[0]) == ["init", "before", "after", "destroy"]


def test_a_resource_that_its_finalizer_brings_back_is_not_destroyed_yet() -> None:
    """SEMANTICS 8.4."""
    kept: list[AsyncResource] = []

    class Phoenix(AsyncResource):
        def __del__(self) -> None:
            kept.append(self)

    with record() as events:
        Phoenix("X")
        AsyncResource("NEXT")
        (async_id,) = events.ids("X")
        assert events.names(async_id) == ["init"]
        kept.pop().emit_destroy()
    assert events.names(async_id) == ["init", "destroy"]


# -- the scope -----------------------------------------------------------------------------------


def test_arguments_named_as_ours_are_passed() -> None:
    """SEMANTICS 5.5."""
    resource = AsyncResource("X")

    def echo(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    call: Any = resource.run_in_async_scope
    expected = ((1,), {"fn": 2, "self": 3, "args": 4, "kwargs": 5})
    assert call(echo, 1, fn=2, self=3, args=4, kwargs=5) == expected
    bound: Any = resource.bind(echo)
    assert bound(1, fn=2, self=3, args=4, kwargs=5) == expected


def test_what_is_not_callable_leaves_the_scope_as_any_exception() -> None:
    """SEMANTICS 5.5."""
    wrong: Any = 5
    with record() as events:
        resource = AsyncResource("X")
        with pytest.raises(TypeError, match="not callable"):
            resource.run_in_async_scope(wrong)
    assert events.names(resource.async_id()) == ["init", "before", "after"]
    assert execution_async_id() == 1


def test_of_an_async_function_the_scope_covers_the_call_alone() -> None:
    """SEMANTICS 5.6: the coroutine runs in whoever awaits it."""
    ids: list[int] = []

    async def work() -> None:
        ids.append(execution_async_id())

    async def main() -> None:
        resource = AsyncResource("X")
        coroutine = resource.run_in_async_scope(work)
        ids.append(execution_async_id())
        await coroutine

    with record():
        asyncio.run(main())
    assert ids[0] == ids[1] != 1


def test_a_destroyed_resource_may_be_entered() -> None:
    """SEMANTICS 5.7."""
    with record() as events:
        resource = AsyncResource("X").emit_destroy()
        assert resource.run_in_async_scope(execution_async_id) == resource.async_id()
    assert told(events, x=resource.async_id()) == [
        "init x X by top",
        "destroy x",
        "before x",
        "after x",
    ]


def test_the_second_emit_destroy_raises_also_if_nobody_heard_the_first() -> None:
    """SEMANTICS 5.8."""
    resource = AsyncResource("X")
    assert resource.emit_destroy() is resource
    with record() as events:
        for _ in range(2):
            with pytest.raises(RuntimeError):
                resource.emit_destroy()
    assert events == []


def test_of_threads_that_destroy_at_once_one_succeeds() -> None:
    """SEMANTICS 7.2."""
    outcomes: list[str] = []
    barrier = threading.Barrier(8)
    resource = AsyncResource("X", require_manual_destroy=True)

    def destroy() -> None:
        barrier.wait()
        try:
            resource.emit_destroy()
        except RuntimeError:
            outcomes.append("refused")
        else:
            outcomes.append("destroyed")

    threads = [threading.Thread(target=destroy) for _ in range(8)]
    with record() as events:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["destroyed", *["refused"] * 7]
    assert events.names(resource.async_id()) == ["destroy"]


def test_it_never_resolves() -> None:
    """SEMANTICS 5.13."""
    with record() as events:
        resource = AsyncResource("X")
        resource.run_in_async_scope(int)
        resource.emit_destroy()
    assert "promise_resolve" not in events.names(resource.async_id())


def test_the_scope_has_the_stores_of_the_resources_creation() -> None:
    """SEMANTICS 5.11: and what is entered there does not leak out."""
    storage: AsyncLocalStorage[str] = AsyncLocalStorage()
    resource = storage.run("created", AsyncResource, "X")
    seen: list[str | None] = []

    def body() -> None:
        seen.append(storage.get_store())
        storage.enter_with("entered")
        seen.append(storage.get_store())

    def outer() -> None:
        resource.run_in_async_scope(body)
        seen.append(storage.get_store())
        resource.run_in_async_scope(body)

    storage.run("outer", outer)
    assert seen == ["created", "entered", "outer", "created", "entered"]
    assert storage.get_store() is None


def test_the_stores_are_put_back_after_an_exception() -> None:
    """SEMANTICS 5.11, 5.5."""
    storage: AsyncLocalStorage[str] = AsyncLocalStorage()
    resource = AsyncResource("X")

    def fail() -> None:
        storage.enter_with("entered")
        raise LookupError

    with pytest.raises(LookupError):
        storage.run("outer", resource.run_in_async_scope, fail)
    assert storage.get_store() is None


# -- bound functions -----------------------------------------------------------------------------


def documented(a: int, /, b: str = "b", *, c: float) -> tuple[int, str, float]:
    """What it does."""
    return a, b, c


@pytest.mark.parametrize("bind", [AsyncResource("X").bind, AsyncResource.bind_function])
def test_a_bound_function_keeps_name_doc_and_signature(bind: Callable[..., Any]) -> None:
    """SEMANTICS 5.9."""
    bound = bind(documented)
    assert bound.__name__ == "documented"
    assert bound.__qualname__ == documented.__qualname__
    assert bound.__module__ == __name__
    assert bound.__doc__ == "What it does."
    assert inspect.signature(bound) == inspect.signature(documented)
    assert bound(1, c=2.0) == (1, "b", 2.0)


def test_a_bound_function_lets_exceptions_out() -> None:
    """SEMANTICS 5.9."""

    def fail() -> None:
        raise LookupError

    with record() as events:
        resource = AsyncResource("X")
        with pytest.raises(LookupError):
            resource.bind(fail)()
    assert events.names(resource.async_id()) == ["init", "before", "after"]


def test_a_bound_function_as_an_attribute_of_a_class_is_a_method() -> None:
    """SEMANTICS 5.9."""
    resource = AsyncResource("X")

    class Pool:
        size = 3

        @resource.bind
        def get(self, number: int) -> tuple[int, int, int]:
            return self.size, number, execution_async_id()

        @AsyncResource.bind_function
        def put(self) -> int:
            return self.size

    assert Pool().get(5) == (3, 5, resource.async_id())
    assert Pool().put() == 3


@pytest.mark.parametrize(
    ("fn", "result"), [(int, 0), (partial(int, "7"), 7), ([7].pop, 7), (lambda: 7, 7)]
)
def test_anything_callable_can_be_bound(fn: Callable[..., Any], result: int) -> None:
    """SEMANTICS 5.9."""
    assert AsyncResource("X").bind(fn)() == result


class Nameless:
    def __call__(self) -> int:
        return execution_async_id()


class WrongName(Nameless):
    __name__ = ""


@pytest.mark.parametrize(
    ("fn", "type_", "expected"),
    [
        (documented, None, "documented"),
        (documented, "Mine", "Mine"),
        (Nameless().__call__, None, "__call__"),
        (Nameless(), None, "bound-anonymous-fn"),
        (WrongName(), None, "bound-anonymous-fn"),
        (partial(int), None, "bound-anonymous-fn"),
        (lambda: None, None, "<lambda>"),
        (int, None, "int"),
    ],
)
def test_the_type_of_the_resource_that_bind_function_makes(
    fn: Callable[..., Any], type_: str | None, expected: str
) -> None:
    """SEMANTICS 5.10."""
    with record() as events:
        AsyncResource.bind_function(fn, type_)
        AsyncResource.bind_function(fn, type_)
    first, second = events.ids()
    assert first != second
    assert [event[2] for event in events if event[0] == "init"] == [expected, expected]


@pytest.mark.parametrize("wrong", [5, b"X", ["X"]])
def test_a_wrong_type_for_bind_function_is_refused(wrong: Any) -> None:
    """SEMANTICS 5.1, 5.10."""
    with record() as events, pytest.raises(TypeError, match=r"^expected the type as a str, not"):
        AsyncResource.bind_function(documented, wrong)
    assert events == []


def test_what_is_not_callable_is_refused_before_a_resource_is_made() -> None:
    """SEMANTICS 5.9, 5.3."""
    wrong: Any = "text"
    with record() as events, pytest.raises(TypeError, match=r"^expected a callable to bind, not"):
        AsyncResource.bind_function(wrong)
    assert events == []


def test_a_resource_that_its_init_hook_refuses_under_log_is_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """SEMANTICS 4.6."""

    def fail(*_: object) -> None:
        raise LookupError

    with policy("log"), create_hook(init=fail), record() as events:
        resource = AsyncResource("X")
        resource.run_in_async_scope(int)
        resource.emit_destroy()
    assert events.names(resource.async_id()) == ["init", "before", "after", "destroy"]
    assert "LookupError" in capsys.readouterr().err
