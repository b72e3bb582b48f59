"""Callbacks and timers: that they are asyncio's own otherwise; SEMANTICS 6.2, 6.10 to 6.14."""

import asyncio
import contextvars
import functools
import math
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from typing import Any

import pytest

import whence
from telling import recorded, run_followed, told, turns
from whence import AsyncResource, execution_async_id, trigger_async_id
from whence.engine import RecordedLifetime, SpanLifetime, handle_classes, open_lifetimes
from whence.testing import Events, record

MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "without whence": nullcontext,
    "hooks": record,
    "recorded": recorded,
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Iterator[None]:
    """What must be the same in all three."""
    with MODES[request.param]():
        yield


def test_a_callback_that_raises_is_reported_as_itself_and_the_loop_goes_on() -> None:
    """SEMANTICS 6.10: before, the exception handler, after, destroy."""
    log: list[Any] = []

    def fail() -> None:
        raise LookupError

    async def main() -> tuple[list[str], Events]:
        loop = asyncio.get_running_loop()
        with record() as events:

            def report(_: object, context: dict[str, Any]) -> None:
                log.append((execution_async_id(), type(context["exception"]), [*events]))

            loop.set_exception_handler(report)
            handle = loop.call_soon(fail)
            loop.call_soon(log.append, "went on")
            failing, next_one = events.ids()
            assert handle is not None
            await turns()
        ((at, error, so_far), went_on) = log
        assert (at, error, went_on) == (failing, LookupError, "went on")
        assert [e[0] for e in so_far if e[1] == failing] == ["init", "before"]
        return told(events.of(failing, next_one), f=failing, n=next_one)[2:], events

    lines, _ = run_followed(main())
    assert lines == ["before f", "after f", "destroy f", "before n", "after n", "destroy n"]


def test_arguments_keywords_and_contexts_pass_unchanged(mode: None) -> None:
    """SEMANTICS 6.12."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")
    log: list[Any] = []

    def note(*args: object) -> None:
        log.append((args, variable.get()))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        variable.set("copied")
        own = contextvars.Context()
        own.run(variable.set, "own")
        loop.call_soon(note)
        loop.call_soon(note, 1, None, [2], context=own)
        loop.call_at(loop.time(), note, 3)
        loop.call_later(0, note, 4, context=own)
        loop.call_soon_threadsafe(note, 5, context=own)
        variable.set("changed")
        await asyncio.sleep(0.005)

    asyncio.run(main())
    assert sorted(log, key=str) == sorted(
        [
            ((), "copied"),
            ((1, None, [2]), "own"),
            ((3,), "copied"),
            ((4,), "own"),
            ((5,), "own"),
        ],
        key=str,
    )


def test_callbacks_run_in_the_order_of_asyncio(mode: None) -> None:
    """SEMANTICS 6.12."""
    log: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        future.add_done_callback(lambda _: log.append("done callback"))
        loop.call_soon(log.append, "first")
        future.set_result(None)
        loop.call_at(0, log.append, "timer due")
        task = asyncio.create_task(step())
        loop.call_soon(log.append, "last")
        await task

    async def step() -> None:
        log.append("step")

    asyncio.run(main())
    assert log[:4] == ["first", "done callback", "step", "last"]
    assert log[4:] in ([], ["timer due"])


def test_what_a_handle_tells_of_itself(mode: None) -> None:
    """SEMANTICS 6.12."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        handle = loop.call_soon(print, "never")
        timer = loop.call_at(loop.time() + 60, print)
        assert (handle.cancelled(), timer.cancelled()) == (False, False)
        internals: Any = handle
        assert internals._callback is print
        assert internals._args == ("never",)
        assert timer.when() >= loop.time() + 59
        handle.cancel()
        timer.cancel()
        handle.cancel()
        assert (handle.cancelled(), timer.cancelled()) == (True, True)
        assert internals._callback is None

    asyncio.run(main())


@pytest.mark.skipif(handle_classes.keeps_stock, reason="a handle of asyncio's takes none")
def test_a_handle_takes_attributes_and_weak_references() -> None:
    """SEMANTICS 9.4, 9.1."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for handle in (loop.call_soon(int), loop.call_later(0, int)):
            made: Any = handle
            made.data = 5
            assert made.data == 5
            assert weakref.ref(made)() is made

    with record():
        asyncio.run(main())


@pytest.mark.parametrize("when", [math.inf, Fraction(10**9), 10**9, 1e300])
def test_any_time_that_asyncio_takes_is_taken(mode: None, when: Any) -> None:
    """SEMANTICS 6.12: `sleep(inf)` is how programs wait for ever."""

    async def main() -> None:
        timer = asyncio.get_running_loop().call_at(when, print)
        assert timer.when() == when
        await turns()
        timer.cancel()
        sleeping = asyncio.ensure_future(asyncio.sleep(math.inf))
        await turns()
        assert not sleeping.done()
        sleeping.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [None, 5, "text"])
def test_what_asyncio_refuses_is_refused_and_no_event(mode: None, wrong: Any) -> None:
    """SEMANTICS 6.12."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        with record() as events:
            with pytest.raises(TypeError, match="callable"):
                loop.call_soon(wrong)
            with pytest.raises(TypeError):
                loop.call_later(None, print)  # type: ignore[arg-type]
        assert events.ids() == []

    asyncio.run(main())


class Hostile:
    """A callback of which nothing but the call may be asked."""

    def __init__(self, log: list[str]) -> None:
        object.__setattr__(self, "log", log)

    def __call__(self, *args: object) -> None:
        object.__getattribute__(self, "log").append("called")

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)

    def _no(self, *_: object) -> Any:
        raise LookupError("asked")

    __eq__ = __hash__ = __bool__ = __repr__ = __str__ = _no


class AnswersAll:
    """A callback with every attribute that is asked for, none of the expected kind."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def __call__(self, *args: object) -> None:
        self._log.append("called")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__qualname__":
            raise AttributeError(name)
        return self


@pytest.mark.parametrize("kind", [Hostile, AnswersAll, functools.partial])
def test_a_callback_of_any_kind_is_called(mode: None, kind: Any) -> None:
    """SEMANTICS 6.12."""
    log: list[str] = []
    callback = functools.partial(log.append, "called") if kind is functools.partial else kind(log)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(callback)
        loop.call_soon(callback, context=contextvars.copy_context())
        loop.call_later(0, callback)
        await asyncio.sleep(0.005)

    asyncio.run(main())
    assert log == ["called"] * 3


def test_the_name_that_is_recorded_is_a_text_whatever_the_callback_is() -> None:
    log: list[str] = []
    found: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = [
            loop.call_later(60, AnswersAll(log)),
            loop.call_later(60, functools.partial(print, 1)),
            loop.call_later(60, turns),
            loop.call_later(60, log.append, "never"),
        ]
        for lifetime in open_lifetimes.values():
            if isinstance(lifetime, SpanLifetime) and lifetime.type.name == "TimerHandle":
                found.append(lifetime.name)
        for timer in timers:
            timer.cancel()

    with recorded():
        asyncio.run(main())
    assert found == ["AnswersAll", "print", "turns", "list.append"]


class LooksLikeAFuture:
    """An argument that must not be asked whether it is done."""

    _asyncio_future_blocking = False

    def done(self) -> bool:
        raise LookupError("asked")


class Shy:
    @property
    def __class__(self) -> Any:
        raise LookupError("asked")

    @__class__.setter
    def __class__(self, value: object) -> None: ...


def gone() -> Any:
    return weakref.proxy(AsyncResource("X"))


@pytest.mark.parametrize("argument", [gone, LooksLikeAFuture, Shy])
def test_nothing_is_asked_of_an_argument(mode: None, argument: Callable[[], Any]) -> None:
    """SEMANTICS 6.12."""
    log: list[object] = []
    passed = argument()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(log.append, passed)
        loop.call_soon(log.append, passed, context=contextvars.copy_context())
        await turns()

    asyncio.run(main())
    assert [found is passed for found in log] == [True, True]


def test_a_callback_of_another_thread_is_triggered_by_that_thread() -> None:
    """SEMANTICS 6.14."""

    async def main() -> tuple[Events, list[tuple[int, int]]]:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        seen: list[tuple[int, int]] = []

        def callback() -> None:
            seen.append((execution_async_id(), trigger_async_id()))
            done.set()

        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(callback,))
        with record() as events:
            thread.start()
            thread.join()
            await done.wait()
        return events, seen

    events, seen = run_followed(main())
    (thread,) = events.ids("Thread")
    ((handle, trigger),) = seen
    assert trigger == thread == events.trigger_of(handle)
    assert events.type_of(handle) == "Handle"


def test_a_coroutine_of_another_thread_leads_back_to_it() -> None:
    """SEMANTICS 6.14: Task <- Handle <- Thread."""

    async def work() -> int:
        return execution_async_id()

    async def main() -> tuple[Events, int]:
        loop = asyncio.get_running_loop()
        ids: list[int] = []

        def submit() -> None:
            ids.append(asyncio.run_coroutine_threadsafe(work(), loop).result(30))
            loop.call_soon_threadsafe(done.set)

        done = asyncio.Event()
        thread = threading.Thread(target=submit)
        with record() as events:
            thread.start()
            await done.wait()
            thread.join()
        return events, ids[0]

    events, task = run_followed(main())
    assert [events.type_of(i) for i in events.chain(task)[:3]] == ["Task", "Handle", "Thread"]


def test_the_first_task_of_a_loop_in_a_thread_is_triggered_by_the_thread() -> None:
    """SEMANTICS 6.14."""
    ids: list[int] = []

    async def work() -> None:
        ids.append(execution_async_id())

    with record() as events:
        thread = threading.Thread(target=lambda: asyncio.run(work()))
        thread.start()
        thread.join()
    assert [events.type_of(i) for i in events.chain(ids[0])[:2]] == ["Task", "Thread"]


def test_a_reader_has_one_life_over_many_events() -> None:
    """SEMANTICS 6 (table): no destroy but by its removal."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        received: list[bytes] = []
        with record() as events, ours, theirs:
            loop.add_reader(ours, lambda: received.append(ours.recv(1)))
            (reader,) = events.ids()
            for byte in (b"a", b"b"):
                theirs.send(byte)
                await turns(5)
                assert received[-1] == byte
            assert loop.remove_reader(ours)
            assert not loop.remove_reader(ours)
        return told(events.of(reader), r=reader)[1:]

    assert run_followed(main()) == ["before r", "after r", "before r", "after r", "destroy r"]


def test_a_reader_that_is_replaced_is_destroyed() -> None:
    """SEMANTICS 6 (table)."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with record() as events, ours, theirs:
            loop.add_reader(ours, int)
            loop.add_reader(ours, print)
            loop.add_writer(ours, int)
            a, b, c = events.ids()
            loop.remove_reader(ours)
            loop.remove_writer(ours)
        return told(events, a=a, b=b, c=c, main=execution_async_id())

    lines = run_followed(main())
    assert [line for line in lines if line.startswith("init")] == [
        "init a Reader by main",
        "init b Reader by main",
        "init c Writer by main",
    ]
    assert sorted(line for line in lines if line.startswith("destroy")) == [
        "destroy a",
        "destroy b",
        "destroy c",
    ]


def test_what_a_closing_loop_leaves_is_destroyed_once() -> None:
    """SEMANTICS 7.1, 7.2."""
    with record() as events:
        loop = asyncio.new_event_loop()
        handle, timer = loop.call_soon(print, "never"), loop.call_later(60, print)
        ids = events.ids("Handle")[-1], events.ids("TimerHandle")[-1]
        loop.close()
        assert [events.names(i) for i in ids] == [["init", "destroy"]] * 2
        handle.cancel()
        timer.cancel()
    assert [events.names(i) for i in ids] == [["init", "destroy"]] * 2


def test_the_times_of_a_callback_are_those_on_the_loop() -> None:
    """Ready is what passes between being due and running."""

    def keep_busy() -> None:
        deadline = whence.engine.clock() + 5_000_000
        while whence.engine.clock() < deadline:
            pass

    found: list[RecordedLifetime] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(keep_busy)
        loop.call_soon(keep_busy)
        found.extend(each for each in open_lifetimes.values() if each.type.name == "Handle")
        await turns(2)

    with recorded():
        asyncio.run(main())
    first, second = found[-2:]
    assert first.steps == second.steps == 1
    assert first.run >= 5_000_000
    assert second.run >= 5_000_000
    assert second.ready >= first.run
