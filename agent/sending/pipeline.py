"""From the ring to the exporters, for the process: start, stop, what became of the spans, forks.

    ring -> places and segments (Tracer) -> destinations

What is done is the sender's; here is when.

- A fork finds no thread of ours: it would make the fork unsafe, and Python warn of it.  The child
  begins with nothing to send and, with its first event, a thread of its own.
- The metrics begin and end with the spans, at the same time: `metrics.py`.

Start-up path of every attached process: imports nothing heavy.
"""

import atexit
import os
import sys
from _thread import allocate_lock, interrupt_main
from time import monotonic

from ..deferral import when_imported
from ..engine import recorder, ring
from ..interrupts import interrupted, remember_interrupt
from . import metrics
from .destinations import Destination
from .exporting import load_exporter
from .sender import Counts, Sender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..listening.trace_listener import TraceListener
    from ..settings.config import Settings

EXIT_TIMEOUT = 2.0
"""Seconds by which the end of the process is delayed at the most."""

_sender: Sender | None = None
_listeners: "tuple[TraceListener, ...]" = ()
_hooked = _hooked_last = False

listening = allocate_lock()
"""To be held while who listens changes: listeners may stop in threads of their own."""


def start(settings: "Settings") -> None:
    """Send the spans of this process to where the settings say, from the first one on.

    And metrics, from the first event on.  Starts no thread yet, and imports nothing.  With
    `--export none` there is nothing to do, but for listeners and for who comes to scrape."""
    names = () if settings.export == ("none",) else settings.export
    recorder.sends = bool(names or _listeners)
    if recorder.sends:
        _begin(settings, [Destination(name, load_exporter) for name in names])
    if metrics.start(settings, _be_first_before_forks):
        _hook()


def listen(listener: "TraceListener", settings: "Settings") -> None:
    """Give a listener the traces that are finished from now on."""
    global _listeners
    _listeners = (*_listeners, listener)
    listen_on(settings)


def listen_on(settings: "Settings") -> None:
    """Have the listeners hear, also if nothing is sent anywhere."""
    if _sender is None or _sender.stopped:
        _begin(settings, [])
    else:
        _sender.gathering.listeners = _listeners
    recorder.sends = True


def stop_listening(listener: "TraceListener") -> None:
    """Give a listener no more; without anybody else, stop."""
    global _listeners
    _listeners = tuple(other for other in _listeners if other is not listener)
    if _sender is not None:
        _sender.gathering.listeners = _listeners
        if not _listeners and not _sender.destinations:
            _stop_spans(EXIT_TIMEOUT)


def listeners() -> "tuple[TraceListener, ...]":
    """Who is given traces."""
    return _listeners


def flush(timeout: float) -> None:
    """Give the listeners the traces that are finished by now."""
    if _sender is not None:
        _sender.flush(timeout)


def _begin(settings: "Settings", destinations: "list[Destination]") -> None:
    before = _sender
    _use(settings, destinations)
    assert _sender is not None
    if before is not None and not before.stopped:
        _sender.inherit(before)
    _sender.gathering.listeners = _listeners
    _hook()


def _hook() -> None:
    """Hear of forks and of the end, once."""
    global _hooked
    if not _hooked:
        _hooked = True
        atexit.register(_stop_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child
            )
            when_imported("logging", _be_first_before_forks)


def stop(timeout: float = EXIT_TIMEOUT) -> None:
    """Send what there is, within `timeout` seconds, and send nothing more until start().

    What is open is sent as a closed span with the outcome "open".  Also called at exit.  Does
    nothing if nothing was started."""
    metrics.unregister()
    _finish(timeout)


def _finish(timeout: float = EXIT_TIMEOUT) -> None:
    metrics.stop(monotonic() + timeout)
    try:
        _stop_spans(timeout)
        metrics.wait()
    except KeyboardInterrupt:
        pass  # the user has waited enough


def _stop_spans(timeout: float) -> None:
    if _sender is not None and not _sender.stopped:
        _sender.stop(timeout)
        recorder.sends = False
        ring.wake = _nobody


def _stop_at_exit() -> None:
    was_interrupted = interrupted()
    _finish()
    if was_interrupted:
        remember_interrupt()


def counts() -> Counts:
    """What became of the spans of this process so far; also after stop()."""
    return Counts(0, 0, 0, 0) if _sender is None else _sender.counts()


def destinations() -> "list[Destination]":
    """Where spans go, and how that goes; also after stop()."""
    return [] if _sender is None else _sender.destinations


def _use(settings: "Settings", destinations: "list[Destination]") -> None:
    global _sender
    _sender = Sender(settings, destinations, _be_first_before_forks)
    ring.wake = _sender.wake
    ring.wake_at = 0
    _sender.begin()


def _nobody() -> None:
    """The ring wakes nobody."""


def _be_first_before_forks() -> None:
    """Have `_before_fork` called before what logging has registered.

    That takes the lock of logging, for which the imports that a fork waits for may be waiting
    themselves.  The last to register is called first."""
    global _hooked_last
    if not _hooked_last and hasattr(os, "register_at_fork"):
        _hooked_last = True
        import logging  # noqa: F401

        os.register_at_fork(before=_before_fork)


def _before_fork() -> None:
    try:
        metrics.before_fork()
        if _sender is not None:
            _sender.pause()
            for listener in _listeners:
                listener.pause()
    except KeyboardInterrupt:
        # Python would only print it: it is the program's, once the fork is over.
        interrupt_main()


def _in_parent() -> None:
    metrics.in_parent()
    if _sender is not None:
        _sender.resume()


def _in_child() -> None:
    global listening
    listening = allocate_lock()
    metrics.in_child()
    if _sender is not None and not _sender.stopped:
        for listener in _listeners:
            listener.restart_in_child()
        _use(_sender.settings, [d.in_child() for d in _sender.destinations])
        _sender.gathering.listeners = _listeners
    stop_with_multiprocessing()


def stop_with_multiprocessing() -> None:
    """Also stop at the end of a child that multiprocessing has forked: it ends without atexit, and
    has an exit of its own.  To be called in the child, before multiprocessing goes on."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _hooked:
        # First it clears what the parent had registered; what is registered here runs after that.
        util.register_after_fork(_finish, lambda _: util.Finalize(None, _finish, exitpriority=-1))
