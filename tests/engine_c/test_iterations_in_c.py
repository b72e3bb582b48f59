"""`_run_once` in C: what a program sees of an iteration is what asyncio's own shows it."""

import asyncio
import itertools
import selectors
import signal
import socket
import sys
import time
import traceback
from asyncio import base_events, selector_events
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from whence.engine import handles, iterations, twin
from whence.testing import record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)
if sys.platform != "linux":
    pytest.skip("there is no epoll", allow_module_level=True)

Log = list[Any]


@pytest.fixture
def loop() -> Iterator[Any]:
    with record():
        made = asyncio.SelectorEventLoop()
        yield made
        made.close()


def run(loop: Any) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


def alike(scenario: Callable[[Any, Log], None]) -> Log:
    """What the scenario logs, on a loop of asyncio's and on one whose iterations are ours."""
    logs: list[Log] = []
    for context in (nullcontext, record):
        with context():
            loop = asyncio.SelectorEventLoop()
            log: Log = []
            scenario(loop, log)
            loop.close()
            logs.append(log)
    assert logs[0] == logs[1]
    assert logs[0]
    return logs[1]


def test_this_pythons_iteration_is_known() -> None:
    assert iterations.are_known()
    assert "_run_once" in handles.LOOP_METHODS


def test_a_function_that_looks_up_anything_else_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def select(self: Any, timeout: Any = None) -> Any:
        return self.another_way(timeout)

    monkeypatch.setattr(selectors.EpollSelector, "select", select)
    assert not iterations.are_known()


# -- the order of things -------------------------------------------------------------------------


def test_callbacks_timers_and_sockets_take_turns_as_with_asyncio() -> None:
    def scenario(loop: Any, log: Log) -> None:
        left, right = socket.socketpair()
        left.setblocking(False)

        def readable() -> None:
            log.append(("read", left.recv(1)))
            if len(log) < 60:
                loop.call_soon(log.append, "after reading")
                loop.call_later(-1, log.append, "late timer")
                right.send(b"y")
            else:
                loop.remove_reader(left)
                loop.stop()

        def writable() -> None:
            log.append("write")
            loop.remove_writer(left)

        loop.add_reader(left, readable)
        loop.add_writer(left, writable)
        right.send(b"x")
        loop.run_forever()
        left.close()
        right.close()

    assert alike(scenario).count("late timer") > 10


def test_what_joins_the_queue_waits_for_the_next_iteration() -> None:
    def scenario(loop: Any, log: Log) -> None:
        def again(level: int) -> None:
            log.append(level)
            if level < 3:
                loop.call_soon(again, level + 1)
                loop.call_soon(again, level + 1)

        loop.call_soon(again, 0)
        for _ in range(5):
            run(loop)
            log.append("iteration")

    alike(scenario)


def test_cancelled_timers_leave_the_heap_and_are_counted_as_with_asyncio() -> None:
    def scenario(loop: Any, log: Log) -> None:
        timers = [loop.call_at(when, log.append, when) for when in range(20)]
        for timer in timers[:5] + timers[10:15]:
            timer.cancel()
        later = [loop.call_later(1000 + number, int) for number in range(200)]
        run(loop)
        log.append((loop._timer_cancelled_count, len(loop._scheduled)))
        for cancelled in (0, 99, 101, 200):
            for timer in later[:cancelled]:
                timer.cancel()
            run(loop)
            log.append((cancelled, loop._timer_cancelled_count, len(loop._scheduled)))
        log.append([timer._scheduled for timer in timers + later])

    alike(scenario)


def test_a_loop_that_counts_cancelled_timers_itself_is_told(loop: Any) -> None:
    told: Log = []

    class Own(type(loop)):  # type: ignore[misc]
        def _timer_handle_cancelled(self, handle: Any) -> None:
            told.append("class")
            super()._timer_handle_cancelled(handle)

    own: Any = Own()
    own.call_later(1000, int).cancel()
    own._timer_handle_cancelled = lambda handle: told.append("instance")
    own.call_later(1000, int).cancel()
    assert told == ["class", "instance"]
    assert own._timer_cancelled_count == 1
    own._timer_cancelled_count = 2
    run(own)
    assert own._timer_cancelled_count == 0
    own.close()


def test_a_cancelled_callback_is_left_out_and_the_next_one_runs() -> None:
    def scenario(loop: Any, log: Log) -> None:
        second: Any = None
        loop.call_soon(lambda: second.cancel())
        second = loop.call_soon(log.append, "second")
        loop.call_soon(log.append, "third")
        run(loop)

    assert alike(scenario) == ["third"]


def test_a_reader_that_another_callback_removes_is_not_called() -> None:
    def scenario(loop: Any, log: Log) -> None:
        pairs = [socket.socketpair() for _ in range(2)]

        def readable(number: int) -> None:
            log.append("one of them")
            for left, _ in pairs:
                loop.remove_reader(left)

        for number, (left, right) in enumerate(pairs):
            loop.add_reader(left, readable, number)
            right.send(b"x")
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        for pair in pairs:
            for end in pair:
                end.close()

    assert alike(scenario) == ["one of them"]


def test_a_reader_cancelled_behind_the_loops_back_is_removed(loop: Any) -> None:
    left, right = socket.socketpair()
    with left, right:
        handle = loop._add_reader(left, int)
        handle.cancel()
        right.send(b"x")
        run(loop)
        assert loop.remove_reader(left) is False


def test_what_is_registered_by_others_fails_as_with_asyncio() -> None:
    def scenario(loop: Any, log: Log) -> None:
        left, right = socket.socketpair()
        loop._selector.register(left, selectors.EVENT_READ, "no pair of handles")
        right.send(b"x")
        with pytest.raises(ValueError, match="unpack") as raised:
            run(loop)
        log.append(str(raised.value))
        loop._selector.unregister(left)
        left.close()
        right.close()

    alike(scenario)


def test_what_a_callback_raises_leaves_the_rest_of_the_queue() -> None:
    def scenario(loop: Any, log: Log) -> None:
        def leave() -> None:
            sys.exit("left")

        loop.call_soon(log.append, "before")
        loop.call_soon(leave)
        loop.call_soon(log.append, "after")
        with pytest.raises(SystemExit, match="left"):
            loop.run_forever()
        log.append(len(loop._ready))
        run(loop)

    assert alike(scenario) == ["before", 1, "after"]


# -- what is not as asyncio has it ---------------------------------------------------------------

OVERRIDDEN = ("_process_events", "_add_callback", "time", "_run_once")


def overriding(name: str, log: Log, original: Any) -> Any:
    def own(self: Any, *args: Any) -> Any:
        log.append(name)
        return original(self, *args)

    return own


def busy(loop: Any) -> None:
    """A run that needs all of it."""
    left, right = socket.socketpair()
    with left, right:
        loop.add_reader(left, loop.stop)
        loop.call_later(0, int)
        loop.call_later(1000, int).cancel()
        right.send(b"x")
        loop.run_forever()
        loop.remove_reader(left)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_a_class_that_overrides_a_method_is_asked(name: str) -> None:
    log: Log = []
    stock = asyncio.SelectorEventLoop
    with record():
        own: Any = type("Own", (stock,), {name: overriding(name, log, getattr(stock, name))})()
        log.clear()
        busy(own)
        own.close()
    assert log


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_a_loop_with_a_method_of_its_own_is_asked(loop: Any, name: str) -> None:
    log: Log = []
    original = getattr(type(loop), name)
    setattr(loop, name, lambda *args: log.append(name) or original(loop, *args))
    busy(loop)
    assert log


@pytest.mark.parametrize("name", ["_process_events", "_add_callback", "time"])
def test_a_class_that_is_patched_later_is_asked(
    loop: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    log: Log = []
    busy(loop)
    owner = next(owner for owner in type(loop).__mro__ if name in vars(owner))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, overriding(name, log, vars(owner)[name]))
        busy(loop)
    assert log
    log.clear()
    busy(loop)
    assert not log


@pytest.mark.parametrize("selector", [selectors.SelectSelector, selectors.PollSelector])
def test_another_selector_is_asked(selector: Any) -> None:
    with record():
        loop = asyncio.SelectorEventLoop(selector())
        busy(loop)
        loop.close()


def test_a_selector_that_selects_in_its_own_way_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: Log = []
    stock = selectors.EpollSelector.select

    class Own(selectors.EpollSelector):
        def select(self, timeout: float | None = None) -> Any:
            log.append("class")
            return super().select(timeout)

    with record():
        loop: Any = asyncio.SelectorEventLoop(Own())
        busy(loop)
        loop.close()
        loop = asyncio.SelectorEventLoop()
        loop._selector.select = lambda timeout=None: (
            log.append("instance") or stock(loop._selector, timeout)
        )
        busy(loop)
        del loop._selector.select
        with monkeypatch.context() as patch:
            patch.setattr(selectors.EpollSelector, "select", overriding("patch", log, stock))
            busy(loop)
        asked = len(log)
        busy(loop)
        loop.close()
    assert set(log) == {"class", "instance", "patch"}
    assert len(log) == asked


@pytest.mark.parametrize("polled", [None, 5, [None], [(1,)], [("a", "b")], [(1, 2, 3)]])
def test_what_another_epoll_says_is_taken_as_asyncio_takes_it(polled: Any) -> None:
    """Whatever it is: where that fails, it fails alike, and the interpreter goes on."""

    class Epoll:
        def __init__(self, real: Any) -> None:
            self._real = real

        def poll(self, timeout: float, most: int) -> Any:
            return polled

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    def scenario(loop: Any, log: Log) -> None:
        real = loop._selector._selector
        loop._selector._selector = Epoll(real)
        try:
            run(loop)
        except Exception as error:
            log.append((type(error), str(error)))
        log.append("went on")
        loop._selector._selector = real

    alike(scenario)


@pytest.mark.parametrize("fields", [(), (1,), (1, 2, "no mask", (None, None)), (1, 2, 3, None)])
def test_a_key_of_the_programs_own_making_fails_as_with_asyncio(fields: tuple[Any, ...]) -> None:
    def scenario(loop: Any, log: Log) -> None:
        left, right = socket.socketpair()
        loop._selector.register(left, selectors.EVENT_READ, (None, None))
        keys = loop._selector._fd_to_key
        proper = keys[left.fileno()]
        keys[left.fileno()] = tuple.__new__(selectors.SelectorKey, fields)
        right.send(b"x")
        try:
            run(loop)
        except Exception as error:
            log.append(type(error))
        log.append("went on")
        keys[left.fileno()] = proper
        loop._selector.unregister(left)
        left.close()
        right.close()

    alike(scenario)


def test_a_clock_that_is_patched_is_read(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(time.monotonic(), 50)
    ran: Log = []
    loop.call_later(1000, ran.append, "a thousand seconds later")
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    while not ran:
        run(loop)
    assert ran


def test_a_clock_module_that_is_replaced_is_read(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        monotonic = staticmethod(lambda: time.monotonic() + 5000)

    ran: Log = []
    loop.call_later(1000, ran.append, "a thousand seconds later")
    monkeypatch.setattr(base_events, "time", Clock)
    run(loop)
    assert ran


def test_a_handle_of_the_programs_own_is_run(loop: Any) -> None:
    ran: Log = []

    class Own:
        _cancelled = False

        def _run(self) -> None:
            ran.append(self)

    cancelled, own = Own(), Own()
    cancelled._cancelled = True
    loop._ready.extend([cancelled, own])
    run(loop)
    assert ran == [own]


def test_a_timer_of_the_programs_own_is_due_at_its_time(loop: Any) -> None:
    class Own(asyncio.TimerHandle):
        """The program's."""

    ran: Log = []
    loop.call_later(0, ran.append, "ours")
    own: Any = Own(0, ran.append, ("its own",), loop)  # type: ignore[arg-type]
    loop._scheduled.insert(0, own)
    run(loop)
    assert ran == ["its own", "ours"]
    assert own._scheduled is False


def test_a_queue_of_another_kind_is_taken_from(loop: Any) -> None:
    class Queue(deque):  # type: ignore[type-arg]
        taken = 0

        def popleft(self) -> Any:
            self.taken += 1
            return super().popleft()

    loop._ready = Queue()
    run(loop)
    assert loop._ready.taken == 1


def test_debug_mode_begins_where_a_callback_switches_it_on(
    loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    loop.slow_callback_duration = 0
    loop.call_soon(loop.set_debug, True)
    loop.call_soon(int, "7")
    run(loop)
    loop.set_debug(False)
    assert "int" in caplog.text


def test_a_profiler_sees_asyncios_function(loop: Any) -> None:
    seen: set[str] = set()
    sys.setprofile(lambda frame, event, arg: seen.add(frame.f_code.co_name))
    try:
        run(loop)
    finally:
        sys.setprofile(None)
    assert {"_run_once", "select"} <= seen


# -- signals, and the end ------------------------------------------------------------------------


def test_a_signal_is_heard_while_callbacks_in_c_follow_each_other(loop: Any) -> None:
    turns = itertools.count()
    heard: Log = []
    many = 1_000_000
    queue = loop._ready
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(next(turns)))
    try:
        handle = loop.call_soon(turns.__next__)
        queue.extend([handle] * (many - 1))
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        run(loop)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert heard
    assert heard[0] < many


def test_a_wait_that_is_interrupted_is_left_and_the_loop_goes_on(loop: Any) -> None:
    class Interrupted(BaseException):
        """Of the program's handler."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(Interrupted):
            loop.run_forever()
    finally:
        signal.signal(signal.SIGALRM, before)
    busy(loop)


def test_asyncios_lines_stand_in_the_traceback_of_what_comes_through() -> None:
    """As they do without us, frame by frame and line by line."""

    class Left(BaseException):
        """Of the program's."""

    def leave(*_: object) -> None:
        raise Left

    def scenario(loop: Any, log: Log) -> None:
        before = signal.signal(signal.SIGALRM, leave)
        for prepare in (
            lambda: loop.call_soon(sys.exit, 1),
            lambda: signal.setitimer(signal.ITIMER_REAL, 0.01),
        ):
            prepare()
            with pytest.raises((Left, SystemExit)) as raised:
                loop.run_forever()
            log.append(
                [
                    (frame.f_code.co_name, line)
                    for frame, line in traceback.walk_tb(raised.value.__traceback__)
                ]
            )
        signal.signal(signal.SIGALRM, before)

    log = alike(scenario)
    assert [[name for name, _ in frames[-3:]] for frames in log] == [
        ["run_forever", "_run_once", "_run"],
        ["_run_once", "select", "leave"],
    ]


def test_a_loop_that_runs_in_a_callback_of_another_is_itself(loop: Any) -> None:
    log: Log = []
    other = asyncio.SelectorEventLoop()

    def nested() -> None:
        asyncio._set_running_loop(None)
        other.call_soon(log.append, "inner")
        run(other)
        asyncio._set_running_loop(loop)
        log.append("outer")

    loop.call_soon(nested)
    run(loop)
    other.close()
    assert log == ["inner", "outer"]


def test_the_very_function_is_back_when_nobody_listens() -> None:
    stock = vars(base_events.BaseEventLoop)["_run_once"]
    with record():
        assert vars(base_events.BaseEventLoop)["_run_once"] is handles.LOOP_METHODS["_run_once"]
    assert vars(base_events.BaseEventLoop)["_run_once"] is stock
    assert "_process_events" in vars(selector_events.BaseSelectorEventLoop)
