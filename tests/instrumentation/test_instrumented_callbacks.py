"""Callbacks, timers, readers, writers and signal handlers of asyncio's own loops."""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from stories import Executing, new_loop, run_recorded, story, until

import whence
from telling import listening, told, turns
from whence.engine import handle_classes
from whence.testing import Events, record

KINDS = ("Handle", "TimerHandle", "Reader", "Writer", "SignalHandle")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_callback_lives_once() -> None:
    seen = Executing()
    with new_loop() as loop, record() as events:
        handle = loop.call_soon(seen, 1)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert story(events, "Handle") == [
        "init Handle1 Handle by top",
        "init Handle2 Handle by top",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
        "before Handle2",
        "after Handle2",
        "destroy Handle2",
    ]
    assert seen.ids == [events.ids("Handle")[0]]
    assert seen.triggers == [1]
    assert seen.resources == [handle]
    assert whence.execution_async_id() == 1


def test_a_timer_lives_once_and_what_it_calls_is_its_doing() -> None:
    with new_loop() as loop, record() as events:
        loop.call_later(0, loop.call_soon, loop.stop)
        loop.run_forever()
    assert story(events, "Handle", "TimerHandle") == [
        "init TimerHandle1 TimerHandle by top",
        "before TimerHandle1",
        "init Handle1 Handle by TimerHandle1",
        "after TimerHandle1",
        "destroy TimerHandle1",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
    ]


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at", "call_soon_threadsafe"])
def test_a_cancelled_callback_is_destroyed_at_once_and_only_once(method: str) -> None:
    with new_loop() as loop, record() as events:
        delay = {"call_later": (0,), "call_at": (loop.time(),)}.get(method, ())
        handle = getattr(loop, method)(*delay, print, "not to be seen")
        handle.cancel()
        (async_id,) = events.ids()
        assert events.names(async_id) == ["init", "destroy"]
        handle.cancel()
        loop.call_soon(loop.stop)
        loop.run_forever()
        handle.cancel()
        assert events.names(async_id) == ["init", "destroy"]


def test_a_callback_that_cancels_itself_is_destroyed_once() -> None:
    with new_loop() as loop, record() as events:
        handles: list[asyncio.Handle] = []
        handles.append(loop.call_soon(lambda: handles[0].cancel()))
        handles.append(loop.call_later(0, lambda: handles[1].cancel()))
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        for handle in handles:
            handle.cancel()
    first, second, _ = events.ids()
    for async_id in (first, second):
        names = events.names(async_id)
        assert sorted(names) == ["after", "before", "destroy", "init"]
        assert names[:2] == ["init", "before"]


def test_a_failing_callback_ends_as_any_other_and_its_handler_executes_as_it() -> None:
    seen = Executing()
    with new_loop() as loop, record() as events:
        loop.set_exception_handler(lambda loop, context: seen())
        loop.call_soon(divmod, 1, 0)
        loop.call_soon(loop.stop)
        loop.run_forever()
    failing = events.ids("Handle")[0]
    assert events.names(failing) == ["init", "before", "after", "destroy"]
    assert seen.ids == [failing]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_callback_that_ends_the_loop_restores_the_top_level(error: type[BaseException]) -> None:
    def leave() -> None:
        raise error

    with new_loop() as loop, record() as events:
        loop.call_soon(leave)
        with pytest.raises(error):
            loop.run_forever()
        assert whence.execution_async_id() == 1
    assert story(events, "Handle") == [
        "init Handle1 Handle by top",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
    ]


def test_a_callback_keeps_its_arguments_context_and_handle() -> None:
    import contextvars

    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    context = contextvars.copy_context()
    context.run(variable.set, 5)
    got: list[Any] = []

    def callback(*args: Any) -> None:
        got.append((variable.get(), args))

    with new_loop() as loop, record():
        handle = loop.call_soon(callback, 1, [], context=context)
        timer = loop.call_later(0, callback, 2, context=context)
        assert (handle._callback, handle._args) == (callback, (1, []))  # type: ignore[attr-defined]
        assert isinstance(handle, asyncio.Handle)
        assert isinstance(timer, asyncio.TimerHandle)
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
    assert got == [(5, (1, [])), (5, (2,))]


def test_timers_that_compare_equal_are_two_resources() -> None:
    with new_loop() as loop, record() as events:
        when = loop.time()
        first, second = loop.call_at(when, int), loop.call_at(when, int)
        assert first == second
        second.cancel()
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
    kept, cancelled, _ = events.ids("TimerHandle")
    assert events.names(kept) == ["init", "before", "after", "destroy"]
    assert events.names(cancelled) == ["init", "destroy"]


def test_a_callback_from_a_thread_is_that_threads_doing() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = Executing()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(seen,))
        thread.start()
        await until(lambda: seen.ids)
        thread.join()

    events = run_recorded(main)
    thread = events.ids("Thread")[0]
    handles = [i for i in events.ids("Handle") if events.trigger_of(i) == thread]
    assert [events.names(i) for i in handles] == [["init", "before", "after", "destroy"]]


def test_a_method_bound_before_the_first_hook_is_followed_too() -> None:
    with new_loop() as loop:
        call_soon, call_later = loop.call_soon, loop.call_later
        with record() as events:
            call_soon(int)
            call_later(0, loop.stop)
            loop.run_forever()
    assert story(events, "Handle", "TimerHandle") == [
        "init Handle1 Handle by top",
        "init TimerHandle1 TimerHandle by top",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
        "before TimerHandle1",
        "after TimerHandle1",
        "destroy TimerHandle1",
    ]


def test_a_hook_enabled_in_the_middle_of_a_loop_sees_what_comes_from_then_on() -> None:
    hook, events = listening()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(hook.enable)
        loop.call_soon(int)
        loop.call_soon(lambda: loop.call_soon(int))
        await turns()
        loop.call_soon(hook.disable)
        loop.call_soon(int)
        await turns()
        loop.call_soon(int)
        await turns()

    asyncio.run(main())
    assert story(events, "Handle") == [
        "init Handle1 Handle by top",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
        "init Handle2 Handle by Task1",
        "init Handle3 Handle by Task1",
        "before Handle2",
    ]


def test_a_hook_disabled_before_its_callback_runs_hears_no_more() -> None:
    with new_loop() as loop:
        with record() as events:
            loop.call_soon(int)
            timer = loop.call_later(10, int)
        loop.call_soon(loop.stop)
        loop.run_forever()
        timer.cancel()
    assert story(events, "Handle", "TimerHandle") == [
        "init Handle1 Handle by top",
        "init TimerHandle1 TimerHandle by top",
    ]


def test_what_was_made_under_one_hook_is_told_to_the_next() -> None:
    late, events = listening()
    with new_loop() as loop, record() as all_events:
        loop.call_soon(late.enable)
        loop.call_soon(int)
        loop.call_soon(loop.stop)
        loop.run_forever()
        late.disable()
    enabling, middle, _ = all_events.ids("Handle")
    assert told(events.of(enabling, middle), enabling=enabling, middle=middle) == [
        "after enabling",
        "destroy enabling",
        "before middle",
        "after middle",
        "destroy middle",
    ]


def test_callbacks_left_in_a_loop_that_closes_are_destroyed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with record() as events:
        loop = asyncio.new_event_loop()
        loop.call_soon(int)
        loop.call_later(10, int)
        loop.add_reader(pair[0], int)
        loop.add_writer(pair[0], int)
        if threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(signal.SIGUSR1, int)
        loop.close()
        left = [i for i in events.ids() if "destroy" not in events.names(i)]
        assert left == []
        loop.close()
        assert [events.names(i).count("destroy") for i in events.ids()] == [1] * 6


def test_a_loop_that_cannot_close_keeps_its_callbacks() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(10, int)
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()
        timer.cancel()

    events = run_recorded(main)
    assert story(events, "TimerHandle") == [
        "init TimerHandle1 TimerHandle by Task1",
        "destroy TimerHandle1",
    ]


def test_what_is_executing_is_kept_apart_for_each_of_several_loops_in_threads() -> None:
    seen: dict[str, Executing] = {name: Executing() for name in "abc"}

    def run(name: str) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            for _ in range(20):
                loop.call_soon(seen[name])
                loop.call_later(0, seen[name])
                await asyncio.sleep(0)

        asyncio.run(main())

    threads = [threading.Thread(target=run, args=(name,), name=name) for name in seen]
    with record() as events:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(events.ids()) == len(set(events.ids()))
    threads_of = set()
    for notes in seen.values():
        assert len(notes.ids) >= 20
        assert len(set(notes.ids)) == len(notes.ids)
        (task,) = set(notes.triggers)
        assert events.type_of(task) == "Task"
        threads_of.add(events.trigger_of(task))
    assert {events.type_of(thread) for thread in threads_of} == {"Thread"}
    assert len(threads_of) == 3


def test_everything_is_put_back_when_the_last_hook_goes() -> None:
    from asyncio import events, selector_events, unix_events

    loop = selector_events.BaseSelectorEventLoop
    unix = unix_events._UnixSelectorEventLoop
    places: list[tuple[Any, str]] = [
        (events, "Handle"),
        (events, "TimerHandle"),
        (loop, "_add_reader"),
        (loop, "_add_writer"),
        (unix, "add_signal_handler"),
        (unix, "remove_signal_handler"),
    ]
    before = [vars(owner)[name] for owner, name in places]
    with record():
        during = [vars(owner)[name] for owner, name in places]
        replaced = [a is not b for a, b in zip(before, during, strict=True)]
        assert replaced == [not handle_classes.keeps_stock] * 2 + [True] * 4
    after = [vars(owner)[name] for owner, name in places]
    assert all(a is b for a, b in zip(before, after, strict=True))


def test_a_callback_that_is_a_partial_or_an_object_is_called_as_it_is() -> None:
    got: list[Any] = []

    class Callable:
        def __call__(self, *args: Any) -> None:
            got.append(args)

    with new_loop() as loop, record() as events:
        loop.call_soon(partial(got.append, 1))
        loop.call_soon(Callable(), 2)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert got == [1, (2,)]
    assert len(events.ids("Handle")) == 3


def test_events_come_in_legal_order_for_whatever_runs() -> None:
    def check(events: Events) -> None:
        stack: list[int] = []
        for event in events:
            if event[0] == "before":
                stack.append(event[1])
            elif event[0] == "after":
                assert stack.pop() == event[1]
        assert stack == []
        for async_id in events.ids():
            names = events.names(async_id)
            assert names[0] == "init"
            assert names.count("destroy") == 1

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(int))
        loop.call_later(0, int).cancel()
        await asyncio.gather(*(asyncio.sleep(0.001 * n) for n in range(5)))

    check(run_recorded(main))
