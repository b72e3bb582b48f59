"""One destination of spans: its exporter, whether it is up, and what became of every span.

- What was handed over is sent, not sampled or failed, each counted: nothing is kept to try again.
- After a failure the destination is left alone, for 1 s, then 2, ... 60 at most (circuit breaker).
- The user reads one line when it goes down and one when it takes spans again.

Only the sender thread calls a destination; any thread may read its numbers.
"""

from time import monotonic

from .exporting import CannotExport, ExportError, SpansRejected, Taken
from .report import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .config import Settings
    from .engine import SpanLifetime, Trace
    from .exporting import Exporter

SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
_PROMPT = 0.5
"""Seconds within which a failure must have come for one more try to be worth it at the end."""


class Destination:
    """Where one exporter takes the spans."""

    __slots__ = (
        "_failures",
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
        """Spans that did not arrive, those included that nobody tried to send."""
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
        if self.exporter is None or not self._is_due(timeout):
            self.failed += len(batch)
            self.pending = 0
            return
        self.pending = len(batch)
        began = monotonic()
        try:
            taken = self.exporter.export(batch, timeout)
        except SpansRejected as error:
            taken = error.taken
            self._rejected(str(error))
        except ExportError as error:
            taken = error.taken
            self._back_off(str(error), began)
        except Exception as error:
            taken = Taken(0)
            self._back_off(f"{self.label} failed ({_text_of(error)}); spans are dropped", began)
        else:
            if batch:
                self._up()
        self.sent += taken.sent
        self.unsampled += taken.unsampled
        self.failed += len(batch) - taken.sent - taken.unsampled
        self.pending = 0

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

    def _back_off(self, problem: str, began: float) -> None:
        pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** min(self._failures, 10))
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


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
