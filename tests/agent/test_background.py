"""Threads of ours: what the program sees of them, which is nothing."""

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from whence.background import RUNS, STARTED, Background, Signal, stay_unlisted
from whence.engine import local


class Body:
    """Runs until it is told to end."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ends = threading.Event()
        self.runs: list[tuple[int, bool]] = []

    def __call__(self) -> None:
        self.runs.append((threading.get_native_id(), local.state.muted))
        self.began.set()
        assert self.ends.wait(20)


@pytest.fixture
def body() -> Iterator[Body]:
    made = Body()
    yield made
    made.ends.set()


def test_it_runs_muted_and_is_on_no_list(body: Body) -> None:
    before = threading.enumerate()
    thread = Background(body)
    assert thread.start() is STARTED
    assert body.began.wait(20)
    assert [muted for _, muted in body.runs] == [True]
    assert threading.enumerate() == before
    assert thread.runs
    body.ends.set()
    assert thread.wait(20)
    assert not thread.runs


def test_it_is_none_of_those_that_python_counts(body: Body) -> None:
    """Test suites find by it what a test has left running."""
    before = _thread._count()
    thread = Background(body)
    thread.start()
    assert body.began.wait(20)
    assert _thread._count() == before
    own = threading.Thread(target=body.ends.wait)
    own.start()
    assert _thread._count() == before + 1, "but the program's are"
    body.ends.set()
    own.join()
    assert thread.wait(20)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signals for a thread")
@pytest.mark.parametrize("takes_signals", [False, True])
def test_signals_are_left_to_the_programs_threads(takes_signals: bool) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    blocked: set[int] = set()

    def look() -> None:
        blocked.update(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    thread = Background(look, takes_signals=takes_signals)
    thread.start()
    assert thread.wait(20)
    if takes_signals:
        assert blocked == before
    else:
        assert {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPROF} <= blocked
        assert signal.SIGSEGV not in blocked, "or faulthandler would have nothing to say"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_it_is_started_once_at_a_time_and_again(body: Body) -> None:
    thread = Background(body)
    assert thread.start() is STARTED
    assert thread.start() is RUNS
    body.ends.set()
    assert thread.wait(20)
    assert thread.start() is STARTED
    assert thread.wait(20)
    assert len(body.runs) == 2


def test_who_asks_for_the_current_thread_in_it_leaves_no_dummy_behind(body: Body) -> None:
    """Logging does, and gRPC."""
    seen: list[str] = []

    def asking() -> None:
        seen.append(type(threading.current_thread()).__name__)
        stay_unlisted()
        seen.append(str(len(threading.enumerate())))

    thread = Background(asking)
    thread.start()
    assert thread.wait(20)
    assert seen == ["_DummyThread", str(len(threading.enumerate()))]


def test_waiting_takes_no_longer_than_allowed(body: Body) -> None:
    thread = Background(body)
    thread.start()
    assert body.began.wait(20)
    assert not thread.wait(0.01)
    assert not thread.wait(-1)


def test_in_itself_there_is_nothing_to_wait_for() -> None:
    answers: list[bool] = []
    thread: Background
    thread = Background(lambda: answers.append(thread.wait(20)))
    thread.start()
    assert thread.wait(20)
    assert answers == [False]


@pytest.mark.skipif(sys.platform != "linux", reason="looks the thread up in /proc")
def test_before_a_fork_the_system_knows_it_no_more(body: Body) -> None:
    thread = Background(body)
    thread.start()
    assert body.began.wait(20)
    native_id = body.runs[0][0]
    assert os.path.exists(f"/proc/self/task/{native_id}")
    body.ends.set()
    thread.wait_until_gone(20)
    assert not os.path.exists(f"/proc/self/task/{native_id}")


def test_a_fork_waits_by_nothing_that_a_program_may_have_forbidden(
    body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As blockbuster does where a loop runs; uvloop forks there."""
    thread = Background(body)
    thread.start()
    assert body.began.wait(20)

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a blocking call")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", forbidden)
        patch.setattr(time, "sleep", forbidden)
        patch.setattr(Background, "wait", forbidden)
        body.ends.set()
        thread.wait_until_gone(20)
    assert not thread.runs


def test_a_signal_that_was_set_before_is_not_missed() -> None:
    signal = Signal()
    signal.set()
    signal.set()
    signal.wait(3600)
    signal.wait(0.01)
