"""What a process is doing, over time; and any metric that it sends."""

import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Any

from .asked import Asked, NotThere
from .charts import (
    Series,
    Span,
    chart,
    points_of,
    quantiles,
    rates,
    series_of,
    span_asked,
    values,
)
from .processes import process

_STATISTICS = ("p50", "p90", "p99", "max", "mean")
_MINUTE = 60.0

Drawn = dict[str, Any]
Labels = Callable[[dict[str, Any]], dict[str, Any]]


def _labels(**names: str) -> Labels:
    """What an attribute is called on the page."""
    return lambda attributes: {key: attributes.get(name, "") for key, name in names.items()}


_TYPE = _labels(type="whence.type")


def now(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/now`."""
    number = asked.process()
    span = span_asked(asked, time.time_ns())
    drawing = _Drawing(connection, number, span)
    return {
        "process": process(connection, number),
        "from": span.since / 1e9,
        "to": span.until / 1e9,
        "charts": {
            "active": drawing.values("whence.resource.active", "{resource}", _TYPE),
            "created": drawing.rates("whence.resource.created", "{resource}/s", _TYPE),
            "destroyed": drawing.rates(
                "whence.resource.destroyed",
                "{resource}/s",
                _labels(type="whence.type", outcome="whence.outcome"),
            ),
            "leaked": drawing.values("whence.resource.leaked", "{resource}", _TYPE),
            "delay": drawing.statistics("whence.eventloop.delay"),
            "utilization": drawing.values(
                "whence.eventloop.utilization", "1", _labels(thread="thread.id")
            ),
            "run_time": drawing.statistics("whence.callback.run_time"),
            "ready_time": drawing.statistics("whence.callback.ready_time"),
            "queue_time": drawing.statistics("whence.executor.queue_time"),
            "blocked": drawing.rates("whence.blocked", "{block}/min", _labels(), _MINUTE),
            "cpu": drawing.rates("process.cpu.time", "1", _labels(mode="cpu.mode")),
            "memory": drawing.values("process.memory.usage", "By", _labels()),
        },
    }


class _Drawing:
    """Charts of one process over one time."""

    def __init__(self, connection: sqlite3.Connection, number: int, span: Span) -> None:
        self._connection = connection
        self._process = number
        self._span = span

    def values(self, metric: str, unit: str, labels: Labels) -> Drawn:
        """A metric as it is."""
        return self._chart(metric, unit, labels, lambda _, points: values(points))

    def rates(self, metric: str, unit: str, labels: Labels, per: float = 1.0) -> Drawn:
        """A metric that grows."""
        return self._chart(metric, unit, labels, lambda series, points: rates(series, points, per))

    def statistics(self, prefix: str) -> Drawn:
        """Metrics that are statistics of one thing: the worst of each moment."""
        lines = (
            ({"statistic": word}, values(self._points(series)))
            for word in _STATISTICS
            for series in series_of(self._connection, self._process, f"{prefix}.{word}")
        )
        return chart("s", lines, self._span, max)

    def _chart(
        self,
        metric: str,
        unit: str,
        labels: Labels,
        read: Callable[[Series, Iterable[Any]], Iterable[tuple[int, float]]],
    ) -> Drawn:
        found = series_of(self._connection, self._process, metric)
        lines = ((labels(one.attributes), read(one, self._points(one))) for one in found)
        return chart(unit, lines, self._span)

    def _points(self, series: Series) -> list[Any]:
        return list(points_of(self._connection, series, self._span))


def metrics(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/metrics`."""
    rows = connection.execute(
        "SELECT DISTINCT metric, kind, unit, description FROM series WHERE process = ? "
        "ORDER BY metric",
        (asked.process(),),
    )
    keys = ("name", "kind", "unit", "description")
    return {"metrics": [dict(zip(keys, row, strict=True)) for row in rows]}


def metric(connection: sqlite3.Connection, asked: Asked, name: str) -> dict[str, Any]:
    """`/api/metrics/NAME`."""
    number = asked.process()
    span = span_asked(asked, time.time_ns())
    found = series_of(connection, number, name)
    if not found:
        raise NotThere(f"process {number} has no metric {name!r:.100}")
    first = found[0]
    lines: list[tuple[dict[str, Any], Iterable[tuple[int, float]]]] = []
    for series in found:
        points = points_of(connection, series, span)
        if series.kind in ("histogram", "summary"):
            for word, line in quantiles(series, points).items():
                lines.append(({**series.attributes, "statistic": word}, line))
        elif series.grows or series.delta:
            lines.append((series.attributes, rates(series, points)))
        else:
            lines.append((series.attributes, values(points)))
    about = {"kind": first.kind, "unit": first.unit, "description": first.description}
    grows = first.kind == "sum" and first.grows
    return {
        "metric": {"name": name, **about},
        "chart": chart(f"{first.unit}/s" if grows else first.unit, lines, span),
    }
