"""All metrics in the form of OpenTelemetry's SDK: temporality, times, buckets."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum
from opentelemetry.sdk.resources import Resource

from whence.engine.resource_types import EXECUTOR_JOB
from whence.exporters.metrics import data as module
from whence.exporters.metrics.data import BOUNDS, CUMULATIVE, DELTA, MetricsReader
from whence.sending.metrics import since

JOBS = EXECUTOR_JOB
assert JOBS.queue is not None
QUEUE = JOBS.queue
CREATED = "whence.resource.created"
ACTIVE = "whence.resource.active"
DISTRIBUTION = "whence.executor.queue_time.distribution"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Counting began a microsecond after 1970."""
    monkeypatch.setattr(module, "monotonic", since)
    return Clock()


@pytest.fixture(autouse=True)
def _counted_from_nothing() -> Iterator[None]:
    JOBS.restart()
    yield
    JOBS.restart()


def read(reader: MetricsReader) -> dict[str, Any]:
    (of_resource,) = reader.read().resource_metrics
    (of_scope,) = of_resource.scope_metrics
    return {metric.name: metric for metric in of_scope.metrics}


def reader(clock: Clock, **more: Any) -> MetricsReader:
    return MetricsReader(lambda: Resource({"service.name": "x"}), clock=clock, **more)


def jobs(metric: Any) -> Any:
    (point,) = [
        point
        for point in metric.data.data_points
        if point.attributes["whence.type"] == "ExecutorJob"
    ]
    return point


def test_what_only_grows_says_all_since_the_beginning(clock: Clock) -> None:
    made = reader(clock)
    JOBS.created = 3
    clock.now = 2_000
    read(made)
    JOBS.created = 5
    clock.now = 3_000
    metric = read(made)[CREATED]
    assert isinstance(metric.data, Sum)
    assert metric.data.is_monotonic
    assert metric.data.aggregation_temporality is CUMULATIVE
    point = jobs(metric)
    assert (point.value, point.start_time_unix_nano, point.time_unix_nano) == (5, 1_000, 3_000)


def test_or_what_has_come_since_the_last_time_for_who_prefers_that(clock: Clock) -> None:
    made = reader(clock, delta=True)
    JOBS.created = 3
    QUEUE.record(2_000_000)
    clock.now = 2_000
    first = read(made)
    assert jobs(first[CREATED]).value == 3
    JOBS.created = 5
    QUEUE.record(2_000_000)
    QUEUE.record(2_000_000)
    clock.now = 3_000
    second = read(made)
    assert second[CREATED].data.aggregation_temporality is DELTA
    point = jobs(second[CREATED])
    assert (point.value, point.start_time_unix_nano, point.time_unix_nano) == (2, 2_000, 3_000)
    (counted,) = second[DISTRIBUTION].data.data_points
    assert second[DISTRIBUTION].data.aggregation_temporality is DELTA
    assert (counted.count, counted.sum, counted.start_time_unix_nano) == (2, 0.004, 2_000)
    assert second[ACTIVE].data.aggregation_temporality is CUMULATIVE


def test_what_goes_up_and_down_is_a_sum_that_is_not_monotonic(clock: Clock) -> None:
    JOBS.created, JOBS.destroyed = 5, 3
    metric = read(reader(clock))[ACTIVE]
    assert isinstance(metric.data, Sum)
    assert not metric.data.is_monotonic
    assert jobs(metric).value == 2


def test_gauges_are_of_a_moment(clock: Clock) -> None:
    clock.now = 7
    metric = read(reader(clock))["process.uptime"]
    assert isinstance(metric.data, Gauge)
    assert (metric.unit, metric.data.data_points[0].time_unix_nano) == ("s", 7)


def test_what_has_no_value_is_not_there(clock: Clock) -> None:
    names = read(reader(clock)).keys()
    assert "whence.executor.queue_time.p99" not in names
    assert DISTRIBUTION in names


def test_distributions_are_histograms_in_seconds_with_bounds_that_suit_them(clock: Clock) -> None:
    values = [0, 1, 2047, 2048, 1_000_000, 68_719_476_735, 68_719_476_736, 10**13]
    for nanoseconds in values:
        QUEUE.record(nanoseconds)
    metric = read(reader(clock))[DISTRIBUTION]
    assert isinstance(metric.data, Histogram)
    (point,) = metric.data.data_points
    assert (metric.unit, point.count) == ("s", len(values))
    assert point.sum == sum(values) / 1e9
    assert tuple(point.explicit_bounds) == BOUNDS
    assert len(point.bucket_counts) == len(BOUNDS) + 1
    assert BOUNDS[0] == 2048e-9
    assert 60 < BOUNDS[-1] < 70
    expected = [0] * (len(BOUNDS) + 1)
    for nanoseconds in values:
        # A value that is a bound is in the bucket above it, as the counters have it.
        expected[sum(bound <= nanoseconds / 1e9 for bound in BOUNDS)] += 1
    assert list(point.bucket_counts) == expected


def test_the_encoder_of_the_sdk_takes_all_of_it(clock: Clock) -> None:
    JOBS.created = 1
    QUEUE.record(5_000_000)
    made = reader(clock).read()
    encoded = encode_metrics(made)
    (of_resource,) = encoded.resource_metrics
    (of_scope,) = of_resource.scope_metrics
    assert of_scope.scope.name == "whence"
    assert [metric.name for metric in of_scope.metrics] == [
        metric.name for metric in made.resource_metrics[0].scope_metrics[0].metrics
    ]
    assert encoded.ByteSize() < 20_000


def test_counting_began_before_the_first_one_reads(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "monotonic", lambda: since() + 5)
    clock.now = 7_000_000_000
    (point, *_) = read(reader(clock))["process.cpu.time"].data.data_points
    assert point.start_time_unix_nano == pytest.approx(2_000_000_000)


def test_units_may_go_by_other_words(clock: Clock) -> None:
    units = {metric.unit for metric in read(reader(clock, units={"s": "seconds"})).values()}
    assert "seconds" in units
    assert "By" in units


def test_the_resource_is_asked_for_each_time(clock: Clock) -> None:
    names = iter(("first", "second"))
    made = MetricsReader(lambda: Resource({"service.name": next(names)}), clock=clock)
    seen = [made.read().resource_metrics[0].resource.attributes["service.name"] for _ in range(2)]
    assert seen == ["first", "second"]
