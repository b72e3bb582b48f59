"""Handles, timers and futures in C: that their edges are those of asyncio's own.

Most tests do the same to asyncio's handle and to ours, and compare what came of it.
"""

import asyncio
import contextvars
import gc
import math
import operator
import pickle
import subprocess
import sys
import threading
import traceback
import weakref
from asyncio import events
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from telling import recorded, run_followed, turns
from whence.engine import twin
from whence.engine.futures import Future
from whence.engine.handles import Handle, TimerHandle
from whence.testing import record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

PROGRAMS = Path(__file__).parent / "programs"
STOCK: dict[type, type] = {kind: vars(kind)["_stands_for"] for kind in (Handle, TimerHandle)}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    made.set_exception_handler(lambda _, context: None)
    yield made
    made.close()


def outcome(action: Callable[[], object]) -> tuple[type, str]:
    """What an action came to: the type and text of its error, or of what it gave."""
    try:
        result = action()
    except Exception as error:
        return type(error), str(error)
    return type(result), repr(result)


def made(kind: type, loop: Any, callback: Any = int, when: Any = 1.5) -> Any:
    first = (when,) if issubclass(kind, STOCK[TimerHandle]) else ()
    return kind(*first, callback, (), loop, contextvars.copy_context())


FIELDS = ["_args", "_callback", "_context", "_loop", "_source_traceback", "_cancelled", "_repr"]


@pytest.mark.parametrize("kind", [Handle, TimerHandle])
@pytest.mark.parametrize("field", FIELDS)
def test_a_handle_without_a_field_runs_as_asyncios(loop: Any, kind: type, field: str) -> None:
    def run(kind: type) -> tuple[type, str]:
        handle = made(kind, loop)
        delattr(handle, field)
        return outcome(handle._run)

    assert run(kind) == run(STOCK[kind])


@pytest.mark.parametrize("kind", [Handle, TimerHandle])
@pytest.mark.parametrize("value", [None, [], 5, "text", (1, 2)])
@pytest.mark.parametrize("field", ["_args", "_callback", "_context", "_source_traceback"])
def test_a_handle_with_any_field_runs_as_asyncios(
    loop: Any, kind: type, field: str, value: object
) -> None:
    reports: list[str] = []
    loop.set_exception_handler(lambda _, context: reports.append(str(context["exception"])))

    def run(kind: type) -> tuple[type, str, list[str]]:
        reports.clear()
        handle = made(kind, loop)
        setattr(handle, field, value)
        return *outcome(handle._run), [*reports]

    assert run(kind) == run(STOCK[kind])


@pytest.mark.parametrize("kind", [Handle, TimerHandle])
@pytest.mark.parametrize("method", ["_run", "cancel", "cancelled", "__repr__", "__hash__"])
def test_a_handle_that_was_never_constructed_fails_as_asyncios(kind: Any, method: str) -> None:
    stock: Any = STOCK[kind]
    ours = outcome(getattr(kind.__new__(kind), method))
    theirs = outcome(getattr(stock.__new__(stock), method))
    assert ours == theirs or ours[0] is theirs[0] is int  # of its address
    assert not hasattr(kind.__new__(kind), "_lifetime")


COMPARISONS = [getattr(operator, name) for name in ("lt", "le", "eq", "ne", "gt", "ge")]


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("other", [1.5, 1, 2, -math.inf, math.nan, None, "not constructed"])
def test_timers_compare_as_asyncios(loop: Any, compare: Any, other: Any) -> None:
    def compared(kind: Any, with_kind: Any) -> tuple[type, str]:
        timer = made(kind, loop)
        if other is None:
            return outcome(lambda: compare(timer, None))
        if other == "not constructed":
            return outcome(lambda: compare(timer, with_kind.__new__(with_kind)))
        return outcome(lambda: compare(timer, made(with_kind, loop, when=other)))

    stock = STOCK[TimerHandle]
    expected = compared(stock, stock)
    for pair in ((TimerHandle, TimerHandle), (TimerHandle, stock), (stock, TimerHandle)):
        assert compared(*pair) == expected


def test_a_timer_has_the_hash_and_the_equality_of_its_kind(loop: Any) -> None:
    timer, same = made(TimerHandle, loop), made(TimerHandle, loop)
    assert timer == same
    assert hash(timer) == hash(made(STOCK[TimerHandle], loop)) == hash(1.5)


def test_a_class_of_the_programs_may_derive_from_a_handle_and_be_compared(loop: Any) -> None:
    with record():

        class Own(asyncio.TimerHandle):
            """Compares in its own way."""

            def __eq__(self, other: object) -> bool:
                return self is other

            __hash__ = asyncio.TimerHandle.__hash__

        first, second = made(Own, loop), made(Own, loop)
        assert first != second
        assert not first < second
        first._run()
        first.anything = [first]
        assert isinstance(first, STOCK[TimerHandle])


def test_handles_in_a_cycle_are_collected(loop: Any) -> None:
    gone = []
    with recorded():
        for kind in (Handle, TimerHandle):
            handle = made(kind, loop)
            handle.itself = handle
            handle._callback = handle.cancel
            gone.append(weakref.ref(handle))
            del handle
        gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_a_chain_of_handles_is_freed_however_long_it_is(loop: Any) -> None:
    handle = None
    for _ in range(200_000):
        handle = Handle(int, (handle,), loop)
    del handle


@pytest.mark.parametrize("kind", [Handle, TimerHandle])
def test_the_classes_are_pickled_and_shown_as_asyncios(kind: Any) -> None:
    with record():
        assert pickle.loads(pickle.dumps(kind)) is kind
        assert repr(kind) == repr(vars(kind)["_stands_for"])
    assert pickle.loads(pickle.dumps(kind)) is vars(kind)["_stands_for"]


def traceback_of(kind: Any, loop: Any, error: type[BaseException]) -> list[str]:
    """Of an error that a callback raises, as its loop or the program sees it."""
    seen: list[str] = []

    def fail() -> None:
        raise error("text")

    def report(_: object, context: dict[str, Any]) -> None:
        assert sys.exc_info()[1] is context["exception"]
        seen.extend(traceback.format_exception(context["exception"]))
        seen.append(context["message"])
        seen.extend(sorted(context))

    loop.set_exception_handler(report)
    try:
        made(kind, loop, fail)._run()
    except error as raised:
        seen.extend(traceback.format_exception(raised))
    assert sys.exc_info() == (None, None, None)
    return seen


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_error_of_a_callback_is_shown_as_by_asyncios(loop: Any, error: Any) -> None:
    ours, stock = (traceback_of(kind, loop, error) for kind in (Handle, STOCK[Handle]))
    assert ours == stock
    assert any("_run" in line for line in ours)


def test_an_error_of_the_exception_handler_is_shown_as_by_asyncios(loop: Any) -> None:
    def fail() -> None:
        raise ValueError("first")

    def interrupt(_: object, context: dict[str, Any]) -> None:
        raise KeyboardInterrupt("second")

    def shown(kind: Any) -> list[str]:
        with pytest.raises(KeyboardInterrupt) as caught:
            made(kind, loop, fail)._run()
        assert isinstance(caught.value.__context__, ValueError)
        return traceback.format_exception(caught.value)

    loop.set_exception_handler(interrupt)
    assert shown(Handle) == shown(STOCK[Handle])


@pytest.mark.parametrize("watch", [sys.settrace, sys.setprofile])
def test_who_watches_frames_sees_those_of_asyncio(loop: Any, watch: Any) -> None:
    def called(kind: Any) -> list[str]:
        seen: list[str] = []

        def callback() -> None:
            seen.append(sys._getframe(1).f_code.co_qualname)

        handle = made(kind, loop, callback)
        before = sys.gettrace() if watch is sys.settrace else sys.getprofile()
        watch(lambda frame, event, _: seen.append(frame.f_code.co_qualname))
        try:
            handle._run()
        finally:
            watch(before)
        return [name for name in seen if name != called.__qualname__]

    ours, stock = called(Handle), called(STOCK[Handle])
    assert [name for name in ours if name in stock] == stock
    assert "Handle._run" in ours


def test_a_callback_may_cancel_its_own_handle_and_drop_all_of_it(loop: Any) -> None:
    log: list[str] = []

    def callback(*_: object) -> None:
        handle = handles.pop()
        handle.cancel()
        del handle._context, handle._args, handle._loop
        log.append("ran")

    with recorded():
        handles = [loop.call_soon(callback, object(), context=contextvars.copy_context())]
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert log == ["ran"]


def test_a_context_that_is_entered_already_is_refused_as_by_asyncios(loop: Any) -> None:
    contexts: list[dict[str, Any]] = []
    loop.call_exception_handler = contexts.append  # type: ignore[method-assign]

    def run(kind: Any) -> None:
        handle = made(kind, loop)
        handle._context.run(handle._run)

    run(Handle)
    run(STOCK[Handle])
    ours, stock = (str(context["exception"]).partition(" at 0x")[0] for context in contexts)
    assert ours == stock


@pytest.mark.parametrize("mode", [record, recorded])
def test_threads_that_schedule_at_once_are_all_heard(mode: Any) -> None:
    log: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def schedule() -> None:
            for number in range(500):
                loop.call_soon_threadsafe(log.append, number)
                if not number % 100:
                    gc.collect()

        threads = [threading.Thread(target=schedule) for _ in range(4)]
        for thread in threads:
            thread.start()
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
        loop.call_soon(done.set)
        await done.wait()

    with mode():
        asyncio.run(main())
    assert sorted(log) == sorted([*range(500)] * 4)


def test_a_future_that_was_never_constructed_does_what_asyncios_does() -> None:
    stock = vars(Future)["_stands_for"]
    for method, args in (("set_result", (1,)), ("cancel", ()), ("done", ()), ("result", ())):
        ours, theirs = Future.__new__(Future), stock.__new__(stock)
        assert outcome(partial(getattr(ours, method), *args)) == outcome(
            partial(getattr(theirs, method), *args)
        )
    assert not hasattr(Future.__new__(Future), "_lifetime")


WRONG: list[tuple[str, tuple[object, ...], dict[str, object]]] = [
    ("set_result", (), {}),
    ("set_result", (1, 2), {}),
    ("set_result", (), {"result": 1}),
    ("set_exception", (), {}),
    ("set_exception", (5,), {}),
    ("set_exception", (StopIteration(),), {}),
    ("cancel", (1, 2), {}),
    ("cancel", (), {"wrong": 1}),
    ("cancel", (), {"msg": "text"}),
]


@pytest.mark.parametrize(("method", "args", "kwargs"), WRONG)
def test_what_a_future_refuses_it_refuses_in_asyncios_words(
    loop: Any, method: str, args: Any, kwargs: Any
) -> None:
    stock = vars(Future)["_stands_for"]
    ours, theirs = (
        outcome(partial(getattr(kind(loop=loop), method), *args, **kwargs))
        for kind in (Future, stock)
    )
    assert ours == theirs


def test_a_future_in_a_cycle_is_collected_and_told() -> None:
    async def main() -> list[str]:
        with record() as events:
            future: Any = asyncio.get_running_loop().create_future()
            future.itself = future
            (async_id,) = events.ids("Future")
            del future
            gc.collect()
            await turns()
        return events.names(async_id)

    assert run_followed(main()) == ["init", "destroy"]


CONTINUING = {
    "memory that runs out anywhere": "no_memory_for_handles.py",
    "a fork in a callback": "forking_callback.py",
    "daemon threads that schedule to the end": "daemons_to_the_end.py",
    "another interpreter that imports asyncio": "another_interpreter.py",
}


@pytest.mark.parametrize("what", CONTINUING)
def test_the_process_outlives(what: str) -> None:
    program = PROGRAMS / CONTINUING[what]
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=120, check=False
    )
    if done.stdout.startswith("skipped"):
        pytest.skip(done.stdout)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["went on"]), done.stderr
    assert "Fatal" not in done.stderr


def test_the_handle_that_asyncio_looks_up_is_ours_only_while_a_hook_is_enabled() -> None:
    assert events.Handle is STOCK[Handle]
    with record():
        assert events.Handle is Handle
    assert events.Handle is STOCK[Handle]
