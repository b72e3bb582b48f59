"""Metrics to any exporter that is made for OpenTelemetry's SDK, by the name of its entry point."""

import sys
from typing import Any

from opentelemetry.sdk.metrics import ObservableCounter
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricExportResult,
)

from whence.sending.exporting import CannotExport, ExportError
from whence.settings.config import Settings

from ..entry_points import load
from ..spans import span_maker
from .data import DELTA, MetricsReader
from .meters import application_has_provider

GROUP = "opentelemetry_metrics_exporter"

_abandoned: list[Any] = []
"""Exporters of a parent process: what they do when they are collected is made for their process."""


class ForeignMetrics:
    """Hands the metrics on, as the SDK would, unless the application has a MeterProvider."""

    def __init__(self, name: str) -> None:
        self.label = f"the metrics exporter {name}"
        self._name = name

    def start(self, settings: Settings) -> None:
        """Load it.  Raises CannotExport if it cannot be made without arguments."""
        self._exporter: MetricExporter = self._made()
        preferred = self._exporter._preferred_temporality or {}
        self._reader = MetricsReader(
            span_maker(settings).resource_now, delta=preferred.get(ObservableCounter) is DELTA
        )

    def export(self, timeout: float | None) -> None:
        """Hand on all metrics as they are now."""
        if application_has_provider():
            return
        millis = 10_000.0 if timeout is None else timeout * 1000
        result = self._exporter.export(self._reader.read(), timeout_millis=millis)
        if result is not MetricExportResult.SUCCESS:
            raise ExportError(f"{self.label} failed; metrics are dropped until it takes them")

    def stop(self, timeout: float) -> None:
        """Shut it down."""
        self._exporter.shutdown(timeout_millis=timeout * 1000)

    def abandon(self) -> None:
        """In a forked child."""
        _abandoned.append(self._exporter)

    def _made(self) -> MetricExporter:
        if self._name == "console":
            # The SDK's own writes to stdout, which is the program's.
            if sys.__stderr__ is None:
                raise CannotExport("")
            return ConsoleMetricExporter(out=sys.__stderr__)
        factory = load(GROUP, self._name)
        if factory is None:
            raise CannotExport(
                f"OTEL_METRICS_EXPORTER: expected otlp, prometheus, console, none or an installed "
                f"exporter, not {self._name!r}; it gets no metrics"
            )
        made = factory()
        if not isinstance(made, MetricExporter):
            raise CannotExport(
                f"OTEL_METRICS_EXPORTER: {self._name} is no exporter that metrics can be handed to"
            )
        return made
