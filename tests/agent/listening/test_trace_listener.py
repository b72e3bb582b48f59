"""on_trace(): which traces are given, when, where, and what a callback cannot break."""

import asyncio
import os
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import whence
from launching import Launcher
from lives import Lives
from receivers import HttpReceiver
from seen import spans_of
from whence import Trace, TraceListener, engine, on_trace
from whence.background import REFUSED, Background
from whence.listening import trace_listener as module
from whence.sending import pipeline


@pytest.fixture(autouse=True)
def unheard() -> Iterator[None]:
    yield
    whence.detach()
    for listener in pipeline.listeners():
        listener.stop(0)
    assert not engine.recorder.on


async def work(*names: str) -> None:
    """A task for each name, of a bit more than a millisecond each."""
    for name in names:

        async def pause() -> None:
            await asyncio.sleep(0.002)

        pause.__qualname__ = name
        await asyncio.create_task(pause())


def run(*names: str) -> None:
    asyncio.run(work(*names))


def names(trace: Trace) -> list[str]:
    return [span.name for span in trace.spans if span.type == "Task"]


class Heard:
    """A callback that lists traces."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []
        self.threads: set[int] = set()
        self.arrived = threading.Condition()

    def __call__(self, trace: Trace) -> None:
        with self.arrived:
            self.traces.append(trace)
            self.threads.add(threading.get_ident())
            self.arrived.notify_all()

    def wait_for(self, number: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.traces) >= number, 20)

    @property
    def names(self) -> list[list[str]]:
        return [names(trace) for trace in self.traces]


@pytest.fixture
def heard() -> Heard:
    return Heard()


# Alone, and beside the agent


def test_without_the_agent_every_finished_trace_is_given(heard: Heard) -> None:
    with on_trace(heard):
        assert not whence.attached()
        run("a", "b")
        run("c")
    assert heard.names == [["task work", "task a", "task b"], ["task work", "task c"]]
    assert all(trace.is_complete for trace in heard.traces)


def test_stopped_nothing_is_recorded_or_patched_any_more(heard: Heard) -> None:
    listener = on_trace(heard)
    assert engine.instrumented()
    listener.stop()
    listener.stop()
    assert not engine.instrumented()
    assert not engine.recorder.on
    run("a")
    assert heard.traces == []


def test_while_the_program_runs_a_trace_is_given_a_moment_after_its_end(heard: Heard) -> None:
    listener = on_trace(heard)
    run("a")
    heard.wait_for(1)
    assert heard.names == [["task work", "task a"]]
    listener.stop()


def test_of_many_traces_at_once_each_is_given_once_and_whole(heard: Heard) -> None:
    """Each root ends before what it started, which starts something more when it ends."""
    started: list[asyncio.Task[None]] = []

    def start(coroutine: Coroutine[Any, Any, None]) -> None:
        started.append(asyncio.get_running_loop().create_task(coroutine))

    async def visit() -> None:
        await asyncio.sleep(0.002)
        start(afterwards(2))

    async def afterwards(more: int) -> None:
        await asyncio.sleep(0.002 * more)
        if more > 1:
            start(afterwards(more - 1))

    async def main() -> None:
        for _ in range(20):
            for _ in range(15):
                start(visit())
            await asyncio.sleep(0.001)
        for task in started:  # more are added meanwhile
            await task

    whence.attach(export="none", exclude=("name:*main",), min_duration=0)
    with on_trace(heard):
        asyncio.run(main())
    visits = [trace for trace in heard.traces if trace.root.name == "task visit"]
    assert len(visits) == 300
    assert all(trace.is_complete for trace in visits)
    whole = ["task afterwards", "task afterwards", "task visit", *["timer sleep"] * 3]
    assert {tuple(sorted(span.name for span in trace.spans)) for trace in visits} == {tuple(whole)}


def test_each_of_several_listeners_is_given_all(heard: Heard) -> None:
    other = Heard()
    with on_trace(heard):
        with on_trace(other):
            run("a")
        run("b")
    assert (len(heard.traces), len(other.traces)) == (2, 1)


def test_it_is_given_what_is_not_exported(heard: Heard) -> None:
    whence.attach(export="none", sample=0)
    with on_trace(heard):
        run("a")
    assert heard.names == [["task work", "task a"]]
    assert heard.traces[0].trace_id is None
    assert whence.attached()
    assert engine.recorder.on
    assert pipeline.counts().sent == 0


def test_beside_an_exporter_both_are_given_all(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whence.attach(output=str(tmp_path / "spans.jsonl"))
    with on_trace(heard):
        run("a")
    whence.detach()
    assert heard.names == [["task work", "task a"]]
    exported = (tmp_path / "spans.jsonl").read_text()
    assert '"task a"' in exported
    assert f'"traceId":"{heard.traces[0].trace_id}"' in exported


def test_an_agent_that_comes_later_exports_what_comes_later(heard: Heard, tmp_path: Path) -> None:
    with on_trace(heard):
        run("before")
        whence.attach(output=str(tmp_path / "spans.jsonl"))
        run("after")
        whence.detach()
        run("detached")
    assert heard.names == [
        ["task work", f"task {name}"] for name in ("before", "after", "detached")
    ]
    exported = (tmp_path / "spans.jsonl").read_text()
    assert '"task after"' in exported
    assert '"task detached"' not in exported


def test_the_filters_hold(heard: Heard) -> None:
    whence.attach(export="none", exclude="name:a", types="Task")
    with on_trace(heard):
        run("a", "b")
    (trace,) = heard.traces
    assert [span.name for span in trace.spans] == ["task work", "task b"]


def test_where_the_agent_is_switched_off_nothing_is_recorded(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_DISABLED", "1")
    with on_trace(heard):
        assert not engine.recorder.on
        run("a")
    assert heard.traces == []


def test_a_wrong_variable_is_named_and_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHENCE_SEGMENT", "soon")
    with pytest.raises(ValueError, match="WHENCE_SEGMENT: expected a number of seconds"):
        on_trace(print)
    assert pipeline.listeners() == ()
    assert not engine.recorder.on


@pytest.mark.parametrize("callback", [None, "print", 5])
def test_a_callback_that_cannot_be_called_is_refused(callback: Any) -> None:
    with pytest.raises(TypeError, match=f"expected a callable as the callback, not {callback!r}"):
        on_trace(callback)


def test_a_coroutine_function_as_callback_is_refused() -> None:
    async def tell(trace: Trace) -> None:
        """Nobody would await it."""

    with pytest.raises(TypeError, match="expected a plain function, not the coroutine function"):
        on_trace(tell)


# Where it is called


def test_it_is_called_in_one_thread_at_a_time_that_nobody_sees(heard: Heard) -> None:
    seen: list[threading.Thread] = []

    def look(trace: Trace) -> None:
        seen.extend(threading.enumerate())
        heard(trace)

    threads = threading.enumerate()
    with on_trace(look):
        run("a")
        assert threading.enumerate() == threads
    assert threading.get_ident() not in heard.threads
    assert seen == threads


def test_threads_and_jobs_that_a_callback_starts_are_in_no_trace(heard: Heard) -> None:
    worked = threading.Event()

    def work_too(trace: Trace) -> None:
        heard(trace)
        thread = threading.Thread(target=time.sleep, args=(0.002,))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(time.sleep, 0.002).result()
        worked.set()

    with on_trace(work_too):
        run("a")
        assert worked.wait(20)
    assert heard.names == [["task work", "task a"]]


def test_what_a_callback_has_a_loop_do_is_traced_like_anything_else(heard: Heard) -> None:
    async def main() -> None:
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        def tell(trace: Trace) -> None:
            heard(trace)
            if len(heard.traces) == 1:
                asyncio.run_coroutine_threadsafe(work("b"), loop)
            else:
                loop.call_soon_threadsafe(told.set)

        with on_trace(tell):
            task = loop.create_task(work("a"))
            async with asyncio.timeout(20):
                await told.wait()
            await task

    whence.attach(export="none", exclude="name:*main")
    asyncio.run(main())
    assert heard.names == [["task work", "task a"], ["task work", "task b"]]


# What it cannot break


def test_an_error_is_printed_once_and_the_next_trace_is_given(
    heard: Heard, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(trace: Trace) -> None:
        heard(trace)
        raise SystemExit("no")

    with on_trace(broken):
        run("a")
        run("b")
    assert len(heard.traces) == 2
    err = capfd.readouterr().err
    assert err.count("broken failed; this is said once\nTraceback") == 1
    assert err.count('raise SystemExit("no")') == 1


def test_for_a_slow_callback_traces_are_dropped_and_counted(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The other one is given all of them meanwhile."""
    monkeypatch.setattr(module, "MOST_WAITING", 7)
    gate, entered = threading.Event(), threading.Event()
    slow: list[Trace] = []

    def wait(trace: Trace) -> None:
        entered.set()
        gate.wait(20)
        slow.append(trace)

    other = on_trace(heard)
    with on_trace(wait) as listener:
        run("first")
        assert entered.wait(20)
        for name in "abcd":
            run(name)
            pipeline.flush(20)
        heard.wait_for(5)
        gate.set()
    # The first is being given; each has 3 spans, and 7 may wait, so 2 do.
    assert listener.dropped == 2
    assert [names(trace)[1] for trace in slow] == ["task first", "task a", "task b"]
    assert other.dropped == 0
    other.stop()
    told = [line for line in capfd.readouterr().err.splitlines() if "too slow" in line]
    assert len(told) == 1
    assert "wait is too slow; traces are dropped" in told[0]


def test_stop_waits_for_no_longer_than_it_is_told(heard: Heard) -> None:
    gate, entered = threading.Event(), threading.Event()

    def hang(trace: Trace) -> None:
        entered.set()
        gate.wait(20)
        heard(trace)

    listener = on_trace(hang)
    run("a")
    assert entered.wait(20)
    run("b")
    pipeline.flush(20)
    listener.stop(0.2)
    assert listener.dropped == 1
    gate.set()
    heard.wait_for(1)
    assert heard.names == [["task work", "task a"]]


def test_a_callback_may_stop_its_own_listener(heard: Heard) -> None:
    def once(trace: Trace) -> None:
        heard(trace)
        listener.stop()

    listener = on_trace(once)
    run("a")
    heard.wait_for(1)
    run("b")
    assert heard.names == [["task work", "task a"]]
    # In its own thread, in which it may still be about to.
    until = time.monotonic() + 20
    while engine.recorder.on and time.monotonic() < until:
        time.sleep(0.001)
    assert pipeline.listeners() == ()


def test_at_the_very_end_it_is_called_in_the_thread_that_ends(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there are no more threads to be had."""
    monkeypatch.setattr(Background, "start", lambda self: REFUSED)
    called: list[tuple[int, bool]] = []
    listener = TraceListener(
        lambda trace: called.append((threading.get_ident(), engine.local.state.muted))
    )
    lives.live(2, "main")
    listener.put(lives.come_out(), has_all=True)
    listener.finish(20)
    assert called == [(threading.get_ident(), True)]
    assert not engine.local.state.muted
    assert listener.dropped == 0


def test_at_the_very_end_it_takes_no_longer_than_there_is_time_for(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(Background, "start", lambda self: REFUSED)

    def take_a_second(trace: Trace) -> None:
        now[0] += 1

    listener = TraceListener(take_a_second)
    for _ in range(5):
        lives.live(2, "main")
        listener.put(lives.come_out(), has_all=True)
    listener.finish(2.5)
    assert (now[0], listener.dropped) == (3, 2)


def test_at_the_very_end_an_interrupt_is_the_users(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Background, "start", lambda self: REFUSED)

    def interrupt(trace: Trace) -> None:
        raise KeyboardInterrupt

    listener = TraceListener(interrupt)
    lives.live(2, "main")
    listener.put(lives.come_out(), has_all=True)
    with pytest.raises(KeyboardInterrupt):
        listener.finish(2)
    assert not engine.local.state.muted


# Whole programs

LISTENS = """
    import asyncio
    import whence

    def tell(trace):
        names = [span.name for span in trace.spans if span.type == "Task"]
        print(*names, trace.root.outcome, trace.is_complete, sep=",", flush=True)

    listener = whence.on_trace(tell)

    async def never():
        await asyncio.get_running_loop().create_future()

    async def main():
        global kept
        kept = asyncio.create_task(never())
        await asyncio.sleep(0.005)
"""


def test_at_the_end_of_the_process_all_is_given_as_it_is(launch: Launcher) -> None:
    end = "\n    loop = asyncio.new_event_loop()\n    loop.run_until_complete(main())\n"
    ran = launch(launch.python, "-W", "ignore", launch.write("app.py", LISTENS + end))
    assert ran.out == "task main,task never,done,False\n", ran
    assert ran.code == 0


def test_a_callback_that_hangs_delays_the_end_by_two_seconds_at_the_most(
    launch: Launcher,
) -> None:
    source = """
        import asyncio, time, whence

        whence.on_trace(lambda trace: time.sleep(3600))
        asyncio.run(asyncio.sleep(0.005))
        print(time.monotonic(), flush=True)
    """
    child = launch.start(launch.python, launch.write("app.py", source))
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    ended = float(out)
    assert time.monotonic() - ended < 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_is_given_its_own(launch: Launcher) -> None:
    source = """
        import asyncio, os, sys, whence

        async def parent(): await asyncio.sleep(0.005)
        async def child(): await asyncio.sleep(0.005)

        def tell(trace):
            print(os.getpid() == first, trace.root.name, trace.is_complete, flush=True)

        first = os.getpid()
        whence.on_trace(tell)
        asyncio.run(parent())
        pid = os.fork()
        if not pid:
            asyncio.run(child())
            sys.exit()
        os.waitpid(pid, 0)
    """
    ran = launch(launch.python, "-W", "error", launch.write("app.py", source))
    assert (ran.code, ran.err) == (0, "")
    assert sorted(ran.out.splitlines()) == ["False task child True", "True task parent True"]


def test_under_whence_run_the_program_may_listen_too(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    source = LISTENS + "\n    asyncio.run(main())\n"
    app = launch.write("app.py", source)
    ran = launch.run("-q", "--endpoint", http_receiver.url, app)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "task main,task never,done,True\n", ran
    exported = spans_of(http_receiver.received.requests)
    assert sorted(span.name for span in exported) == ["task main", "task never", "timer sleep"]
