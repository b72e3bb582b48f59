"""Points of metrics as lines over time: at most `MOST` times, what grows as a rate."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .asked import BILLION, Asked

MOST = 600
"""Times of a chart: about as many as a page has pixels for."""
DEFAULT = 15 * 60 * BILLION
"""Nanoseconds that a chart shows."""
_SHORTEST = BILLION
"""Nanoseconds between two times."""
_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))

Line = dict[int, float]
"""Time -> value."""


class Span(NamedTuple):
    """The time of a chart, in nanoseconds."""

    since: int
    until: int

    @property
    def step(self) -> int:
        """Between two times that it shows."""
        return max(_SHORTEST, (self.until - self.since) // MOST)


class Series(NamedTuple):
    """A series of the tables."""

    id: int
    attributes: dict[str, Any]
    kind: str
    grows: bool
    delta: bool
    unit: str
    description: str


class Point(NamedTuple):
    """A point of a series."""

    at: int
    value: float | None
    since: int
    buckets: str | None


def span_asked(asked: Asked, now: int) -> Span:
    """`from` and `to`; by default the last quarter of an hour."""
    until = asked.time("to", now)
    return Span(min(asked.time("from", max(0, until - DEFAULT)), until), until)


def series_of(connection: sqlite3.Connection, process: int, metric: str) -> list[Series]:
    """The series of a metric."""
    rows = connection.execute(
        "SELECT id, attributes, kind, grows, delta, unit, description FROM series "
        "WHERE process = ? AND metric = ? ORDER BY id",
        (process, metric),
    )
    return [Series(row[0], json.loads(row[1]), *row[2:]) for row in rows]


def points_of(connection: sqlite3.Connection, series: Series, span: Span) -> list[Point]:
    """Its points in that time, and the last one before, which a rate begins with."""
    rows = connection.execute(
        "SELECT at, value, since, buckets FROM points WHERE series = ? AND at <= ? AND at >= "
        "coalesce((SELECT max(at) FROM points WHERE series = ? AND at < ?), 0) ORDER BY at",
        (series.id, span.until, series.id, span.since),
    )
    return [Point(*row) for row in rows]


def values(points: Iterable[Point]) -> Iterator[tuple[int, float]]:
    """As they are."""
    return ((point.at, point.value) for point in points if point.value is not None)


def rates(series: Series, points: Iterable[Point], per: float = 1.0) -> Iterator[tuple[int, float]]:
    """How much it grew in each `per` seconds."""
    before: Point | None = None
    for point in points:
        if point.value is None:
            continue
        if series.delta:
            if point.at > point.since > 0:
                yield point.at, point.value * per * BILLION / (point.at - point.since)
        elif before is not None and before.value is not None:
            # What is smaller than before has begun again.
            grown = point.value - (before.value if point.value >= before.value else 0.0)
            yield point.at, grown * per * BILLION / (point.at - before.at)
        before = point


def quantiles(series: Series, points: Iterable[Point]) -> dict[str, list[tuple[int, float]]]:
    """Of a histogram: what it says of the time between two points."""
    lines: dict[str, list[tuple[int, float]]] = {}
    before: dict[str, Any] | None = None
    for point in points:
        if point.buckets is None:
            continue
        now = json.loads(point.buckets)
        new = now if series.delta else _grown(now, before)
        before = now
        if new is None or not new["count"]:
            continue
        lines.setdefault("mean", []).append((point.at, new["sum"] / new["count"]))
        for name, part in _QUANTILES:
            value = _quantile(new, part)
            if value is not None:
                lines.setdefault(name, []).append((point.at, value))
    return lines


def _grown(now: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any] | None:
    if before is None:
        return None
    if now["count"] < before["count"] or now.get("bounds") != before.get("bounds"):
        return now
    grown = {**now, "count": now["count"] - before["count"], "sum": now["sum"] - before["sum"]}
    if "counts" in now:
        grown["counts"] = [a - b for a, b in zip(now["counts"], before["counts"], strict=False)]
    return grown


def _quantile(histogram: dict[str, Any], part: float) -> float | None:
    if "quantiles" in histogram:
        value = histogram["quantiles"].get(str(part))
        return None if value is None else float(value)
    bounds, counts = histogram.get("bounds", []), histogram.get("counts", [])
    wanted, seen = part * sum(counts), 0
    for place, number in enumerate(counts):
        if number and seen + number >= wanted:
            low = bounds[place - 1] if place else 0.0
            high = bounds[place] if place < len(bounds) else low
            return float(low + (high - low) * (wanted - seen) / number)
        seen += number
    return None


def chart(
    unit: str,
    lines: Iterable[tuple[dict[str, Any], Iterable[tuple[int, float]]]],
    span: Span,
    choose: Callable[[float, float], float] = lambda before, now: now,
) -> dict[str, Any]:
    """Lines with their labels, on common times; `choose` says which of two values stands for both,
    where there are more than can be shown."""
    drawn: list[tuple[dict[str, Any], Line]] = []
    for labels, line in lines:
        thin: Line = {}
        for at, value in line:
            if span.since <= at <= span.until:
                at -= at % span.step
                thin[at] = choose(thin[at], value) if at in thin else value
        if thin:
            drawn.append((labels, thin))
    times = sorted({at for _, line in drawn for at in line})
    return {
        "unit": unit,
        "times": [at / BILLION for at in times],
        "series": [
            {"labels": labels, "values": [line.get(at) for at in times]} for labels, line in drawn
        ],
    }
