"""Classes under asyncio's names: whoever asks is answered as with the originals."""

import abc
import asyncio
import pickle
import sys
import types
from asyncio import events, futures, tasks
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import pytest

from telling import turns
from whence import create_hook
from whence.testing import record

T = TypeVar("T")

Stock: Any = futures.Future
StockHandle: Any = events.Handle
StockTimer: Any = events.TimerHandle
StockTask: Any = tasks.Task


@pytest.fixture
def hook() -> Iterator[None]:
    with create_hook(init=lambda *_: None):
        yield


def on_a_loop(test: Callable[[asyncio.AbstractEventLoop], object]) -> None:
    async def main() -> None:
        test(asyncio.get_running_loop())
        await turns()

    asyncio.run(main())


def test_objects_made_before_and_with_a_hook_are_instances_of_either_name() -> None:
    def test(loop: asyncio.AbstractEventLoop) -> None:
        def make() -> tuple[Any, ...]:
            return loop.create_future(), loop.call_soon(int), loop.call_later(0, int)

        before = make()
        with create_hook(init=lambda *_: None):
            during = make()
            for future, handle, timer in (before, during):
                assert isinstance(future, asyncio.Future)
                assert isinstance(future, Stock)
                assert isinstance(handle, events.Handle)
                assert isinstance(handle, asyncio.Handle)
                assert isinstance(handle, StockHandle)
                assert not isinstance(handle, events.TimerHandle)
                assert isinstance(timer, events.TimerHandle)
                assert isinstance(timer, events.Handle)
                assert isinstance(timer, StockTimer)
                assert not isinstance(handle, asyncio.Future)
                assert asyncio.isfuture(future)
            assert issubclass(type(during[0]), asyncio.Future)
            assert issubclass(Stock, asyncio.Future)
            assert issubclass(asyncio.Future, Stock)
            assert issubclass(events.TimerHandle, events.Handle)
            assert not issubclass(events.Handle, events.TimerHandle)
        for future, handle, timer in (before, during):
            assert isinstance(future, asyncio.Future)
            assert isinstance(handle, events.Handle)
            assert isinstance(timer, events.TimerHandle)

    on_a_loop(test)


def test_tasks_are_tasks_and_futures(hook: None) -> None:
    async def main() -> None:
        task = asyncio.create_task(turns(1))
        direct = asyncio.Task(turns(1))
        for each in (task, direct, asyncio.current_task()):
            assert isinstance(each, asyncio.Task)
            assert isinstance(each, StockTask)
            assert isinstance(each, asyncio.Future)
            assert type(each) is StockTask
        assert issubclass(asyncio.Task, asyncio.Future)
        assert not isinstance(asyncio.get_running_loop().create_future(), asyncio.Task)
        await asyncio.gather(task, direct)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("ours", "stock"),
    [
        (lambda: asyncio.Future, Stock),
        (lambda: events.Handle, StockHandle),
        (lambda: events.TimerHandle, StockTimer),
        (lambda: asyncio.Task, StockTask),
    ],
    ids=["Future", "Handle", "TimerHandle", "Task"],
)
def test_names_and_documentation_are_the_originals(
    hook: None, ours: Callable[[], Any], stock: Any
) -> None:
    cls = ours()
    assert cls.__name__ == stock.__name__
    assert cls.__qualname__ == stock.__qualname__
    assert cls.__module__ == stock.__module__
    assert cls.__doc__ == stock.__doc__
    public = {name for name in dir(cls) if not name.startswith("_")}
    assert public == {name for name in dir(stock) if not name.startswith("_")}


def test_a_program_may_derive_from_them_and_use_what_it_derived_later() -> None:
    with create_hook(init=lambda *_: None):

        class Promise(asyncio.Future[int]):
            """A subclass made while a hook is on."""

            def __init__(self, number: int) -> None:
                super().__init__()
                self.number = number

        class Timed(asyncio.TimerHandle):
            """Likewise."""

    async def main() -> list[Any]:
        promise = Promise(7)
        assert isinstance(promise, Promise)
        assert isinstance(promise, asyncio.Future)
        assert isinstance(promise, Stock)
        assert not isinstance(asyncio.get_running_loop().create_future(), Promise)
        assert issubclass(Promise, asyncio.Future)
        assert not issubclass(asyncio.Future, Promise)
        assert issubclass(Timed, events.TimerHandle)
        promise.set_result(promise.number)
        return [await promise, repr(promise).startswith("<Promise finished")]

    assert asyncio.run(main()) == [7, True]
    with record() as seen:
        assert asyncio.run(main()) == [7, True]
    assert [seen.type_of(i) for i in seen.ids("Future")] != []


def test_a_program_may_derive_from_them_together_with_others(hook: None) -> None:
    class Lockable(abc.ABC):
        @abc.abstractmethod
        def lock(self) -> str: ...

    class Both(asyncio.Future, Lockable):  # type: ignore[type-arg]
        """An abstract class has a metaclass of its own."""

        def lock(self) -> str:
            return "locked"

    class Boxed(asyncio.Future, Generic[T]):  # type: ignore[type-arg]
        """A generic one has none."""

    async def main() -> None:
        both, boxed = Both(), Boxed[int]()
        assert both.lock() == "locked"
        assert isinstance(both, Lockable)
        assert isinstance(boxed, Boxed)
        both.set_result(1)
        boxed.cancel()

    asyncio.run(main())


def test_subscripting_gives_what_the_original_gives(hook: None) -> None:
    assert asyncio.Future[int].__args__ == (int,)  # type: ignore[attr-defined]
    assert asyncio.Task[int].__args__ == (int,)  # type: ignore[attr-defined]


@pytest.mark.parametrize("debug", [False, True])
def test_what_each_shows_of_itself_is_as_ever(debug: bool) -> None:
    async def shown() -> list[str]:
        loop = asyncio.get_running_loop()
        pending, done, failed, cancelled = (loop.create_future() for _ in range(4))
        done.set_result(5)
        failed.set_exception(LookupError("x"))
        failed.exception()
        cancelled.cancel()
        pending.add_done_callback(print)
        handle, timer = loop.call_soon(int, 1), loop.call_at(1e9, print, "x")
        reprs = [repr(each) for each in (pending, done, failed, cancelled, handle, timer)]
        handle.cancel()
        timer.cancel()
        return [*reprs, repr(handle), repr(timer)]

    without = asyncio.run(shown(), debug=debug)
    with create_hook(init=lambda *_: None):
        assert asyncio.run(shown(), debug=debug) == without


@pytest.mark.parametrize("wrong", [5, "loop", object()])
def test_wrong_arguments_give_the_errors_of_the_originals(hook: None, wrong: Any) -> None:
    def errors_of(cls: Any) -> list[str]:
        found = []
        calls: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
            ((wrong,), {}),
            ((), {"loop": wrong, "more": 1}),
            ((), {"no_such_argument": wrong}),
        )
        for args, kwargs in calls:
            with pytest.raises(TypeError) as caught:
                cls(*args, **kwargs)
            found.append(type(caught.value).__name__)
        return found

    assert errors_of(asyncio.Future) == errors_of(Stock)


def test_equal_timers_are_two_and_compare_as_ever(hook: None) -> None:
    """SEMANTICS 6.3."""

    def test(loop: asyncio.AbstractEventLoop) -> None:
        when = loop.time() + 60
        with record() as seen:
            a, b = loop.call_at(when, print), loop.call_at(when, print)
            later = loop.call_at(when + 1, print)
            assert a == b
            assert hash(a) == hash(b)
            assert a < later
            assert later > a
            assert a <= b
            assert a != later
            first, second, third = seen.ids("TimerHandle")
            a.cancel()
            assert seen.names(first) == ["init", "destroy"]
            assert seen.names(second) == seen.names(third) == ["init"]
            b.cancel()
            later.cancel()

    on_a_loop(test)


@pytest.mark.skipif(sys.platform == "win32", reason="sorts by the same rules")
def test_timers_of_before_and_with_a_hook_stand_in_one_heap() -> None:
    order: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        now = loop.time()
        loop.call_at(now + 0.002, order.append, 2)
        with create_hook(init=lambda *_: None):
            loop.call_at(now + 0.001, order.append, 1)
            loop.call_at(now + 0.003, order.append, 3)
        loop.call_at(now + 0.0005, order.append, 0)
        loop.call_at(now + 0.004, order.append, 4)
        loop.call_at(now + 0.005, done.set)
        await done.wait()

    asyncio.run(main())
    assert order == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("hook")
@pytest.mark.parametrize("name", ["Future", "Task"])
def test_a_class_made_by_a_call_is_of_the_module_that_calls(name: str) -> None:
    base: Any = getattr(asyncio, name)
    assert type("Own", (base,), {}).__module__ == __name__
    assert type("Own", (base,), {"__module__": "theirs"}).__module__ == "theirs"
    made = types.new_class("Own", (base,))
    assert made.__module__ == types.new_class("Other", (StockHandle,)).__module__ == "types"


@pytest.mark.usefixtures("hook")
def test_a_class_that_is_refused_is_refused_where_it_is_made() -> None:
    with pytest.raises(TypeError) as refused:
        types.new_class("Own", (asyncio.Future,), {"unknown": 1})
    assert [frame.name for frame in refused.traceback][1:] == ["new_class"]


@pytest.mark.usefixtures("hook")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_name_is_pickled_as_what_it_stands_for(protocol: int) -> None:
    for name, stock in ((asyncio.Future, Stock), (asyncio.Task, StockTask)):
        text = pickle.dumps([name, name], protocol)
        assert b"whence" not in text, "who reads it may be without us"
        assert pickle.loads(text) == [stock, stock]
    handle = events.Handle
    assert pickle.loads(pickle.dumps(handle, protocol)) is handle


@pytest.mark.usefixtures("hook")
def test_a_class_of_the_programs_is_pickled_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for base in (asyncio.Handle, asyncio.Future):
        own = types.new_class("Own", (base,), {}, lambda body: body.update(__module__=__name__))
        monkeypatch.setattr(sys.modules[__name__], "Own", own, raising=False)
        assert pickle.loads(pickle.dumps(own)) is own
