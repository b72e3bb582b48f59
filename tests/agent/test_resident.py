"""A thread that begins with the first event, pauses for forks and ends when told."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import whence
from telling import recorded
from whence.background import Signal
from whence.engine.events import restart_in_child
from whence.resident import PAUSED, STOPPED, Resident


class Work:
    """What a resident does: wait for an order."""

    def __init__(self) -> None:
        self.woken = Signal()
        self.orders: list[str | None] = []
        self.began = threading.Semaphore(0)
        self.error: Exception | None = None
        self.resident = Resident("the work", self, self.woken.set)

    def __call__(self) -> None:
        self.began.release()
        if self.error is not None:
            raise self.error
        while self.resident.order is None:
            self.woken.wait(3600)
        self.orders.append(self.resident.order)

    def wait_for_begin(self) -> None:
        assert self.began.acquire(timeout=20)


@pytest.fixture
def work() -> Iterator[Work]:
    with recorded():
        made = Work()
        yield made
        made.resident.stop(time.monotonic() + 20)
        made.resident.wait()
        restart_in_child()


def event() -> None:
    asyncio.run(asyncio.sleep(0))


def test_it_begins_with_the_first_event(work: Work) -> None:
    work.resident.begin()
    assert work.resident.life == -1.0
    assert not work.began.acquire(blocking=False)
    event()
    work.wait_for_begin()
    assert work.resident.life > 0


def test_what_happens_before_a_loop_runs_does_not_begin_it(work: Work) -> None:
    work.resident.begin()
    for _ in range(3):
        whence.AsyncResource("X").run_in_async_scope(int)
    assert work.resident.life == -1.0
    event()
    work.wait_for_begin()


def test_it_is_gone_for_a_fork_and_comes_back_with_the_next_event(work: Work) -> None:
    work.resident.begin()
    event()
    work.wait_for_begin()
    work.resident.pause()
    assert work.orders == [PAUSED]
    work.resident.resume()
    assert not work.began.acquire(blocking=False)
    event()
    work.wait_for_begin()


def test_then_any_event_will_do(work: Work) -> None:
    """A loop may have nothing to do for long."""
    work.resident.begin()
    event()
    work.wait_for_begin()
    work.resident.pause()
    work.resident.resume()
    whence.AsyncResource("X").run_in_async_scope(int)
    work.wait_for_begin()


def test_a_pause_that_is_over_at_once_loses_nothing(work: Work) -> None:
    work.resident.begin()
    event()
    work.wait_for_begin()
    for _ in range(200):
        work.resident.order = PAUSED
        work.woken.set()
        work.resident.resume()
        event()
    work.resident.pause()
    work.resident.resume()
    begun = 0
    while work.began.acquire(blocking=False):
        begun += 1
    deadline = time.monotonic() + 20
    while not work.began.acquire(blocking=False):
        event()
        assert time.monotonic() < deadline, begun


def test_it_ends_when_told(work: Work) -> None:
    work.resident.begin()
    event()
    work.wait_for_begin()
    work.resident.stop(time.monotonic() + 20)
    work.resident.wait()
    assert work.orders == [STOPPED]
    life = work.resident.life
    event()
    assert work.resident.life == life
    assert not work.began.acquire(blocking=False)


def test_an_end_without_a_thread_is_made_in_another_one(work: Work) -> None:
    work.resident.begin()
    event()
    work.wait_for_begin()
    work.resident.pause()
    work.resident.stop(time.monotonic() + 20)
    work.resident.finish()
    work.resident.wait()
    assert work.orders == [PAUSED, STOPPED]


def test_what_fails_is_told_once_and_is_off(work: Work, capfd: pytest.CaptureFixture[str]) -> None:
    work.error = ValueError("no such thing")
    work.resident.begin()
    event()
    work.wait_for_begin()
    assert work.resident._thread.wait(20)
    event()
    assert not work.began.acquire(blocking=False)
    told = "whence: the work failed (ValueError: no such thing) and is off\n"
    assert capfd.readouterr().err == told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_python_warns_of_no_thread_at_a_fork(work: Work) -> None:
    """It counts them once the fork is over, and a warning would fail this test."""
    work.resident.begin()
    event()
    work.wait_for_begin()
    fork: Callable[[], int] = os.fork
    work.resident.pause()
    pid = fork()
    if pid == 0:
        os._exit(0)
    work.resident.resume()
    os.waitpid(pid, 0)
