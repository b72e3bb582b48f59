"""The metrics that are sent: where to, how often, in a thread of our own.

- Every 15 s, or as OTEL_METRIC_EXPORT_INTERVAL says, each destination reads all metrics and sends
  them.  OpenTelemetry's default of a minute is made for counters; a loop that stood still for a
  second is not to be found in the percentiles of a minute, and a collection costs two milliseconds.
- The last time is at the end, unless the process was there for less than a second: its series would
  be one more of as many as there are runs, each of one point.
- What did not arrive is not sent again: the next collection says it all.  After a failure the
  destination is left alone, for 1 s, then 2, ... 60 at most.  The user reads one line when it goes
  down and one when it is up again.

Start-up path of every attached process: imports nothing heavy.
"""

import os
from time import monotonic

from .background import Signal
from .exporting import CannotExport, ExportError, load
from .report import warn
from .resident import STOPPED, Resident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from .config import Settings

    class MetricsExporter(Protocol):
        """Reads all metrics and takes them somewhere."""

        label: str

        def start(self, settings: Settings) -> None:
            """Make ready; called once."""

        def export(self, timeout: float | None) -> None:
            """Read and send, within `timeout` seconds if there is one; raises ExportError.

            An ExportError or CannotExport without a text is told to nobody."""

        def stop(self, timeout: float) -> None:
            """Let go of everything, within `timeout` seconds."""

        def abandon(self) -> None:
            """Let go, in a forked child, of what belongs to the parent."""


EXPORTERS = {"otlp": "whence.exporters.metrics_otlp:OtlpMetrics"}
"""Name -> module and class, of those that come with whence."""
FOREIGN = "whence.exporters.metrics_foreign:ForeignMetrics"
"""Carries the exporters that are made for OpenTelemetry's SDK."""

VARIABLE = "OTEL_METRICS_EXPORTER"
INTERVAL_VARIABLE = "OTEL_METRIC_EXPORT_INTERVAL"
INTERVAL = 15.0
SHORTEST_LIFE = 1.0
"""Seconds that a process must have had a loop for to send metrics at its end."""
_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_MARGIN = 0.1
"""Seconds of the end that exporters are not given, so that all is over in time."""


def exporters_of(settings: "Settings", environ: "Mapping[str, str]") -> tuple[str, ...]:
    """Which exporters metrics go to: those that OTEL_METRICS_EXPORTER names, else OTLP if spans go
    there.  Prometheus is none of them: it comes and asks."""
    if nothing_is_sent(settings):
        return ()
    names = asked_for(environ)
    if not names:
        return ("otlp",) if "otlp" in settings.export else ()
    return () if "none" in names else tuple(name for name in names if name != "prometheus")


def nothing_is_sent(settings: "Settings") -> bool:
    """Whether the user told whence to send nothing; OTEL_TRACES_EXPORTER speaks of spans alone."""
    return settings.export == ("none",) and not settings.origin("export").startswith("OTEL_")


def asked_for(environ: "Mapping[str, str]") -> tuple[str, ...]:
    """The names in OTEL_METRICS_EXPORTER."""
    names = (name.strip().lower() for name in environ.get(VARIABLE, "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def interval_of(environ: "Mapping[str, str]") -> float:
    """Seconds from one collection to the next."""
    text = environ.get(INTERVAL_VARIABLE, "").strip()
    if not text:
        return INTERVAL
    if text.isdecimal() and int(text) > 0:
        return int(text) / 1000
    warn(
        f"{INTERVAL_VARIABLE}: expected milliseconds above 0, not {text!r}; "
        f"{INTERVAL * 1000:g} is used"
    )
    return INTERVAL


class Metering:
    """Sends the metrics of this process."""

    def __init__(
        self,
        settings: "Settings",
        names: "tuple[str, ...]",
        before_loading: "Callable[[], None]" = lambda: None,
    ) -> None:
        """`before_loading` is called in the thread, before it imports what exporters need."""
        self._settings = settings
        self._names = names
        self._before_loading = before_loading
        self._interval = interval_of(os.environ)
        self._destinations: list[MetricsDestination] = []
        self._due = 0.0
        self._woken = Signal()
        self.resident = Resident("sending metrics", self._work, self._woken.set)

    def finish(self) -> None:
        """Have the last collection sent, where no thread runs that does."""
        if self._is_worth_an_end():
            self.resident.finish()

    def in_child(self) -> "Metering":
        """The same for a forked child."""
        for destination in self._destinations:
            destination.abandon()
        return Metering(self._settings, self._names, self._before_loading)

    def _work(self) -> None:
        resident = self.resident
        if not self._due:
            self._due = monotonic() + self._interval
        while resident.order is None:
            self._woken.wait(self._due - monotonic())
            if resident.order is None and monotonic() >= self._due:
                self._due = monotonic() + self._interval
                self._load()
                for destination in self._destinations:
                    destination.export(None)
        if resident.order is STOPPED:
            self._end()

    def _end(self) -> None:
        if self._is_worth_an_end():
            self._load()
            for destination in self._destinations:
                destination.export(self._left())
        for destination in self._destinations:
            destination.stop(self._left())

    def _is_worth_an_end(self) -> bool:
        return self.resident.life >= SHORTEST_LIFE

    def _left(self) -> float:
        return max(0.0, self.resident.stop_by - _MARGIN - monotonic())

    def _load(self) -> None:
        if not self._destinations:
            self.resident.loading = True
            try:
                self._before_loading()
                self._destinations = [MetricsDestination(name) for name in self._names]
                for destination in self._destinations:
                    destination.start(self._settings)
            finally:
                self.resident.loading = False


class MetricsDestination:
    """Where metrics go, and whether it is up."""

    def __init__(
        self, name: str, load_exporter: "Callable[[str], MetricsExporter] | None" = None
    ) -> None:
        self.name = name
        self._load = load_exporter or _load_exporter
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


def _load_exporter(name: str) -> "MetricsExporter":
    exporter: MetricsExporter
    exporter = load(EXPORTERS[name])() if name in EXPORTERS else load(FOREIGN)(name)
    return exporter
