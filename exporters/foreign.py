"""Any exporter that is made for OpenTelemetry's SDK, by the name of its entry point."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace.export import SpanExportResult

from whence.engine import SpanLifetime, Trace
from whence.sending.exporting import CannotExport, ExportError, Taken
from whence.settings.config import Settings

from .entry_points import load
from .readable import readable
from .spans import SpanMaker, span_maker

GROUP = "opentelemetry_traces_exporter"

_abandoned: list[Any] = []
"""Exporters of a parent process: what they do when they are collected is made for their process."""


class ForeignExporter:
    """Hands the spans on, as the SDK would."""

    def __init__(self, name: str) -> None:
        self.label = f"the exporter {name}"
        self._name = name
        self._exporter: Any = None

    def start(self, settings: Settings) -> None:
        """Load it.  Raises CannotExport if it cannot be made without arguments."""
        factory = load(GROUP, self._name)
        if factory is None:
            raise CannotExport(f"expected an installed exporter, not {self._name!r}")
        self._exporter = factory()
        self._maker: SpanMaker = span_maker(settings)

    def export(self, batch: Sequence[SpanLifetime], timeout: float | None) -> Taken:
        """Hand on those that are sampled.  How long that takes is the exporter's affair."""
        spans = self._maker.spans_of(batch)
        unsampled = len(batch) - len(spans)
        if spans:
            resource = self._maker.resource
            result = self._exporter.export([readable(span, resource) for span in spans])
            if result is not SpanExportResult.SUCCESS:
                raise ExportError(f"{self.label} failed; spans are dropped", Taken(0, unsampled))
        return Taken(len(spans), unsampled)

    def is_sampled(self, trace: Trace) -> bool:
        """Whether the sampler wants a trace."""
        return self._maker.identity_of(trace).sampled

    def stop(self, timeout: float) -> None:
        """Shut it down."""
        self._exporter.shutdown()

    def abandon(self) -> None:
        """In a forked child."""
        _abandoned.append(self._exporter)
