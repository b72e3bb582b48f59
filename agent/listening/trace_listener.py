"""on_trace(): hear of finished traces in the process itself, with or without a backend.

    sender thread -> Gathering -> TraceListener: a bounded queue -> a thread of its own -> callback

A callback that is slow or raises disturbs neither the program nor what is exported.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from .. import attaching
from ..background import REFUSED, Background, stay_unlisted
from ..engine import local
from ..hooks import is_async
from ..report import say, warn
from .finished_traces import Trace, trace_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from ..engine import SpanLifetime

MOST_WAITING = 65_536
"""Spans of the traces that wait for a callback; what comes on top of that is dropped."""
STOP_TIMEOUT = 2.0
"""Seconds that `stop` waits for the callback, if nobody says."""
_LAST_MOMENT = 0.05
"""Seconds that a fork waits for the callback to return."""


class TraceListener:
    """Calls a callback with each finished trace; made by `on_trace`.

    Also a context manager: its end is `stop()`."""

    def __init__(self, callback: Callable[[Trace], object]) -> None:
        self._callback = callback
        self.dropped = 0
        """How many traces the callback was too slow for."""
        self._stopped = self._told_slow = self._told_failed = False
        self.restart_in_child()

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Call back no more.  Traces that are finished by now are given before, as far as that
        takes no longer than `timeout` seconds; not if the callback itself says stop."""
        if self._stopped:
            return
        if not self._background.is_current:
            until = monotonic() + timeout
            attaching.flush_traces(timeout)
            self.finish(until - monotonic())
        self._stopped = True
        attaching.stop_listening(self)

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        self.stop()

    # What follows is for the sender.

    @property
    def waits(self) -> bool:
        """Whether traces are waiting for the callback."""
        return bool(self._queue)

    def put(self, records: "Sequence[SpanLifetime]", has_all: bool) -> None:
        """Have the callback called with the trace of these lifetimes.  Never waits."""
        if self._put - self._given + len(records) > MOST_WAITING and self._queue:
            self._drop(1)
            return
        self._put += len(records)
        self._queue.append((records, has_all))

    def go_on(self) -> None:
        """Have a thread for what is waiting."""
        if self._queue:
            self._background.start()

    def finish(self, timeout: float) -> None:
        """Have called back with all that is waiting, within `timeout` seconds."""
        until = monotonic() + timeout
        while self._queue and monotonic() < until:
            if self._background.start() is REFUSED:
                self._call_back_here(until)
            elif not self._background.wait(until - monotonic()):
                break
        self._background.wait(until - monotonic())
        self._drop(len(self._queue))
        self._queue.clear()

    def pause(self) -> None:
        """Have no thread, for a fork, if that takes but a moment."""
        self._background.wait_until_gone(_LAST_MOMENT)

    def restart_in_child(self) -> None:
        """In a forked child: what waits is the parent's, and so is the thread."""
        self._queue: deque[tuple[Sequence[SpanLifetime], bool]] = deque()
        # One thread writes each.
        self._put = self._given = 0
        self._background = Background(self._call_back, takes_signals=True)

    def _call_back(self) -> None:
        while self._queue and not self._stopped:
            self._call_back_once()
            stay_unlisted()

    def _call_back_here(self, until: float) -> None:
        """At the very end of the process there are no more threads to be had."""
        state = local.state
        muted, state.muted = state.muted, True
        try:
            while self._queue and monotonic() < until:
                self._call_back_once()
        finally:
            state.muted = muted

    def _call_back_once(self) -> None:
        try:
            records, has_all = self._queue.popleft()
        except IndexError:
            return  # whoever waited for it has given up
        self._given += len(records)
        try:
            self._callback(trace_of(records, has_all))
        except KeyboardInterrupt:
            raise  # in the thread that ends, it is the user who has waited enough
        except BaseException as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if not self._told_failed:
            self._told_failed = True
            from traceback import format_exception

            text = "".join(format_exception(error)).rstrip()
            say(f"whence: the on_trace callback {self._name} failed; this is said once\n{text}")

    def _drop(self, number: int) -> None:
        self.dropped += number
        if number and not self._told_slow:
            self._told_slow = True
            warn(f"the on_trace callback {self._name} is too slow; traces are dropped")

    @property
    def _name(self) -> str:
        return getattr(self._callback, "__qualname__", type(self._callback).__qualname__)


def on_trace(callback: Callable[[Trace], object]) -> TraceListener:
    """Call `callback` with every trace of this process that is finished from now on.

    A trace is finished when its root has ended and nothing in it is open any more.  What is open
    for longer than `segment` seconds is cut there, and its trace is not waited for any longer; what
    goes on then is another trace.  At the end of the process all traces are given as they are.

    The callback runs in a thread of whence's, one call after the other, a moment after the trace
    has finished.  Threads and jobs that it starts are in no trace; what it has an event loop do is,
    like anything else, and so it may be called for that as well.  If it raises, that is printed
    once, and it goes on being called.  For one that is too slow, traces are dropped and counted
    (`TraceListener.dropped`).

    Works with the agent attached, whatever that exports (`--export none` too), and without: then
    the process is recorded from now on, as the WHENCE_* variables say, until the last listener
    stops.
    What the filters leave out (`min_duration`, `types`, `exclude` ...) is in no trace; samplers
    decide on what is exported, and all is given here.  Does nothing where WHENCE_DISABLED or
    OTEL_SDK_DISABLED switch the agent off.

    TypeError for a callback that is not callable or is a coroutine function; SettingError for a
    variable with a wrong value.
    """
    if not callable(callback):
        raise TypeError(f"expected a callable as the callback, not {callback!r}")
    if is_async(callback):
        raise TypeError(f"expected a plain function, not the coroutine function {callback!r}")
    listener = TraceListener(callback)
    attaching.listen(listener)
    return listener
