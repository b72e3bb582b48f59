"""One destination of metrics: its exporter, and whether it is up.

- What did not arrive is not sent again: the next collection says it all.
- After a failure the destination is left alone, for 1 s, then 2, ... 60 at most (circuit breaker).
- The user reads one line when it goes down and one when it takes metrics again.

Start-up path of every attached process: imports nothing heavy.
"""

from time import monotonic

from ..report import warn
from .exporting import CannotExport, ExportError, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ..settings.config import Settings

    class MetricsExporter(Protocol):
        """Reads all metrics and takes them somewhere."""

        label: str

        def start(self, settings: Settings) -> None:
            """Make ready; called once."""

        def export(self, timeout: float | None) -> None:
            """Read and send, within `timeout` seconds if there is one; raises ExportError.

            An ExportError or CannotExport without a text is told to nobody.  A method `check` of
            the same kind sends no metrics; `whence doctor` calls it."""

        def stop(self, timeout: float) -> None:
            """Let go of everything, within `timeout` seconds."""

        def abandon(self) -> None:
            """Let go, in a forked child, of what belongs to the parent."""


EXPORTERS = {"otlp": "whence.exporters.metrics.otlp:OtlpMetrics"}
"""Name -> module and class, of those that come with whence."""
FOREIGN = "whence.exporters.metrics.foreign:ForeignMetrics"
"""Carries the exporters that are made for OpenTelemetry's SDK."""

_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


class MetricsDestination:
    """Where metrics go, and whether it is up."""

    def __init__(self, name: str, load: "Callable[[str], MetricsExporter] | None" = None) -> None:
        self.name = name
        self._load = load or load_exporter
        self._exporter: MetricsExporter | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._complained = False

    def start(self, settings: "Settings") -> None:
        """Load the exporter and make it ready.  Never raises."""
        try:
            exporter = self._load(self.name)
            exporter.start(settings)
            self._exporter = exporter
        except CannotExport as error:
            self._complain(str(error))
        except Exception as error:
            self._complain(
                f"the metrics exporter {self.name} cannot be loaded "
                f"({type(error).__name__}: {error}); it gets no metrics"
            )

    def export(self, timeout: float | None) -> None:
        """Send the metrics of this moment.  Never raises.

        `timeout` is what is left at the end of the process, in seconds; None while it runs."""
        exporter = self._exporter
        if exporter is None or (self._failures and monotonic() < self._retry_at):
            return
        try:
            exporter.export(timeout)
        except CannotExport as error:
            self._exporter = None
            self._complain(str(error))
            exporter.stop(0.0)
        except ExportError as error:
            self._back_off(str(error))
        except Exception as error:
            self._back_off(f"{exporter.label} failed ({type(error).__name__}: {error})")
        else:
            self._failures = 0
            if self._complained:
                self._complained = False
                warn(f"{exporter.label} takes metrics again")

    def stop(self, timeout: float) -> None:
        """Let the exporter go.  Never raises."""
        if self._exporter is not None:
            try:
                self._exporter.stop(timeout)
            except Exception as error:
                warn(f"{self._exporter.label} did not end well ({type(error).__name__}: {error})")

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child.  Never raises."""
        if self._exporter is not None:
            try:
                self._exporter.abandon()
            except Exception as error:
                warn(f"{self._exporter.label} did not let go ({type(error).__name__}: {error})")

    def _back_off(self, problem: str) -> None:
        pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** min(self._failures, 10))
        self._failures += 1
        self._retry_at = monotonic() + pause
        self._complain(problem)

    def _complain(self, problem: str) -> None:
        if problem and not self._complained:
            self._complained = True
            warn(problem)


def load_exporter(name: str) -> "MetricsExporter":
    """Make an exporter by its name.  Imports what it needs: for the metrics thread alone."""
    exporter: MetricsExporter
    exporter = load(EXPORTERS[name])() if name in EXPORTERS else load(FOREIGN)(name)
    return exporter
