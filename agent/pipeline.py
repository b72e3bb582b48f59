"""From the ring to the exporters: one sender thread in each process.

    ring -> places and segments (Tracer) -> destinations

The rules:

- The first kept lifetime starts the thread.  It sleeps while nothing is kept; then it gathers for
  250 ms, or until there are 8,192, and hands all of it over as one batch.
- It is no thread of `threading`'s: what the program counts and lists stays as it was.  It is muted:
  what it does, and the threads that it starts do, is told to no hook.
- All that exporters need is imported in it, never in a thread of the program's.
- Nothing blocks the program, and nothing grows: what cannot be sent is dropped and counted.
- The end takes `timeout` at the most, whatever a destination does.
- A fork finds no sender thread: it would make the fork unsafe, and Python warn of it.  The child
  begins with nothing to send and, once it has something, a thread of its own.

Start-up path of every attached process: imports nothing heavy.
"""

import atexit
import os
import sys
from _thread import allocate_lock, get_ident, get_native_id, start_new_thread
from time import monotonic, sleep

from .destinations import Destination
from .engine import Tracer, clock, local, recorder, ring
from .engine.ring import NEVER
from .exporting import load_exporter
from .interrupts import interrupted, remember_interrupt
from .report import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .config import Settings
    from .engine import SpanLifetime

EXIT_TIMEOUT = 2.0
BATCH = 8192
GATHERING = 0.25
"""Seconds from the first record of a batch to its export."""
_LONGEST_SLEEP = 15.0
"""Seconds between two looks for lifetimes that have been open for long."""
_MARGIN = 0.1
"""Seconds of the end that exporters are not given, so that all is over in time."""
_PAUSE = 0.05
_PAUSE_LOADING = 5.0
"""Seconds that a fork waits for the sender thread.  Longer while it imports: a child forked then
would find modules locked for ever."""

_PAUSED = "paused"
_STOPPED = "stopped"

_STARTED = "started"
_RUNS = "runs"
_REFUSED = "refused"


class Counts:
    """What became of the spans of this process so far, as numbers of spans.

    `dropped` did not arrive somewhere; `unsampled` no sampler wanted; `counted` were too much for
    their traces and are numbers on their ancestors.  A span with two destinations counts twice.
    """

    __slots__ = ("counted", "dropped", "sent", "unsampled")

    def __init__(self, sent: int, unsampled: int, counted: int, dropped: int) -> None:
        self.sent = sent
        self.unsampled = unsampled
        self.counted = counted
        self.dropped = dropped

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"Counts({fields})"


class _Signal:
    """Wakes the one thread that waits.  An Event without `threading`."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it is set already

    def wait(self, seconds: float) -> None:
        self._lock.acquire(timeout=max(0.0, seconds))


class Sender:
    """Drains the ring, in a thread of its own."""

    def __init__(self, settings: "Settings", destinations: "list[Destination]") -> None:
        self.settings = settings
        self.destinations = destinations
        self.tracer = Tracer(settings.max_spans)
        self._segment = int(settings.segment * 1e9)
        self._scan_every = min(max(settings.segment / 4, GATHERING), _LONGEST_SLEEP)
        self._next_scan = monotonic() + self._scan_every
        self._order: str | None = None
        self._stop_by = 0.0
        self._woken = _Signal()
        self._starting = allocate_lock()
        self._running = allocate_lock()
        """Held while the thread runs."""
        self._thread_id = self._native_id = 0
        self._loaded = False

    def wake(self) -> None:
        """Let it drain soon.  Called by the ring, in any thread; never raises."""
        ring.wake_at = NEVER
        if self._start() is _RUNS:
            self._woken.set()

    def counts(self) -> Counts:
        """What became of the spans so far."""
        lost = ring.dropped
        if self.stopped:
            lost += len(ring)
        return Counts(
            sent=sum(d.sent for d in self.destinations),
            unsampled=sum(d.unsampled for d in self.destinations),
            counted=self.tracer.counted,
            dropped=lost + sum(d.failed + d.pending for d in self.destinations),
        )

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._order is _STOPPED

    def stop(self, timeout: float) -> None:
        """Send what there is, the open lifetimes too, within `timeout` seconds."""
        ring.wake_at = NEVER
        self._stop_by = monotonic() + timeout
        self._order = _STOPPED
        if not self._running.locked() and not self._loaded and not self._remains():
            return
        started = self._start()
        if started is _REFUSED:
            self._finish_here()
        elif self._thread_id != get_ident():
            self._woken.set()
            try:
                self._wait_for_thread(timeout)
            except KeyboardInterrupt:
                pass  # the user has waited enough

    def pause(self) -> None:
        """Have no thread, for a fork.  Waits for a moment only: a send is not interrupted."""
        if self._running.locked() and self._thread_id != get_ident():
            self._order = self._order or _PAUSED
            self._woken.set()
            if self._wait_for_thread(_PAUSE if self._loaded else _PAUSE_LOADING):
                _wait_for_end_of_thread(self._native_id)

    def resume(self) -> None:
        """Go on after a fork, with the next record.

        Not at once: some Pythons count the threads only now, to warn of a fork of several."""
        if self._order is _PAUSED:
            self._order = None
            ring.wake_at = 0

    def _await_records(self) -> None:
        ring.wake_at = 0
        if len(ring):
            self.wake()

    def _wait_for_thread(self, timeout: float) -> bool:
        ended = self._running.acquire(timeout=timeout)
        if ended:
            self._running.release()
        return ended

    def _start(self) -> str:
        """Start the thread, if it does not run and one is to be had: not at the very end."""
        if not self._starting.acquire(False):
            return _RUNS
        try:
            if not self._running.acquire(False):
                return _RUNS
            try:
                start_new_thread(self._run, ())
            except RuntimeError:
                self._running.release()
                return _REFUSED
            return _STARTED
        finally:
            self._starting.release()

    def _run(self) -> None:
        self._thread_id, self._native_id = get_ident(), get_native_id()
        local.state.muted = True
        try:
            self._take_turns()
            if self._order is _STOPPED:
                self._finish()
        except BaseException as error:
            self._give_up(error)
        finally:
            self._thread_id = 0
            self._running.release()
        if self._order is None and recorder.sends:
            # A pause was over before this thread was gone.
            self._await_records()

    def _take_turns(self) -> None:
        if self._order is None:
            self._load()
        while self._order is None:
            ring.wake_at = 0
            if not len(ring):
                self._woken.wait(self._next_scan - monotonic())
            if len(ring) and self._order is None:
                ring.wake_at = BATCH - 1
                if len(ring) < BATCH:
                    self._woken.wait(GATHERING)
            ring.wake_at = NEVER
            if self._order is None:
                self._send()

    def _send(self) -> None:
        while True:
            drained = ring.drain(BATCH)
            batch = self._placed(drained)
            more = len(drained) == BATCH
            scans = not more and monotonic() >= self._next_scan
            if scans:
                batch += self._long_open()
            if batch or scans:
                self._export(batch)
            if not more or self._order is not None:
                return

    def _placed(self, drained: "list[SpanLifetime]") -> "list[SpanLifetime]":
        place = self.tracer.place
        return [lifetime for lifetime in drained if place(lifetime)]

    def _long_open(self) -> "list[SpanLifetime]":
        self._next_scan = monotonic() + self._scan_every
        now = clock()
        cut = self.tracer.cut
        return [cut(lifetime, now) for lifetime in self.tracer.due(now, self._segment)]

    def _remains(self) -> bool:
        return len(ring) > 0 or any(self._worth_a_span(clock()))

    def _worth_a_span(self, now: int) -> "list[SpanLifetime]":
        """What is open, as the end of the process finds it."""
        least = recorder.min_duration
        return [
            lifetime
            for lifetime in self.tracer.due(now, 0)
            if lifetime.keep or now - lifetime.created >= least
        ]

    def _finish(self) -> None:
        """Send the rest, as far as time allows."""
        if recorder.sends:
            self._finish_sending()
        for nth, destination in enumerate(self.destinations):
            destination.stop(self._share(nth))

    def _finish_sending(self) -> None:
        while len(ring) and monotonic() < self._stop_by:
            self._export_last(self._placed(ring.drain(BATCH)))
        now = clock()
        cut = self.tracer.cut
        self._export_last([cut(lifetime, now) for lifetime in self._worth_a_span(now)])

    def _finish_here(self) -> None:
        """Finish in the calling thread: too late in the process's life for another one."""
        state = local.state
        muted, state.muted = state.muted, True
        try:
            self._finish()
        except Exception as error:
            self._give_up(error)
        finally:
            state.muted = muted

    def _load(self) -> None:
        if not self._loaded:
            _wait_for_imports_before_forks()
            for destination in self.destinations:
                destination.start(self.settings)
            self._loaded = True
            _stay_unlisted()

    def _export(self, batch: "list[SpanLifetime]") -> None:
        for destination in self.destinations:
            destination.export(batch)
        _stay_unlisted()

    def _export_last(self, batch: "list[SpanLifetime]") -> None:
        if batch:
            self._load()
            for nth, destination in enumerate(self.destinations):
                destination.export(batch, self._share(nth))

    def _share(self, nth: int) -> float:
        """Seconds for a destination, so that one that hangs leaves some to those after it."""
        left = self._stop_by - _MARGIN - monotonic()
        return max(0.0, left / (len(self.destinations) - nth))

    def _give_up(self, error: BaseException) -> None:
        recorder.sends = False
        ring.wake_at = NEVER
        warn(f"sending failed ({type(error).__name__}: {error}); no more spans are sent")


_sender: Sender | None = None
_hooked = _hooked_last = False


def start(settings: "Settings") -> None:
    """Send the spans of this process to where the settings say, from the first one on.

    Starts no thread yet, and imports nothing.  Does nothing with `--export none`."""
    global _sender, _hooked
    recorder.sends = settings.export != ("none",)
    if not recorder.sends:
        return
    _use(Sender(settings, [Destination(name, load_exporter) for name in settings.export]))
    if not _hooked:
        _hooked = True
        atexit.register(_stop_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child
            )


def stop(timeout: float = EXIT_TIMEOUT) -> None:
    """Send what there is, within `timeout` seconds, and send nothing more until start().

    What is open is sent as a closed span with the outcome "open".  Also called at exit.  Does
    nothing if nothing was started."""
    if _sender is not None and not _sender.stopped:
        _sender.stop(timeout)
        recorder.sends = False
        ring.wake = _nobody


def _stop_at_exit() -> None:
    was_interrupted = interrupted()
    stop()
    if was_interrupted:
        remember_interrupt()


def counts() -> Counts:
    """What became of the spans of this process so far; also after stop()."""
    return Counts(0, 0, 0, 0) if _sender is None else _sender.counts()


def destinations() -> "list[Destination]":
    """Where spans go, and how that goes; also after stop()."""
    return [] if _sender is None else _sender.destinations


def _use(sender: Sender) -> None:
    global _sender
    _sender = sender
    ring.wake = sender.wake
    ring.wake_at = 0


def _nobody() -> None:
    """The ring wakes nobody."""


def _wait_for_imports_before_forks() -> None:
    """Have `_before_fork` called before what logging has registered.

    That takes the lock of logging, for which the imports that a fork waits for may be waiting
    themselves.  The last to register is called first."""
    global _hooked_last
    if not _hooked_last and hasattr(os, "register_at_fork"):
        _hooked_last = True
        import logging  # noqa: F401

        os.register_at_fork(before=_before_fork)


def _before_fork() -> None:
    if _sender is not None:
        _sender.pause()


def _in_parent() -> None:
    if _sender is not None:
        _sender.resume()


def _in_child() -> None:
    if _sender is not None and not _sender.stopped:
        _use(Sender(_sender.settings, [d.in_child() for d in _sender.destinations]))
        stop_with_multiprocessing()


def stop_with_multiprocessing() -> None:
    """Also stop at the end of a child that multiprocessing has forked: it ends without atexit, and
    has an exit of its own.  To be called in the child, before multiprocessing goes on."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _sender is not None:
        # First it clears what the parent had registered; what is registered here runs after that.
        util.register_after_fork(_sender, lambda _: util.Finalize(None, stop, exitpriority=-1))


def _stay_unlisted() -> None:
    """Take this thread off the list that `threading` keeps.

    gRPC, and logging, ask for the current thread, and for one that it did not start `threading`
    makes up a dummy, which the program would find among its own."""
    threading = sys.modules.get("threading")
    listed = getattr(threading, "_active", None)
    if listed is not None:
        ident = get_ident()
        if isinstance(listed.get(ident), threading._DummyThread):  # type: ignore[union-attr]
            listed.pop(ident, None)


def _wait_for_end_of_thread(native_id: int) -> None:
    """Python counts the threads of the system, and one takes a moment to end."""
    until = monotonic() + _PAUSE
    while monotonic() < until and os.path.exists(f"/proc/self/task/{native_id}"):
        sleep(0.0005)
