"""The search: traces, the latest first, for as long as a page may take to answer."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from .asked import BILLION, Asked

_TIME = 0.15
"""Seconds of searching; what was found by then is shown."""
_STEPS = 2_000
"""Of SQLite's machine between two looks at the clock."""
_LIMIT = 50
_MOST = 500
_COLUMNS = (
    "traces.id, traces.trace_id, traces.name, services.name, start, end, spans, errors, blocked, "
    "delayed, failed, run, ready, wait"
)


def traces(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/traces`."""
    limit = max(1, asked.whole("limit", _LIMIT, _MOST))
    found: list[tuple[Any, ...]] = []
    question, values = _question(connection, asked)
    complete = True
    with _limited(connection):
        try:
            for row in connection.execute(question, values):
                found.append(row)
                if len(found) > limit:
                    break
        except sqlite3.OperationalError as error:
            if "interrupt" not in str(error):
                raise
            complete = False
    more = len(found) > limit
    shown = found[:limit]
    return {
        "traces": [_summary(connection, row) for row in shown],
        "complete": complete,
        "next": str(shown[-1][0]) if more else None,
    }


def _question(connection: sqlite3.Connection, asked: Asked) -> tuple[str, list[Any]]:
    since, until = asked.times()
    conditions = ["traces.start <= ?", "traces.end >= ?"]
    values: list[Any] = [until, since]
    if since:
        # Numbers grow with arrival, and nothing arrives before it has begun.
        conditions.append("traces.id >= ?")
        values.append(_first_after(connection, since))
    before = asked.whole("before", 0, 2**63 - 1)
    if before:
        conditions.append("traces.id < ?")
        values.append(before)
    for name, comparison in (("min", ">="), ("max", "<=")):
        seconds = asked.number(name)
        if seconds is not None:
            conditions.append(f"traces.end - traces.start {comparison} ?")
            values.append(min(seconds * BILLION, 2.0**63))
    if asked.flag("error"):
        conditions.append("traces.errors > 0")
    if asked.flag("blocked"):
        conditions.append("traces.blocked > 0")
    service, name = asked.text("service"), asked.text("name")
    if service:
        conditions.append(
            "EXISTS (SELECT 1 FROM trace_services WHERE trace = traces.id AND service = "
            "(SELECT id FROM services WHERE name = ?))"
        )
        values.append(service)
    if name:
        conditions.append(
            "EXISTS (SELECT 1 FROM trace_names WHERE trace = traces.id AND trace_names.name IN "
            "(SELECT names.id FROM names WHERE names.name LIKE ? ESCAPE '\\'))"
        )
        values.append(f"%{_escaped(name)}%")
    return (
        f"SELECT {_COLUMNS} FROM traces JOIN services ON services.id = traces.service "
        f"WHERE {' AND '.join(conditions)} ORDER BY traces.id DESC",
        values,
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _first_after(connection: sqlite3.Connection, time: int) -> int:
    """The number from which on traces have arrived after `time`, by halves."""
    low, high = connection.execute("SELECT min(id), max(id) FROM traces").fetchone()
    if low is None:
        return 0
    while low < high:
        middle = (low + high) // 2
        number, arrived = connection.execute(
            "SELECT id, arrived FROM traces WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
        ).fetchone()
        if arrived < time:
            low = number + 1
        else:
            high = middle
    return int(low)


@contextmanager
def _limited(connection: sqlite3.Connection) -> Iterator[None]:
    end = monotonic() + _TIME
    connection.set_progress_handler(lambda: monotonic() > end, _STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _summary(connection: sqlite3.Connection, row: tuple[Any, ...]) -> dict[str, Any]:
    number, trace_id, name, service, start, end, spans, errors, blocked, delayed = row[:10]
    failed, run, ready, wait = row[10:]
    return {
        "trace_id": trace_id.hex(),
        "name": name,
        "service": service,
        "services": _services(connection, number),
        "start": start / BILLION,
        "duration": (end - start) / BILLION,
        "spans": spans,
        "errors": errors,
        "failed": bool(failed),
        "blocked": blocked,
        "delayed": delayed,
        "run": run,
        "ready": ready,
        "wait": wait,
    }


def _services(connection: sqlite3.Connection, number: int) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM services WHERE EXISTS (SELECT 1 FROM trace_services "
        "WHERE service = services.id AND trace = ?) ORDER BY name",
        (number,),
    )
    return [name for (name,) in rows]
