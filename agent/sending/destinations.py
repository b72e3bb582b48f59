"""One destination of spans: its exporter, whether it is up, and what became of every span.

- What was handed over is sent, not sampled, waiting for another try, or failed: each is counted.
  Whether anything waits is the exporter's affair.
- After a failure the destination is left alone (circuit breaker): for a random part of 1 s, then of
  2, ... 60 at most, so that many processes do not come back at once; or for as long as it says.
- The user reads one line when it goes down and one when it takes spans again.

Only the sender thread calls a destination; any thread may read its numbers.
"""

import os
from time import monotonic

from ..report import warn
from .exporting import CannotExport, ExportError, SpansRejected, Taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..engine import SpanLifetime, Trace
    from ..settings.config import Settings
    from .exporting import Exporter

LEAST_PAUSE = 0.1
SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
MOST_RETRY_AFTER = 300.0
"""Seconds that a destination may ask to be left alone for."""
_PROMPT = 0.5
"""Seconds within which a failure must have come for one more try to be worth it at the end."""


class Destination:
    """Where one exporter takes the spans."""

    __slots__ = (
        "_failures",
        "_handed",
        "_load",
        "_prompt",
        "_rejections_told",
        "_retry_at",
        "complained",
        "exporter",
        "failed",
        "name",
        "pending",
        "problem",
        "sent",
        "unsampled",
        "usable",
        "waiting",
    )

    def __init__(self, name: str, load: "Callable[[str], Exporter]") -> None:
        self.name = name
        self._load = load
        self.exporter: Exporter | None = None
        self.usable = True
        """False once it is known that it never will be."""
        self.sent = 0
        self.unsampled = 0
        self.failed = 0
        """Spans that did not arrive and never will, those included that nobody tried to send.  Not
        worked out when it is asked for: other threads ask, and it only ever grows."""
        self.waiting = 0
        """Spans that the exporter has, for another try."""
        self._handed = 0
        self.pending = 0
        """Spans that it is being given at this moment, or next."""
        self.problem = ""
        """Why it is down, in one line; empty while it is up."""
        self.complained = False
        """Whether the user has read that it is down."""
        self._failures = 0
        self._retry_at = 0.0
        self._prompt = True
        self._rejections_told = False

    @property
    def retry_at(self) -> float:
        """When to hand over the next batch, be it empty, for the sake of what waits; a time of
        `monotonic()`, infinity if nothing waits."""
        return self._retry_at if self.waiting else float("inf")

    @property
    def label(self) -> str:
        """What the user calls it."""
        return self.name if self.exporter is None else self.exporter.label

    def start(self, settings: "Settings") -> None:
        """Load the exporter and make it ready.  Never raises."""
        try:
            exporter = self._load(self.name)
            exporter.start(settings)
            self.exporter = exporter
        except Exception as error:
            self.usable = False
            self._down(
                str(error)
                if isinstance(error, CannotExport)
                else f"the exporter {self.name} cannot be loaded ({_text_of(error)}); "
                "its spans are dropped"
            )

    def export(self, batch: "Sequence[SpanLifetime]", timeout: float | None = None) -> None:
        """Hand over a batch, which may be empty.  Never raises.

        `timeout` is what is left at the end of the process, in seconds; None while it runs."""
        self.pending = len(batch)
        if self.exporter is None:
            taken = Taken(0)
        elif self._is_due(timeout):
            taken = self._try(self.exporter, batch, timeout)
        else:
            taken = self._keep(self.exporter, batch)
        self.sent += taken.sent
        self.unsampled += taken.unsampled
        self.waiting = taken.waiting
        self._handed += len(batch)
        self.failed = self._handed - self.sent - self.unsampled - self.waiting
        self.pending = 0

    def _try(
        self, exporter: "Exporter", batch: "Sequence[SpanLifetime]", timeout: float | None
    ) -> Taken:
        began = monotonic()
        try:
            taken = exporter.export(batch, timeout)
        except SpansRejected as error:
            self._rejected(str(error))
            return error.taken
        except ExportError as error:
            self._back_off(str(error), began, error.retry_after)
            return error.taken
        except Exception as error:
            self._back_off(f"{self.label} failed ({_text_of(error)}); spans are dropped", began)
            return Taken(0)
        if batch or taken.sent:
            self._up()
        return taken

    def _keep(self, exporter: "Exporter", batch: "Sequence[SpanLifetime]") -> Taken:
        """Hand over a batch while the destination is left alone."""
        keep: Callable[[Sequence[SpanLifetime]], Taken] | None = getattr(exporter, "keep", None)
        if keep is None:
            return Taken(0)
        try:
            return keep(batch)
        except Exception:
            return Taken(0)  # it will fail again when it exports, and that is told

    def is_sampled(self, trace: "Trace") -> bool:
        """Whether its sampler wants a trace; one that has none wants all.  Never raises."""
        ask = getattr(self.exporter, "is_sampled", None)
        try:
            return ask is None or bool(ask(trace))
        except Exception:
            return True  # it will fail again when it exports, and that is told

    def stop(self, timeout: float) -> None:
        """Let the exporter go.  Never raises."""
        exporter = self.exporter
        if exporter is not None:
            try:
                exporter.stop(timeout)
            except Exception as error:
                warn(f"{self.label} did not end well ({_text_of(error)})")
        self.failed += self.waiting
        self.waiting = 0

    def in_child(self) -> "Destination":
        """The same destination for a forked child, which does not say again what was said."""
        abandon = getattr(self.exporter, "abandon", None)
        if abandon is not None:
            try:
                abandon()
            except Exception as error:
                warn(f"{self.label} did not let go after a fork ({_text_of(error)})")
        twin = Destination(self.name, self._load)
        twin.complained = self.complained
        return twin

    def _is_due(self, timeout: float | None) -> bool:
        if not self._failures or monotonic() >= self._retry_at:
            return True
        return timeout is not None and self._prompt

    def _back_off(self, problem: str, began: float, retry_after: float | None = None) -> None:
        pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** min(self._failures, 10)) * jitter()
        pause = max(LEAST_PAUSE, pause, min(retry_after or 0.0, MOST_RETRY_AFTER))
        now = monotonic()
        self._failures += 1
        self._retry_at = now + pause
        self._prompt = now - began < _PROMPT
        self._down(problem)

    def _down(self, problem: str) -> None:
        self.problem = problem
        if not self.complained:
            self.complained = True
            warn(problem)

    def _rejected(self, problem: str) -> None:
        self._up()
        if not self._rejections_told:
            self._rejections_told = True
            warn(problem)

    def _up(self) -> None:
        self._failures = 0
        if self.problem:
            self.problem = ""
            self.complained = False
            dropped = f"; {self.failed} were dropped" if self.failed else ""
            warn(f"{self.label} takes spans again{dropped}")


def jitter() -> float:
    """From 0 to 1.  Not of the module `random`, whose sequence is the program's."""
    return int.from_bytes(os.urandom(4)) / (1 << 32)


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
