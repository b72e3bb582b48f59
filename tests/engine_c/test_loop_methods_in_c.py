"""`call_soon` and its kin in C: that a loop which has its own ways gets what asyncio gives it."""

import asyncio
import contextvars
import copy
import heapq
import inspect
import pickle
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from telling import turns
from whence.engine import twin
from whence.engine.handles import LOOP_METHODS, Handle, TimerHandle
from whence.testing import record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

STOCK = {name: vars(asyncio.BaseEventLoop)[name] for name in LOOP_METHODS}


@pytest.fixture
def loop() -> Iterator[Any]:
    with record():
        made = asyncio.new_event_loop()
        yield made
        made.close()


def run(loop: Any) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_they_look_like_asyncios() -> None:
    with record():
        for name, stock in STOCK.items():
            method = vars(asyncio.BaseEventLoop)[name]
            assert method is LOOP_METHODS[name]
            assert inspect.isfunction(method)
            assert inspect.signature(method) == inspect.signature(stock)
            for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
                assert getattr(method, attribute) == getattr(stock, attribute)
            assert repr(method) == repr(stock)
            assert copy.deepcopy(method) is method
            assert pickle.loads(pickle.dumps(method)) is method
            assert not hasattr(method, "__wrapped__")
    assert {name: vars(asyncio.BaseEventLoop)[name] for name in LOOP_METHODS} == STOCK


def test_a_class_that_overrides_call_soon_is_asked(loop: Any) -> None:
    seen: list[object] = []

    class Own(type(loop)):  # type: ignore[misc]
        def _call_soon(self, callback: Any, args: Any, context: Any) -> Any:
            seen.append(callback)
            return super()._call_soon(callback, args, context)

    own = Own()
    own.call_soon(int)
    own.call_soon_threadsafe(str)
    assert seen == [int, str]
    run(own)
    own.close()


def test_a_loop_with_a_call_soon_of_its_own_is_asked(loop: Any) -> None:
    seen: list[object] = []
    stock = loop._call_soon
    loop._call_soon = lambda callback, args, context: (
        seen.append(callback) or stock(callback, args, context)
    )
    loop.call_soon(int)
    assert seen == [int]
    del loop._call_soon
    loop.call_soon(str)
    assert seen == [int]


def test_a_class_that_is_patched_later_is_asked(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    stock = asyncio.BaseEventLoop._call_soon  # type: ignore[attr-defined]

    def patched(self: Any, callback: Any, args: Any, context: Any) -> Any:
        seen.append(callback)
        return stock(self, callback, args, context)

    loop.call_soon(int)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "_call_soon", patched)
        loop.call_soon(str)
    loop.call_soon(float)
    assert seen == [str]


@pytest.mark.parametrize("name", ["call_soon", "_run_once", "time"])
def test_a_method_that_is_patched_while_nobody_listens_is_called_when_somebody_does(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    calls: list[str] = []
    stock = STOCK[name]

    def patched(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return stock(*args, **kwargs)

    with record():
        """Here the methods are put in, and out again."""
    monkeypatch.setattr(asyncio.BaseEventLoop, name, patched)
    with record() as events:
        loop = asyncio.new_event_loop()
        loop.call_later(0, loop.stop)
        run(loop)
        loop.close()
    assert calls
    assert events.ids("TimerHandle")


@pytest.mark.parametrize("kind", [Handle, TimerHandle])
@pytest.mark.parametrize("method", ["__init__", "_run", "cancel"])
def test_a_handle_that_is_patched_is_as_patched(
    loop: Any, monkeypatch: pytest.MonkeyPatch, kind: Any, method: str
) -> None:
    calls: list[object] = []
    original = getattr(kind, method)

    def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(self)
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(kind, method, patched)
        handle = loop.call_soon(int) if kind is Handle else loop.call_later(0, int)
        if method == "cancel":
            handle.cancel()
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
    assert any(call is handle for call in calls)


def test_a_name_that_is_not_ours_any_more_is_looked_up(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(asyncio.Handle):
        """The program's."""

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events, "Handle", Own)
        assert type(loop.call_soon(int)) is Own
    assert type(loop.call_soon(int)) is Handle


def test_a_heap_that_is_patched_is_as_patched(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[object] = []
    stock = heapq.heappush
    with monkeypatch.context() as patch:
        patch.setattr(
            heapq, "heappush", lambda heap, item: pushed.append(item) or stock(heap, item)
        )
        timer = loop.call_later(60, int)
    assert pushed == [timer]
    timer.cancel()


def test_a_queue_of_another_kind_is_appended_to(loop: Any) -> None:
    class Queue(deque):  # type: ignore[type-arg]
        appended = 0

        def append(self, item: object) -> None:
            self.appended += 1
            super().append(item)

    loop._ready = Queue()
    loop.call_soon(int)
    assert loop._ready.appended == 1
    run(loop)


def test_a_property_in_place_of_what_the_loop_keeps_is_asked() -> None:
    class Own(asyncio.SelectorEventLoop):
        @property
        def _debug(self) -> bool:
            return True

        @_debug.setter
        def _debug(self, value: bool) -> None: ...

    with record():
        own = Own()
        with pytest.raises(TypeError, match="callable"):
            own.call_soon(5)  # type: ignore[arg-type]
        own.close()


def test_a_closed_loop_refuses(loop: Any) -> None:
    loop.close()
    for schedule in (
        lambda: loop.call_soon(int),
        lambda: loop.call_soon_threadsafe(int),
        lambda: loop.call_at(1, int),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            schedule()


def test_in_debug_mode_asyncio_checks_what_it_is_given(loop: Any) -> None:
    loop.set_debug(True)
    with pytest.raises(TypeError, match="callable"):
        loop.call_soon(5)
    handle = loop.call_soon(int)
    assert handle._source_traceback[-1].filename == __file__
    loop.set_debug(False)
    assert loop.call_soon(int)._source_traceback is None


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("call_soon", (), {}),
    ("call_soon", (int,), {"wrong": 1}),
    ("call_soon", (int,), {"context": 5}),
    ("call_soon", (), {"callback": int}),
    ("call_soon_threadsafe", (), {}),
    ("call_at", (None, int), {}),
    ("call_at", (1,), {}),
    ("call_at", (), {"when": 1, "callback": int, "context": None}),
]


@pytest.mark.parametrize(("method", "args", "kwargs"), WRONG)
def test_what_is_not_positions_and_a_context_is_left_to_asyncio(
    loop: Any, method: str, args: Any, kwargs: Any
) -> None:
    def outcome(call: Any) -> tuple[type, str]:
        try:
            made = call(loop, *args, **kwargs)
        except TypeError as error:
            return type(error), str(error)
        made._context = contextvars.Context()
        made.cancel()
        return type(made), ""

    assert outcome(LOOP_METHODS[method]) == outcome(STOCK[method])


def test_a_method_bound_before_gives_the_same_handles() -> None:
    loop: Any = asyncio.new_event_loop()
    before = loop.call_soon
    with record():
        during = loop.call_soon
        assert type(before(int)) is type(during(int)) is Handle
    assert type(during(int)) is type(before(int)) is vars(Handle)["_stands_for"]
    loop.close()


def test_what_is_scheduled_runs_in_its_order() -> None:
    log: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(1000):
            loop.call_soon(log.append, number)
        await turns(1)

    with record():
        asyncio.run(main())
    assert log == [*range(1000)]
