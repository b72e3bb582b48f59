"""Metrics to exporters made for OpenTelemetry's SDK."""

import json

import pytest
from opentelemetry.sdk.metrics import ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    Sum,
)

from configured import settings
from whence.exporters.metrics import foreign as module
from whence.exporters.metrics.foreign import ForeignMetrics
from whence.sending.exporting import CannotExport, ExportError


class Theirs(MetricExporter):
    """Keeps what it is given."""

    made: "list[Theirs]" = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(preferred_temporality={ObservableCounter: AggregationTemporality.DELTA})
        self.taken: list[MetricsData] = []
        self.timeouts: list[float] = []
        self.result = MetricExportResult.SUCCESS
        self.ended = False
        Theirs.made.append(self)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **more: object
    ) -> MetricExportResult:
        self.taken.append(metrics_data)
        self.timeouts.append(timeout_millis)
        return self.result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **more: object) -> None:
        self.ended = True


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> ForeignMetrics:
    monkeypatch.setattr(module, "load", lambda group, name: Theirs)
    exporter = ForeignMetrics("theirs")
    exporter.start(settings())
    return exporter


def test_one_that_is_installed_gets_all_metrics_as_it_prefers_them(theirs: ForeignMetrics) -> None:
    theirs.export(None)
    theirs.export(0.5)
    theirs.stop(1)
    exporter = Theirs.made[-1]
    assert exporter.timeouts == [10_000, 500]
    (metric,) = [
        metric
        for metric in exporter.taken[0].resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "process.cpu.time"
    ]
    assert isinstance(metric.data, Sum)
    assert metric.data.aggregation_temporality is AggregationTemporality.DELTA
    assert exporter.ended


def test_its_failure_is_one(theirs: ForeignMetrics) -> None:
    Theirs.made[-1].result = MetricExportResult.FAILURE
    with pytest.raises(ExportError, match="the metrics exporter theirs failed"):
        theirs.export(None)


def test_the_console_is_stderr_and_never_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    exporter = ForeignMetrics("console")
    exporter.start(settings())
    exporter.export(None)
    out, err = capfd.readouterr()
    assert out == ""
    (of_resource,) = json.loads(err)["resource_metrics"]
    assert of_resource["resource"]["attributes"]["service.name"] == "tests"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            None,
            "OTEL_METRICS_EXPORTER: expected otlp, prometheus, console, none or an installed "
            "exporter, not 'odd'; it gets no metrics",
        ),
        (
            InMemoryMetricReader,
            "OTEL_METRICS_EXPORTER: odd is no exporter that metrics can be handed to",
        ),
    ],
)
def test_one_that_is_none_is_told(
    found: object, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load", lambda group, name: found)
    with pytest.raises(CannotExport) as raised:
        ForeignMetrics("odd").start(settings())
    assert str(raised.value) == line
