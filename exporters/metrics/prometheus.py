"""All metrics as the text that Prometheus reads."""

from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricsData
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from whence.settings.config import Settings

from ..spans import span_maker
from .data import MetricsReader

SHORTEST = 5.0
"""Seconds that gauges are of: Prometheus servers come in pairs."""
_UNITS = {"1": "ratio"}
"""The library gives ratios no suffix; Prometheus does, when they come by OTLP."""


class Exposition:
    """The metrics in the format that a scrape accepts."""

    def __init__(self, settings: Settings) -> None:
        self._reader = MetricsReader(
            span_maker(settings).resource_now, shortest=SHORTEST, units=_UNITS
        )
        # A registry of our own: the program may be serving the one that all share.
        self._registry = CollectorRegistry()
        made = PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)
        # What a MeterProvider tells each of its readers: where the metrics come from.
        made._set_collect_callback(self._collect)
        self._made = made

    def text(self, accept: str) -> tuple[bytes, str]:
        """The text, and its content type; `accept` is what the scrape says that it takes."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def _collect(self, *_: Any, **__: Any) -> MetricsData:
        return self._reader.read()
