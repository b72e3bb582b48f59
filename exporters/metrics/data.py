"""The metrics of one reader, in the form that OpenTelemetry's SDK gives to its exporters.

Made without the SDK's instruments, readers and providers: those hold locks and start threads in a
forked child, and know no histogram that is read, only one that is told of each value.
"""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic, time_ns
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as SdkMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from whence.engine.histograms import Snapshot
from whence.sending.metrics import since
from whence.version import VERSION

from .table import COUNTER, DISTRIBUTIONS, GAUGE, OF_PROCESS, OWN, Distribution, Metric
from .window import Window

SCOPE = InstrumentationScope("whence", VERSION)

CUMULATIVE = AggregationTemporality.CUMULATIVE
DELTA = AggregationTemporality.DELTA

_SMALLEST = 11
_LARGEST = 36
BOUNDS = tuple((1 << slot) / 1e9 for slot in range(_SMALLEST, _LARGEST + 1))
"""Upper bounds of the buckets of every distribution, in seconds: 2 us, 4 us, ... 69 s."""


class MetricsReader:
    """Reads all metrics, again and again."""

    def __init__(
        self,
        resource: Callable[[], Resource],
        *,
        delta: bool = False,
        shortest: float = 0.0,
        units: Mapping[str, str] = {},
        clock: Callable[[], int] = time_ns,
    ) -> None:
        """`delta`: counters and distributions say what has come since the last time; `shortest`:
        seconds that gauges are of at least, where several read; `units`: other words for units."""
        self._resource = resource
        self._window = Window(shortest)
        self._units = units
        self._temporality = DELTA if delta else CUMULATIVE
        self._clock = clock
        self._began = self._last = clock() - int((monotonic() - since()) * 1e9)
        self._counted: dict[tuple[str, frozenset[Any]], float] = {}

    def read(self) -> MetricsData:
        """All metrics as they are now."""
        self._window.look()
        now = self._clock()
        metrics = [self._numbers(metric, now) for metric in (*OWN, *OF_PROCESS)]
        metrics += [self._histogram(distribution, now) for distribution in DISTRIBUTIONS]
        self._last = now
        said = [metric for metric in metrics if metric.data.data_points]
        return MetricsData([ResourceMetrics(self._resource(), [ScopeMetrics(SCOPE, said, "")], "")])

    def _numbers(self, metric: Metric, now: int) -> SdkMetric:
        points = metric.read(self._window)
        unit = self._units.get(metric.unit, metric.unit)
        if metric.kind == GAUGE:
            made = [NumberDataPoint(about, 0, now, value) for value, about in points]
            return SdkMetric(metric.name, metric.description, unit, Gauge(made))
        is_counter = metric.kind == COUNTER
        if is_counter and self._temporality is DELTA:
            points = self._grown(metric.name, points)
            temporality, start = DELTA, self._last
        else:
            temporality, start = CUMULATIVE, self._began
        made = [NumberDataPoint(about, start, now, value) for value, about in points]
        data = Sum(made, temporality, is_monotonic=is_counter)
        return SdkMetric(metric.name, metric.description, unit, data)

    def _grown(
        self, name: str, points: Iterable[tuple[float, dict[str, Any]]]
    ) -> Iterable[tuple[float, dict[str, Any]]]:
        for value, about in points:
            key = (name, frozenset(about.items()))
            yield max(0, value - self._counted.get(key, 0)), about
            self._counted[key] = value

    def _histogram(self, distribution: Distribution, now: int) -> SdkMetric:
        if self._temporality is DELTA:
            counted, start = self._window.since(distribution.measure), self._last
        else:
            counted, start = self._window.total(distribution.measure), self._began
        point = HistogramDataPoint(
            attributes={},
            start_time_unix_nano=start,
            time_unix_nano=now,
            count=counted.count,
            sum=counted.sum,
            bucket_counts=_in_buckets(counted),
            explicit_bounds=BOUNDS,
            min=counted.min,
            max=counted.max,
        )
        data = Histogram([point], self._temporality)
        return SdkMetric(distribution.name, distribution.description, "s", data)


def _in_buckets(counted: Snapshot) -> list[int]:
    """Numbers of values up to each bound, and beyond the last one."""
    counts = counted.counts
    between = counts[_SMALLEST + 1 : _LARGEST + 1]
    return [sum(counts[: _SMALLEST + 1]), *between, sum(counts[_LARGEST + 1 :])]
