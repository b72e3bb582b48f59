"""What was found in the spans: what blocked, what leaked, what triggers what."""

import json
import sqlite3
from typing import Any

from .asked import BILLION, Asked

_MAX_BLOCKERS = 200
_MAX_NAMES = 10
_MAX_SITES = 500
_NODES = 200
_MAX_NODES = 5_000
_SITE = ("service", "type", "name", "file", "line", "function")


def blockers(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/blockers`."""
    since, until = asked.times()
    service = asked.text("service")
    rows = connection.execute(
        "SELECT services.id, services.name, file, line, function, count(*), sum(seconds), "
        "max(seconds), max(at), sum(delayed) FROM blocks JOIN services ON services.id = service "
        "WHERE at BETWEEN ? AND ? AND ? IN ('', services.name) "
        "GROUP BY service, file, line, function ORDER BY sum(seconds) DESC LIMIT ?",
        (since, until, service, _MAX_BLOCKERS),
    )
    return {"blockers": [_blocker(connection, row, since, until) for row in rows.fetchall()]}


def _blocker(
    connection: sqlite3.Connection, row: tuple[Any, ...], since: int, until: int
) -> dict[str, Any]:
    number, service, file, line, function, times, total, longest, last, delayed = row
    blocks = connection.execute(
        "SELECT name, delayed_names, stack, trace_id, span_id FROM blocks "
        "WHERE service = ? AND file IS ? AND line IS ? AND function IS ? AND at BETWEEN ? AND ? "
        "ORDER BY seconds DESC LIMIT 50",
        (number, file, line, function, since, until),
    ).fetchall()
    named = [name for block in blocks for name in json.loads(block[1])]
    return {
        "service": service,
        "file": file,
        "line": line,
        "function": function,
        "number": times,
        "total": total,
        "max": longest,
        "last": last / BILLION,
        "delayed": delayed,
        "delayed_names": _frequent(named),
        "names": _frequent([block[0] for block in blocks]),
        "stack": next((block[2] for block in blocks if block[2]), None),
        "example": {"trace_id": blocks[0][3].hex(), "span_id": blocks[0][4].hex()},
    }


def _frequent(names: list[Any]) -> list[str]:
    counted: dict[str, int] = {}
    for name in map(str, names):
        counted[name] = counted.get(name, 0) + 1
    return sorted(counted, key=lambda name: -counted[name])[:_MAX_NAMES]


def leaks(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/leaks`."""
    service = asked.text("service")
    sites = connection.execute(
        "SELECT services.name, type, leaks.name, file, line, function, outcome, number, first, "
        "leaks.last, trace_id, span_id FROM leaks JOIN services ON services.id = service "
        "WHERE ? IN ('', services.name) ORDER BY number DESC, leaks.last DESC LIMIT ?",
        (service, _MAX_SITES),
    )
    return {
        "sites": [
            {
                **_named(row[:6]),
                "outcome": row[6],
                "number": row[7],
                "first": row[8] / BILLION,
                "last": row[9] / BILLION,
                "example": {"trace_id": row[10].hex(), "span_id": row[11].hex()},
            }
            for row in sites
        ],
        "types": _leaked_types(connection, service),
    }


def _leaked_types(connection: sqlite3.Connection, service: str) -> list[dict[str, Any]]:
    """By the counters of the agent, as they were last."""
    rows = connection.execute(
        "SELECT services.name, series.process, series.attributes, series.metric, "
        "(SELECT value FROM points WHERE series = series.id ORDER BY at DESC LIMIT 1) "
        "FROM series JOIN processes ON processes.id = series.process "
        "JOIN services ON services.id = processes.service "
        "WHERE metric IN ('whence.resource.leaked', 'whence.resource.active') "
        "AND ? IN ('', services.name)",
        (service,),
    )
    types: dict[tuple[str, int, str], dict[str, int]] = {}
    for of, process, attributes, metric, value in rows:
        key = (of, process, json.loads(attributes).get("whence.type", ""))
        types.setdefault(key, {})[metric.rpartition(".")[2]] = int(value or 0)
    found = [
        {"service": key[0], "process": key[1], "type": key[2], "leaked": 0, "active": 0, **numbers}
        for key, numbers in types.items()
        if numbers.get("leaked")
    ]
    return sorted(found, key=lambda row: -int(row["leaked"]))


def flow(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/flow`."""
    service = asked.text("service")
    limit = max(1, asked.whole("limit", _NODES, _MAX_NODES))
    rows = connection.execute(
        "SELECT flow_nodes.id, services.name, type, flow_nodes.name, file, line, function, number, "
        "errors, duration / number, run / nullif(split, 0), ready / nullif(split, 0), "
        "wait / nullif(split, 0) FROM flow_nodes JOIN services ON services.id = service "
        "WHERE number > 0 AND ? IN ('', services.name) ORDER BY number DESC",
        (service,),
    ).fetchall()
    nodes = [_node(row) for row in rows[:limit]]
    shown = {node["id"] for node in nodes}
    edges = [
        _edge(row)
        for row in connection.execute(
            'SELECT "from", "to", link, number, between_total, between_max FROM flow_edges '
            "ORDER BY number DESC"
        )
        if row[0] in shown and row[1] in shown
    ]
    return {"nodes": nodes, "edges": edges, "left_out": {"nodes": len(rows) - len(nodes)}}


def _node(row: tuple[Any, ...]) -> dict[str, Any]:
    number, errors, duration, run, ready, wait = row[7:]
    return {
        "id": row[0],
        **_named(row[1:7]),
        "number": number,
        "errors": errors,
        "duration": duration,
        "run": run,
        "ready": ready,
        "wait": wait,
    }


def _edge(row: tuple[Any, ...]) -> dict[str, Any]:
    cause, effect, link, number, total, longest = row
    return {
        "from": cause,
        "to": effect,
        "link": bool(link),
        "number": number,
        "between": {"mean": total / number, "max": longest},
    }


def _named(values: tuple[Any, ...]) -> dict[str, Any]:
    """What is summed up by creation site; what is not known of it is null."""
    return {key: value or None for key, value in zip(_SITE, values, strict=True)}
