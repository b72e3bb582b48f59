"""Threads of ours, in processes of others.

The rules:

- None is a thread of `threading`'s, nor one of `_thread._count()`: what the program counts and
  lists stays as it was.
- Each is muted: what it does, and the threads that it starts do, is told to no hook.
- None takes a signal: it would be handled, or end the process, where the program has blocked it in
  all threads that it knows of, to wait for it.
- None is there while the process forks: the fork would be unsafe, and Python warn of it.

Start-up path of every attached process: imports nothing heavy.
"""

import _signal  # type: ignore[import-not-found]  # `signal` itself, a program may not have imported
import _thread
import os
import sys
from _thread import allocate_lock, get_ident, get_native_id, start_new_thread
from os import stat
from time import monotonic, sleep

from .engine import local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STARTED = "started"
RUNS = "runs"
REFUSED = "refused"

_LAST_MOMENT = 0.05
"""Seconds that a fork waits for a thread that has ended to be gone."""
_MOMENT = 0.0005


_own_faults = {
    getattr(_signal, name, None) for name in ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV")
}


class Signal:
    """Wakes the one thread that waits.  An Event without `threading`."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let it go on, now or when it comes to wait."""
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it is set already

    def wait(self, seconds: float) -> None:
        """Wait for so long at the most."""
        self._lock.acquire(timeout=max(0.0, seconds))


class Background:
    """Runs a function in a thread of ours, one at a time, again whenever it is started again."""

    __slots__ = (
        "_body",
        "_native_id",
        "_running",
        "_starting",
        "_takes_signals",
        "_then",
        "_thread_id",
    )

    def __init__(
        self,
        body: "Callable[[], None]",
        then: "Callable[[], None]" = lambda: None,
        *,
        takes_signals: bool = False,
    ) -> None:
        """`body` returns when it is told to, in a way of its own.  `then` is what the thread calls
        last, when it may be started again already.  Neither ever raises.

        `takes_signals` if `body` calls what is the program's: the processes that this starts are
        to take them too."""
        self._body = body
        self._then = then
        self._takes_signals = takes_signals
        self._starting = allocate_lock()
        self._running = allocate_lock()
        """Held while the thread runs."""
        self._thread_id = self._native_id = 0

    @property
    def runs(self) -> bool:
        """Whether its thread runs."""
        return self._running.locked()

    @property
    def is_current(self) -> bool:
        """Whether it is its thread that asks."""
        return self._thread_id == get_ident()

    def start(self) -> str:
        """Start the thread: STARTED; RUNS if it does; REFUSED if none is to be had, at the very end
        of the process."""
        if not self._starting.acquire(False):
            return RUNS
        try:
            if not self._running.acquire(False):
                return RUNS
            try:
                _stay_uncounted()
                start_new_thread(self._run, ())
            except RuntimeError:
                self._running.release()
                return REFUSED
            return STARTED
        finally:
            self._starting.release()

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended; whether it has.  In the thread itself there is nothing to wait
        for."""
        if self._thread_id == get_ident():
            return False
        ended = self._running.acquire(timeout=max(0.0, timeout))
        if ended:
            self._running.release()
        return ended

    def wait_until_gone(self, timeout: float) -> None:
        """Wait until the system knows no such thread, for a fork.

        Not at its lock, and with the system's functions as they were at the start: a program may
        forbid all that blocks where a loop runs, and fork there."""
        if self._running.locked() and not self.is_current:
            until = monotonic() + timeout
            while self._running.locked():
                if monotonic() >= until:
                    return
                sleep(_MOMENT)
            wait_for_end_of_thread(self._native_id)

    def _run(self) -> None:
        self._thread_id, self._native_id = get_ident(), get_native_id()
        _uncounted.add(self._thread_id)
        local.state.muted = True
        if not self._takes_signals:
            _take_no_signal()
        try:
            self._body()
        finally:
            stay_unlisted()
            _uncounted.discard(self._thread_id)
            self._thread_id = 0
            self._running.release()
        self._then()


_uncounted: set[int] = set()
"""The ids of our threads that run."""

_count_of_all = _thread._count


def _count() -> int:
    return max(0, _count_of_all() - len(_uncounted))


_count.__module__, _count.__doc__ = _thread.__name__, _count_of_all.__doc__


def _stay_uncounted() -> None:
    """Leave our threads out of what `_thread._count()` says.

    By that, test suites find the threads that a test has left behind: CPython's own, for one.
    It stays, and says what Python does where none of ours runs."""
    if _thread._count is _count_of_all:
        _thread._count = _count
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_uncounted.clear)


def _take_no_signal() -> None:
    """But for those that say what went wrong in this very thread."""
    block = getattr(_signal, "pthread_sigmask", None)
    if block is not None:
        block(_signal.SIG_BLOCK, _signal.valid_signals() - _own_faults)


def stay_unlisted() -> None:
    """Take this thread off the list that `threading` keeps.

    gRPC, and logging, ask for the current thread, and for one that it did not start `threading`
    makes up a dummy, which the program would find among its own."""
    threading = sys.modules.get("threading")
    listed = getattr(threading, "_active", None)
    if listed is not None:
        ident = get_ident()
        if isinstance(listed.get(ident), threading._DummyThread):  # type: ignore[union-attr]
            listed.pop(ident, None)


def wait_for_end_of_thread(native_id: int) -> None:
    """Python counts the threads of the system, and one takes a moment to end."""
    until = monotonic() + _LAST_MOMENT
    try:
        while monotonic() < until:
            stat(f"/proc/self/task/{native_id}")
            sleep(_MOMENT)
    except OSError:
        pass  # it is gone
