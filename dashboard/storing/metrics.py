"""Metrics into the tables: a series is a metric of a process with its attributes, a point what it
was at a time.

Points are kept as they came; what is cumulative is subtracted when it is looked at.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from .attributes import attributes_of
from .known import Known
from .spans import MAX_TIME

MAX_SERIES = 50_000
MAX_REMEMBERED = 20_000
MAX_ATTRIBUTES = 2_000
"""Characters of JSON; a point with more is left out."""
MAX_NAME = 500
MAX_BUCKETS = 1_000
_DELTA = 1
_NOT_RECORDED = 1
"""A flag of a point."""

Point = tuple[int, float | None, int, str | None]
"""Time, value, beginning of what it sums up, buckets."""


class Odd(Exception):
    """A point that nothing can be drawn of: not a number, or more buckets than anybody reads."""


def _number(point: Any) -> Point:
    value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    if not isfinite(value):
        raise Odd
    return (point.time_unix_nano, float(value), point.start_time_unix_nano, None)


def _histogram(point: Any) -> Point:
    return _with_buckets(point, list(point.explicit_bounds), list(point.bucket_counts))


def _exponential(point: Any) -> Point:
    """As buckets with bounds: those of negative numbers, zero, those of positive ones."""
    negative, positive = point.negative, point.positive
    if len(negative.bucket_counts) + len(positive.bucket_counts) > MAX_BUCKETS:
        raise Odd
    bounds: list[float] = []
    counts: list[int] = []
    try:
        base = 2.0 ** (2.0**-point.scale)
        for place in reversed(range(len(negative.bucket_counts))):
            counts.append(negative.bucket_counts[place])
            bounds.append(-(base ** (negative.offset + place)))
        counts.append(point.zero_count)
        bounds.append(base**positive.offset if positive.bucket_counts else 0.0)
        for place, number in enumerate(positive.bucket_counts):
            counts.append(number)
            bounds.append(base ** (positive.offset + place + 1))
    except (OverflowError, ZeroDivisionError):
        raise Odd from None
    return _with_buckets(point, bounds, [*counts, 0])


def _with_buckets(point: Any, bounds: list[float], counts: list[int]) -> Point:
    if len(counts) > MAX_BUCKETS or not all(map(isfinite, (point.sum, *bounds))):
        raise Odd
    buckets = {"count": point.count, "sum": point.sum, "bounds": bounds, "counts": counts}
    return (point.time_unix_nano, None, point.start_time_unix_nano, json.dumps(buckets))


def _summary(point: Any) -> Point:
    quantiles = {str(one.quantile): one.value for one in point.quantile_values[:MAX_BUCKETS]}
    if not all(map(isfinite, (point.sum, *quantiles.values()))):
        raise Odd
    buckets = {
        "count": point.count,
        "sum": point.sum,
        "quantiles": quantiles,
    }
    return (point.time_unix_nano, None, point.start_time_unix_nano, json.dumps(buckets))


_READERS: dict[str, tuple[str, Callable[[Any], Point]]] = {
    "gauge": ("gauge", _number),
    "sum": ("sum", _number),
    "histogram": ("histogram", _histogram),
    "exponential_histogram": ("histogram", _exponential),
    "summary": ("summary", _summary),
}
"""The kind of OTLP's -> the kind that it is shown as, and what reads a point of it."""


class MetricsIntake:
    """Takes metrics and, once for each commit, writes them."""

    def __init__(self, connection: sqlite3.Connection, known: Known) -> None:
        self._connection = connection
        self._known = known
        self._numbers: dict[tuple[int, str, str], int | None] = {}
        self._points: list[tuple[Any, ...]] = []
        self.number = 0
        """Points that there are."""
        self.forget()

    def take(self, request: Any, now: int) -> tuple[int, int]:
        """Take an ExportMetricsServiceRequest: the points taken and those left out, one series too
        many."""
        taken = rejected = 0
        for resource_metrics in request.resource_metrics:
            process = self._known.process(resource_metrics.resource, now)
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    for point in _points_of(metric):
                        if self._take_point(process.id, metric, point, now):
                            taken += 1
                        else:
                            rejected += 1
        return taken, rejected

    def write(self) -> None:
        """Write what was taken."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO points (series, at, value, since, buckets) "
            "VALUES (?, ?, ?, ?, ?)",
            self._points,
        )
        self.number += len(self._points)
        self._points.clear()

    def clear(self) -> None:
        """Let go of what was taken."""
        self._points.clear()

    def forget(self) -> None:
        """Rows were deleted, or what was written was taken back."""
        self._numbers.clear()
        self._points.clear()
        (self._left,) = self._connection.execute(
            "SELECT ? - count(*) FROM series", (MAX_SERIES,)
        ).fetchone()
        (self.number,) = self._connection.execute("SELECT count(*) FROM points").fetchone()

    def _take_point(self, process: int, metric: Any, point: Any, now: int) -> bool:
        if point.flags & _NOT_RECORDED:
            return True
        attributes = json.dumps(attributes_of(point.attributes), sort_keys=True)
        if len(attributes) > MAX_ATTRIBUTES:
            return False
        key = (process, metric.name[:MAX_NAME], attributes)
        if key not in self._numbers:
            if len(self._numbers) >= MAX_REMEMBERED:
                self._numbers.clear()
            self._numbers[key] = self._series(key, metric)
        series = self._numbers[key]
        if series is None:
            return False
        try:
            at, value, since, buckets = _READERS[metric.WhichOneof("data")][1](point)
        except Odd:
            return False
        self._points.append(
            (series, min(at or now, MAX_TIME), value, min(since, MAX_TIME), buckets)
        )
        return True

    def _series(self, key: tuple[int, str, str], metric: Any) -> int | None:
        found = self._connection.execute(
            "SELECT id FROM series WHERE process = ? AND metric = ? AND attributes = ?", key
        ).fetchone()
        if found is not None:
            return int(found[0])
        if self._left <= 0:
            return None
        self._left -= 1
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind)
        return self._connection.execute(
            "INSERT INTO series (process, metric, attributes, kind, grows, delta, unit, "
            "description) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                _READERS[kind][0],
                kind not in ("sum", "gauge") or getattr(data, "is_monotonic", False),
                getattr(data, "aggregation_temporality", 0) == _DELTA,
                metric.unit[:50],
                metric.description[:MAX_NAME],
            ),
        ).lastrowid


def _points_of(metric: Any) -> Iterable[Any]:
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind in _READERS else ()
