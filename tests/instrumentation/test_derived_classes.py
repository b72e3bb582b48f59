"""Classes of the program's that derive from asyncio's Future and Task, old and new."""

import abc
import asyncio
import gc
import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest
from stories import new_loop, story

import whence
from whence import create_hook, execution_async_id
from whence.testing import record

T = TypeVar("T")

LOOPS: dict[str, Any] = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError:
    pass
else:
    LOOPS["uvloop"] = uvloop.new_event_loop

SETTLED = ["init Future1 Future by top", "promise_resolve Future1", "destroy Future1"]


class Older(asyncio.Future[int]):
    """Older than any hook."""


class Doubling(Older):
    """Derived from that, with methods and a constructor of its own."""

    def __init__(self, number: int, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.number = number

    def set_result(self, result: int) -> None:
        super().set_result(result * self.number)


def older() -> type[asyncio.Future[int]]:
    return Older


def younger() -> type[asyncio.Future[int]]:
    class Younger(asyncio.Future[int]):
        """As old as the hook."""

    return Younger


def together_with_others() -> type[asyncio.Future[int]]:
    class Mixed(Older, asyncio.Future, Generic[T]):  # type: ignore[type-arg]
        """What derives twice from it is seen once."""

    return Mixed


def abstract() -> type[asyncio.Future[int]]:
    class Abstract(asyncio.Future, abc.ABC):  # type: ignore[type-arg]
        @abc.abstractmethod
        def concrete(self) -> None: ...

    class Concrete(Abstract):
        def concrete(self) -> None: ...

    return Concrete


CLASSES = pytest.mark.parametrize(
    "derive", [older, younger, together_with_others, abstract], ids=lambda derive: derive.__name__
)
SETTLE: dict[str, Callable[[Any], object]] = {
    "result": lambda future: future.set_result(5),
    "exception": lambda future: future.set_exception(ValueError("on purpose")),
    "cancel": lambda future: future.cancel(),
}


@CLASSES
@pytest.mark.parametrize("how", SETTLE)
def test_a_future_of_such_a_class_has_three_events(
    derive: Callable[[], type[asyncio.Future[int]]], how: str
) -> None:
    """SEMANTICS 6.4."""
    with new_loop() as loop, record() as events:
        future = derive()(loop=loop)
        assert story(events, "Future") == SETTLED[:1]
        SETTLE[how](future)
        assert future.cancel() is False
        assert story(events, "Future") == SETTLED
        if how == "exception":
            future.exception()


@CLASSES
def test_a_pending_one_that_is_dropped_is_destroyed_by_collection(
    derive: Callable[[], type[asyncio.Future[int]]],
) -> None:
    """SEMANTICS 8.1."""
    with new_loop() as loop, record() as events:
        cycle: list[Any] = [derive()(loop=loop)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        loop.run_until_complete(asyncio.sleep(0))
    first = events.ids("Future")[0]
    assert events.names(first) == ["init", "destroy"]


def test_its_done_callbacks_are_triggered_by_it_before_and_after_it_is_settled() -> None:
    """SEMANTICS 6.8."""

    async def main() -> None:
        future = Older(loop=asyncio.get_running_loop())
        future.add_done_callback(lambda _: None)
        future.set_result(1)
        future.add_done_callback(lambda _: None)
        await future
        await asyncio.sleep(0)

    with record() as events:
        asyncio.run(main())
    future = events.ids("Future")[0]
    assert [events.trigger_of(i) for i in events.ids("Handle")].count(future) == 2


def test_what_it_overrides_is_called_once_and_seen() -> None:
    with new_loop() as loop, record() as events:
        future = Doubling(4, loop=loop)
        future.set_result(3)
        assert future.result() == 12
    assert story(events, "Future") == SETTLED


def test_one_that_settles_itself_in_its_constructor_is_settled_then() -> None:
    class Settled(asyncio.Future[int]):
        def __init__(self, *, loop: asyncio.AbstractEventLoop) -> None:
            super().__init__(loop=loop)
            self.set_result(5)

    with new_loop() as loop:
        with record() as events:

            class Younger(asyncio.Future[int]):
                def __init__(self, *, loop: asyncio.AbstractEventLoop) -> None:
                    super().__init__(loop=loop)
                    self.set_result(5)

            assert Younger(loop=loop).result() == 5
            assert story(events, "Future") == SETTLED
        with record() as events:
            assert Settled(loop=loop).result() == 5
        assert story(events, "Future") == SETTLED


def test_a_refused_settling_is_no_event_and_shows_no_frame_of_ours() -> None:
    """SEMANTICS 6.4."""
    with new_loop() as loop, record() as events:
        future = Older(loop=loop)
        future.set_result(1)
        with pytest.raises(asyncio.InvalidStateError) as refused:
            future.set_result(2)
        assert [str(entry.path) for entry in refused.traceback] == [__file__]
        wrong: Any = Older
        with pytest.raises(TypeError) as refused_argument:
            wrong(5)
        assert [str(entry.path) for entry in refused_argument.traceback] == [__file__]
    assert story(events, "Future") == SETTLED


def test_a_failure_is_the_outcome_and_is_reported_as_never_retrieved_all_the_same() -> None:
    whence.attach(export=("none",), min_duration=0, types="Future")
    try:
        with new_loop() as loop:
            told: list[Any] = []
            loop.set_exception_handler(lambda _, context: told.append(context["message"]))
            future: Any = Older(loop=loop)
            lifetime = future._whence.lifetime
            future.set_exception(ValueError("on purpose"))
            assert (lifetime.outcome, lifetime.error) == ("failed", ("ValueError", "on purpose"))
            del future
            gc.collect()
        assert told == ["Older exception was never retrieved"]
    finally:
        whence.detach()


@pytest.mark.parametrize("base", ["Future", "Task"])
def test_it_is_of_the_metaclass_and_bases_that_it_would_have_without_a_hook(base: str) -> None:
    stock: Any = getattr(asyncio, base)
    with create_hook(init=lambda *_: None):
        named: Any = getattr(asyncio, base)

        class Plain(named):  # type: ignore[misc]
            pass

        class Other(type):
            pass

        class Mixin(metaclass=Other):
            pass

        class Further(Plain, Mixin):
            pass

    assert (type(Plain), Plain.__bases__) == (type, (stock,))
    assert type(Further) is Other


def test_everything_on_the_class_is_put_back() -> None:
    before = dict(vars(Older)), dict(vars(Doubling))
    with create_hook(init=lambda *_: None):
        assert vars(Older) != before[0]
        younger_class = younger()
    assert (dict(vars(Older)), dict(vars(Doubling))) == before
    assert "set_result" not in vars(younger_class)


def test_a_class_that_is_dropped_is_collected() -> None:
    import weakref

    with create_hook(init=lambda *_: None):
        dropped = weakref.ref(younger())
        gc.collect()
        assert dropped() is None


def test_its_class_may_be_told_of_the_class_and_configured_by_keywords() -> None:
    with create_hook(init=lambda *_: None):
        seen: list[Any] = []

        class Root(asyncio.Future[int]):
            def __init_subclass__(cls, *, mark: int = 0) -> None:
                seen.append((cls.__name__, mark))

        class Leaf(Root, mark=5):
            def where(self) -> Any:
                return __class__  # type: ignore[name-defined]

        with new_loop() as loop:
            assert Leaf(loop=loop).where() is Leaf
    assert seen == [("Leaf", 5)]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_an_eager_task_of_such_a_class_executes_as_itself_from_the_start() -> None:
    """SEMANTICS 6.13."""
    seen: list[int] = []

    class OwnTask(asyncio.Task[Any]):
        pass

    async def work() -> None:
        seen.append(execution_async_id())

    async def main() -> None:
        OwnTask(work(), loop=asyncio.get_running_loop(), eager_start=True)

    with record() as events:
        asyncio.run(main())
    assert len(seen) == 1
    assert events.names(seen[0]) == ["init", "before", "promise_resolve", "after", "destroy"]


def test_a_class_with_its_own_ideas_of_attributes_is_seen_and_not_asked() -> None:
    class Proxy(asyncio.Future[Any]):
        """Stands for its result, which is not there yet."""

        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError(name)

        def __setattr__(self, name: str, value: object) -> None:
            raise ZeroDivisionError(name)

        def done(self) -> bool:
            return super().done()

        def cancelled(self) -> bool:
            raise ZeroDivisionError

    async def main() -> None:
        future = Proxy(loop=asyncio.get_running_loop())
        future.add_done_callback(lambda _: None)
        future.set_result(None)
        await asyncio.sleep(0)

    unseen = Proxy
    with record() as events:
        asyncio.run(main())
    assert story(events, "Future")[:3] == [line.replace("top", "Task1") for line in SETTLED]
    assert unseen.__init__ is asyncio.futures._CFuture.__init__  # type: ignore[attr-defined]


def test_a_future_without_a_lifetime_of_ours_is_the_trigger_of_nothing() -> None:
    class Silent(asyncio.Future[Any]):
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError(name)

    async def main(future: asyncio.Future[Any]) -> None:
        future.add_done_callback(lambda _: None)
        future.set_result(None)
        await asyncio.sleep(0)

    with new_loop() as loop:
        future = Silent(loop=loop)
        with record() as events:
            loop.run_until_complete(main(future))
    task = events.ids("Task")[0]
    assert task in [events.trigger_of(i) for i in events.ids("Handle")]


def test_one_that_its_class_initializes_later_is_seen_from_its_construction_on() -> None:
    class Late(asyncio.Future[int]):
        def __init__(self) -> None:
            """Not yet."""

        def begin(self, loop: asyncio.AbstractEventLoop) -> None:
            super().__init__(loop=loop)

    with new_loop() as loop, record() as events:
        future = Late()
        future.begin(loop)
        future.set_result(5)
        assert future.result() == 5
    assert story(events, "Future") == SETTLED


def test_a_class_that_takes_no_patch_goes_on_unseen() -> None:
    class Sealed(type):
        def __setattr__(cls, name: str, value: object) -> None:
            raise ZeroDivisionError(name)

    class Mixin(metaclass=Sealed):
        pass

    with new_loop() as loop, record() as events:

        class Closed(asyncio.Future, Mixin):  # type: ignore[type-arg,metaclass]
            pass

        future = Closed(loop=loop)
        future.set_result(5)
        assert future.result() == 5
    assert (type(Closed), events.ids("Future")) == (Sealed, [])


@pytest.mark.parametrize("new_loop_of", LOOPS.values(), ids=LOOPS)
def test_a_task_with_its_own_ideas_of_attributes_is_seen_and_not_asked(new_loop_of: Any) -> None:
    class Odd(asyncio.Task[Any]):
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError(name)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro, **options: Odd(coro, loop=loop, **options))
        await loop.create_task(asyncio.sleep(0))
        loop.set_task_factory(None)
        return execution_async_id()

    with record() as events, asyncio.Runner(loop_factory=new_loop_of) as runner:
        main_id = runner.run(main())
    (task,) = (i for i in events.ids("Task") if events.trigger_of(i) == main_id)
    assert events.names(task)[-4:] == ["before", "promise_resolve", "after", "destroy"]
