"""The metrics that are sent: where to, how often, in a thread of our own.

- Every 15 s, or as OTEL_METRIC_EXPORT_INTERVAL says, each destination reads all metrics and sends
  them.  OpenTelemetry's default of a minute is made for counters; a loop that stood still for a
  second is not to be found in the percentiles of a minute, and a collection costs two milliseconds.
- The last time is at the end, unless the process was there for less than a second and nobody asked
  for metrics: its series would be one more of as many as there are runs, each of one point.

Start-up path of every attached process: imports nothing heavy.
"""

import os
from time import monotonic

from ..background import Signal, stay_unlisted
from ..report import warn
from ..resident import STOPPED, Resident
from .metrics_destination import MetricsDestination

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..settings.config import Settings

VARIABLE = "OTEL_METRICS_EXPORTER"
INTERVAL_VARIABLE = "OTEL_METRIC_EXPORT_INTERVAL"
INTERVAL = 15.0
SHORTEST_LIFE = 1.0
"""Seconds that a process must have had a loop for to send metrics at its end."""
_MARGIN = 0.1
"""Seconds of the end that exporters are not given, so that all is over in time."""
_AFTER_SPANS = 0.5
"""Seconds of the end that are left for the last collection, which waits for the last span: it is to
say what became of it."""


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
    names = (name.strip() for name in environ.get(VARIABLE, "").split(","))
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
        self._shortest_life = 0.0 if asked_for(os.environ) else SHORTEST_LIFE
        self._due = 0.0
        self._ended = False
        self._woken = Signal()
        self._spans_are_sent = Signal()
        self.resident = Resident("sending metrics", self._work, self._woken.set)

    def finish(self) -> None:
        """The spans are sent: have the last collection sent, if no thread runs in this one."""
        self._spans_are_sent.set()
        if not self._ended and self._is_worth_an_end():
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
                self._export(None)
        if resident.order is STOPPED:
            self._end()

    def _end(self) -> None:
        self._ended = True
        if self._is_worth_an_end():
            self._load()
            self._spans_are_sent.wait(self.resident.stop_by - _AFTER_SPANS - monotonic())
            self._export(self._left())
        for destination in self._destinations:
            destination.stop(self._left())

    def _export(self, timeout: float | None) -> None:
        for destination in self._destinations:
            destination.export(timeout)
            stay_unlisted()

    def _is_worth_an_end(self) -> bool:
        """Whether there is a series to be ended, or time enough was since the first event."""
        return bool(self._destinations) or self.resident.life >= self._shortest_life

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
