"""A thread of ours that is there as long as the program has a loop, and gone while it forks.

It begins with the first callback of the program's first loop: a master that only forks, a shell's
helper that only waits, has none of it, and what is set up before a loop runs is set up.  After a
fork it goes on with the next event, and not before: some Pythons count the threads once the fork is
over, to warn of a fork of several.

Start-up path of every attached process: imports nothing heavy.
"""

from time import monotonic

from .background import REFUSED, RUNS, Background
from .engine import at_next_event, local
from .engine.events import loop_turns
from .report import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PAUSED = "paused"
STOPPED = "stopped"

_PATIENCE = 0.05
_PATIENCE_LOADING = 5.0
"""Seconds that a fork waits.  Longer while it imports: a child forked then would find modules
locked for ever."""


class Resident:
    """Runs `work` from the first callback on.

    `work` returns soon after `order` is no longer None and `wake` was called; with STOPPED it ends
    what it has begun, by `stop_by` (of `time.monotonic()`).  What it raises is told once, and it is
    not run again."""

    __slots__ = (
        "_began",
        "_ended",
        "_leaving",
        "_name",
        "_thread",
        "_wake",
        "_work",
        "loading",
        "order",
        "stop_by",
    )

    def __init__(self, name: str, work: "Callable[[], None]", wake: "Callable[[], None]") -> None:
        """`name` is what the user reads if it fails."""
        self._name = name
        self._work = work
        self._wake = wake
        self._thread = Background(self._run)
        self._leaving = False
        self._began = self._ended = 0.0
        self.order: str | None = None
        self.stop_by = 0.0
        self.loading = False
        """Set by `work` while it imports."""

    @property
    def life(self) -> float:
        """Seconds from the first callback to now, or to stop(); -1.0 without one."""
        return (self._ended or monotonic()) - self._began if self._began else -1.0

    @property
    def runs(self) -> bool:
        """Whether its thread runs."""
        return self._thread.runs

    def begin(self) -> None:
        """Begin with the next callback of a loop."""
        at_next_event(self._start)

    def stop(self, by: float) -> None:
        """Let it end, by a time of `time.monotonic()`; `wait` waits for it."""
        self._ended = monotonic()
        self.stop_by = by
        self.order = STOPPED
        if self._thread.runs:
            self._wake()

    def finish(self) -> None:
        """Run `work` once more, stopped, where no thread runs: at the end of a process that has
        forked since.  In the calling thread if no other is to be had."""
        if not self._thread.runs and self._thread.start() is REFUSED:
            muted, local.state.muted = local.state.muted, True
            try:
                self._run()
            finally:
                local.state.muted = muted

    def wait(self) -> None:
        """Wait until it has ended, for as long as stop() said."""
        self._thread.wait(self.stop_by - monotonic())

    def pause(self) -> None:
        """Have no thread, for a fork.  Waits for a moment only."""
        if self._thread.runs and self.order is None:
            self.order = PAUSED
            self._wake()
            self._thread.wait_until_gone(_PATIENCE_LOADING if self.loading else _PATIENCE)

    def resume(self) -> None:
        """Go on after a fork, with the next event."""
        if self.order is PAUSED:
            self.order = None
            at_next_event(self._start)

    def _start(self) -> None:
        """At an event, in a thread of the program's."""
        if self.order is not None:
            return
        if not self._began and not loop_turns():
            at_next_event(self._start)
            return
        self._began = self._began or monotonic()
        if self._thread.start() is RUNS and self._leaving:
            # The pause was over before its thread was gone.
            at_next_event(self._start)

    def _run(self) -> None:
        self._leaving = False
        try:
            self._work()
        except Exception as error:
            self.order = STOPPED
            warn(f"{self._name} failed ({type(error).__name__}: {error}) and is off")
        finally:
            self._leaving = True
