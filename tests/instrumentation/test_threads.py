"""Threads: from start() to the end of run(); timers, subclasses, and runs of the program's own."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from stories import Executing, story

import whence
from telling import collector_off, listening, recorded
from whence.engine import local, open_lifetimes, recorder, ring
from whence.instrumentation.patching import is_patched
from whence.testing import record

ONE_RUN = ["init", "before", "after", "destroy"]


def run(thread: threading.Thread) -> threading.Thread:
    thread.start()
    thread.join()
    return thread


class OwnRun(threading.Thread):
    """Has a run() that calls no other."""

    def __init__(self, target: Callable[[], Any]) -> None:
        super().__init__()
        self.called = target

    def run(self) -> None:
        self.called()


class CallingRun(threading.Thread):
    """Has a run() that calls the one it overrides."""

    def run(self) -> None:
        super().run()


def set_on_the_thread(target: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread()
    thread.run = target  # type: ignore[method-assign]
    return thread


KINDS: dict[str, Callable[[Callable[[], Any]], threading.Thread]] = {
    "target": lambda target: threading.Thread(target=target),
    "own run": OwnRun,
    "run that calls the one it overrides": lambda target: CallingRun(target=target),
    "inherited run": lambda target: type("Younger", (OwnRun,), {})(target),
    "run set on the thread": set_on_the_thread,
    "daemon": lambda target: threading.Thread(target=target, daemon=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_thread_runs_as_itself_and_is_its_starters_doing(kind: str) -> None:
    """SEMANTICS 6, the row of Thread."""
    seen = Executing()
    with record() as events:
        thread = run(KINDS[kind](seen))
    (async_id,) = events.ids("Thread")
    assert (seen.ids, seen.triggers, seen.resources) == ([async_id], [1], [thread])
    assert story(events, "Thread") == [
        "init Thread1 Thread by top",
        "before Thread1",
        "after Thread1",
        "destroy Thread1",
    ]
    assert whence.execution_async_id() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_thread_ends_before_it_is_joined(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEMANTICS 6, the row of Thread: destroyed before join() returns."""
    hooked: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: hooked.append(args.exc_value))

    def fail() -> None:
        raise ValueError("on purpose")

    with record() as events:
        thread = KINDS[kind](fail)
        thread.start()
        thread.join()
        (async_id,) = events.ids("Thread")
        assert events.names(async_id) == ONE_RUN
    assert [str(error) for error in hooked] == ["on purpose"]


def test_a_timer_is_a_timer_and_no_thread_as_well() -> None:
    """SEMANTICS 6, the row of Timer."""
    seen = Executing()
    with record() as events:
        run(threading.Timer(0, seen))
    assert events.ids("Thread") == []
    assert story(events, "Timer") == [
        "init Timer1 Timer by top",
        "before Timer1",
        "after Timer1",
        "destroy Timer1",
    ]
    assert seen.ids == events.ids("Timer")


def test_a_cancelled_timer_ends() -> None:
    with record() as events:
        timer = threading.Timer(60, print)
        timer.start()
        timer.cancel()
        timer.join()
    assert events.names(events.ids("Timer")[0]) == ONE_RUN


def test_threads_started_by_threads_form_a_chain() -> None:
    """SEMANTICS 6.14."""
    with record() as events:
        run(threading.Thread(target=lambda: run(threading.Thread(target=int))))
    outer, inner = events.ids("Thread")
    assert events.chain(inner) == [inner, outer, 1]


def test_a_thread_that_is_started_twice_is_one() -> None:
    with record() as events:
        thread = run(threading.Thread())
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()
    assert [events.names(i) for i in events.ids("Thread")] == [ONE_RUN]


def test_a_thread_that_cannot_start_is_destroyed_and_may_start_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("can't start new thread")

    with record() as events:
        for kind in ("target", "run set on the thread"):
            thread = KINDS[kind](int)
            own_run = vars(thread).get("run")
            with monkeypatch.context() as patch:
                for name in ("_start_new_thread", "_start_joinable_thread"):
                    if hasattr(threading, name):
                        patch.setattr(threading, name, refuse)
                with pytest.raises(RuntimeError, match="can't start new thread"):
                    thread.start()
            assert vars(thread).get("run") is own_run
            assert "_whence" not in vars(thread)
            run(thread)
    assert [events.names(i) for i in events.ids("Thread")] == [["init", "destroy"], ONE_RUN] * 2


def test_a_thread_that_was_never_made_properly_says_so_as_ever() -> None:
    class Forgetful(threading.Thread):
        def __init__(self) -> None: ...

    with record() as events, pytest.raises(RuntimeError, match="not called"):
        Forgetful().start()
    assert events == []


def test_what_a_thread_shows_is_as_it_was_once_it_runs() -> None:
    def own_run() -> None:
        shown.append(vars(threading.current_thread()).get("run"))

    shown: list[Any] = []
    with record():
        thread = set_on_the_thread(own_run)
        run(thread)
        plain = run(threading.Thread(target=int))
    assert shown == [own_run]
    assert vars(thread)["run"] is own_run
    assert "_whence" not in {*vars(thread), *vars(plain)}


def test_threads_do_not_outlive_their_owners() -> None:
    with record(), collector_off():
        for kind in KINDS.values():
            thread = kind(int)
            reference = weakref.ref(thread)
            run(thread)
            del thread
            assert reference() is None
        never_started = threading.Thread(target=partial(int))
        reference = weakref.ref(never_started)
        del never_started
        assert reference() is None


def test_run_is_patched_at_first_sight_where_it_is_defined_and_put_back() -> None:
    class Base(threading.Thread):
        def run(self) -> None: ...

    class Derived(Base):
        pass

    before = {cls: vars(cls).get("run") for cls in (threading.Thread, Base, Derived)}
    start = vars(threading.Thread)["start"]
    with record():
        assert vars(threading.Thread)["start"] is not start
        run(Derived())
        assert is_patched(vars(Base)["run"])
        assert "run" not in vars(Derived)
    assert {cls: vars(cls).get("run") for cls in before} == before
    assert vars(threading.Thread)["start"] is start


def test_a_class_of_threads_that_is_dropped_is_collected() -> None:
    def short_lived() -> type[threading.Thread]:
        class Short(threading.Thread):
            def run(self) -> None:
                super().run()

        return Short

    with record():
        cls = short_lived()
        run(cls())
        reference = weakref.ref(cls)
        del cls
        gc.collect()
        assert reference() is None


def test_a_run_that_something_else_has_wrapped_is_followed_through_it() -> None:
    from wrapt import FunctionWrapper

    calls: list[str] = []

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        calls.append(type(instance).__name__)
        return wrapped(*args, **kwargs)

    class Wrapped(OwnRun):
        run = FunctionWrapper(OwnRun.run, wrapper)

    seen = Executing()
    with record() as events:
        run(Wrapped(seen))
    assert calls == ["Wrapped"]
    assert seen.ids == events.ids("Thread")
    assert [events.names(i) for i in events.ids("Thread")] == [ONE_RUN]
    assert isinstance(vars(Wrapped)["run"], FunctionWrapper)


def test_a_start_that_sets_a_run_on_the_thread_as_agents_do() -> None:
    """Some agents replace `run` on each thread in a start() of theirs, over ours or below it."""

    def patched_start(self: threading.Thread) -> None:
        old_run = type(self).run

        def new_run() -> None:
            calls.append("theirs")
            old_run(self)

        self.run = new_run  # type: ignore[method-assign]
        original(self)

    calls: list[str] = []
    seen = Executing()
    with record() as events:
        original = threading.Thread.start
        threading.Thread.start = patched_start  # type: ignore[method-assign]
        try:
            run(threading.Thread(target=seen))
        finally:
            threading.Thread.start = original  # type: ignore[method-assign]
    assert calls == ["theirs"]
    assert seen.ids == events.ids("Thread")
    assert [events.names(i) for i in events.ids("Thread")] == [ONE_RUN]


def test_a_hook_enabled_while_a_thread_runs_sees_nothing_of_it() -> None:
    hook, events = listening()
    started, gate = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        gate.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    started.wait(10)
    with hook:
        gate.set()
        thread.join()
    assert events == []


def test_a_hook_disabled_while_a_thread_runs_hears_no_more() -> None:
    hook, events = listening()
    started, gate = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        gate.wait(10)

    with hook:
        thread = threading.Thread(target=work)
        thread.start()
        started.wait(10)
    gate.set()
    thread.join()
    assert events.names(events.ids("Thread")[0]) == ["init", "before"]


def test_the_agents_own_threads_and_what_they_start_are_told_to_nobody() -> None:
    def own() -> None:
        run(threading.Thread(target=int))
        asyncio.run(asyncio.sleep(0))

    with record() as events:
        local.state.muted = True
        try:
            thread = threading.Thread(target=own)
            thread.start()
        finally:
            local.state.muted = False
        thread.join()
    assert [e for e in events if e[0] == "init" and e[2] == "Thread"] == []


def test_leaving_by_sys_exit_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        try:
            run(threading.Thread(target=exit, args=(3,)))
        finally:
            recorder.min_duration = before
        (span,) = (span for span in ring.drain(100) if span.type.name == "Thread")
        assert (span.outcome, span.error) == ("done", None)
        assert open_lifetimes == {}


def test_a_failure_is_recorded_with_the_name_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)

    def fail() -> None:
        raise ValueError("on purpose")

    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        try:
            run(threading.Thread(target=fail))
        finally:
            recorder.min_duration = before
        (span,) = (span for span in ring.drain(100) if span.type.name == "Thread")
    assert (span.outcome, span.error) == ("failed", ("ValueError", "on purpose"))
    assert span.name is not None
    assert span.name.endswith("fail")


def test_many_threads_started_and_never_started_leave_nothing_open() -> None:
    with recorded():
        threads = [threading.Thread(target=int) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert open_lifetimes == {}
        ring.clear()
