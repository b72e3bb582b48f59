"""One trace: its spans, unpacked."""

import sqlite3
import zlib
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from ..storing.attributes import attributes_of
from ..storing.schema import PIECES
from .asked import BILLION, Asked, NotThere, Wrong
from .processes import process

MAX_SPANS = 20_000
MAX_LINKED_FROM = 100
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_SPLIT = {"run": "whence.run_time", "ready": "whence.ready_time", "wait": "whence.wait_time"}


def trace(connection: sqlite3.Connection, asked: Asked, word: str) -> dict[str, Any]:
    """`/api/traces/TRACE_ID`."""
    trace_id = _id(word)
    found = connection.execute(
        "SELECT id, name, start, end, spans FROM traces WHERE trace_id = ?", (trace_id,)
    ).fetchone()
    if found is None:
        raise NotThere(f"there is no trace {word:.40} (any more)")
    number, name, start, end, spans = found
    shown, processes = _spans(connection, number, start)
    _resolve_links(connection, shown)
    _resolve_delays(connection, shown)
    of = {one: process(connection, one) for one in processes}
    return {
        "trace_id": trace_id.hex(),
        "name": name,
        "start": start / BILLION,
        "duration": (end - start) / BILLION,
        "services": sorted({one["service"] for one in of.values()}),
        "processes": of,
        "spans": shown,
        "number": spans,
        "missing": len(shown) >= MAX_SPANS and spans > len(shown),
        "linked_from": _linked_from(connection, trace_id),
    }


def _id(word: str) -> bytes:
    try:
        trace_id = bytes.fromhex(word)
    except ValueError:
        trace_id = b""
    if len(trace_id) != 16:
        raise Wrong(f"expected a trace id of 32 hex digits, not {word!r:.50}")
    return trace_id


def _spans(
    connection: sqlite3.Connection, number: int, began: int
) -> tuple[list[dict[str, Any]], set[int]]:
    """The spans, and the processes they are of.  What was sent twice is there once."""
    pieces = connection.execute(
        "SELECT process, data FROM pieces WHERE id >= ? AND id < ? ORDER BY id",
        (number * PIECES, (number + 1) * PIECES),
    )
    spans: dict[bytes, dict[str, Any]] = {}
    processes: set[int] = set()
    for of, data in pieces:
        piece = ScopeSpans()
        piece.ParseFromString(zlib.decompress(data))
        scope = {"name": piece.scope.name, "version": piece.scope.version}
        processes.add(of)
        for span in piece.spans:
            if len(spans) >= MAX_SPANS:
                break
            if span.span_id not in spans:
                spans[span.span_id] = _span(span, of, scope, began)
    return sorted(spans.values(), key=lambda span: span["start"]), processes


def _span(span: Any, of: int, scope: dict[str, str], began: int) -> dict[str, Any]:
    attributes = attributes_of(span.attributes)
    end = max(span.end_time_unix_nano, span.start_time_unix_nano)
    return {
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() if any(span.parent_span_id) else None,
        "name": span.name,
        "kind": _KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else _KINDS[0],
        "start": (span.start_time_unix_nano - began) / BILLION,
        "duration": (end - span.start_time_unix_nano) / BILLION,
        "process": of,
        "scope": scope,
        "status": _STATUSES[span.status.code] if 0 <= span.status.code < 3 else _STATUSES[0],
        "message": span.status.message,
        "attributes": attributes,
        "events": [
            {
                "name": event.name,
                "time": (event.time_unix_nano - began) / BILLION,
                "attributes": attributes_of(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": attributes_of(link.attributes),
            }
            for link in span.links
        ],
        "type": attributes.get("whence.type"),
        **{key: attributes.get(name) for key, name in _SPLIT.items()},
        "steps": attributes.get("whence.steps"),
        "outcome": attributes.get("whence.outcome"),
        "site": _site(attributes),
        "stack": attributes.get("code.stacktrace"),
        "blocked": attributes.get("whence.blocked.total_time", 0),
        "delayed": _delayed(attributes),
        "open": attributes.get("whence.outcome") == "open",
    }


def _site(attributes: dict[str, Any]) -> dict[str, Any] | None:
    if "code.file.path" not in attributes:
        return None
    return {
        "file": attributes["code.file.path"],
        "line": attributes.get("code.line.number"),
        "function": attributes.get("code.function.name"),
    }


def _delayed(attributes: dict[str, Any]) -> dict[str, Any] | None:
    if "whence.delayed.time" not in attributes:
        return None
    return {
        "by": attributes.get("whence.delayed.by"),
        "blocker": attributes.get("whence.delayed.blocker"),
        "time": attributes["whence.delayed.time"],
        "span": None,
    }


def _resolve_links(connection: sqlite3.Connection, spans: list[dict[str, Any]]) -> None:
    """Say of each link whether what it leads to is here."""
    known: dict[str, bool] = {}
    for span in spans:
        for link in span["links"]:
            trace_id = link["trace_id"]
            if trace_id not in known:
                known[trace_id] = (
                    connection.execute(
                        "SELECT 1 FROM traces WHERE trace_id = ?", (bytes.fromhex(trace_id),)
                    ).fetchone()
                    is not None
                )
            link["known"] = known[trace_id]


def _resolve_delays(connection: sqlite3.Connection, spans: list[dict[str, Any]]) -> None:
    """Find the span, mostly of another trace, that each was delayed by."""
    found: dict[tuple[int, int], dict[str, str] | None] = {}
    for span in spans:
        delayed = span["delayed"]
        if delayed is None or not isinstance(delayed["by"], int):
            continue
        key = (span["process"], delayed["by"])
        if key not in found:
            row = connection.execute(
                "SELECT trace_id, span_id FROM blocks WHERE process = ? AND async_id = ? "
                "ORDER BY seconds DESC LIMIT 1",
                key,
            ).fetchone()
            found[key] = row and {"trace_id": row[0].hex(), "span_id": row[1].hex()}
        delayed["span"] = found[key]


def _linked_from(connection: sqlite3.Connection, trace_id: bytes) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT traces.trace_id, links.span_id, links.target_span, traces.name, traces.start, "
        "links.reason FROM links JOIN traces ON traces.id = links.trace "
        "WHERE links.target = ? AND traces.trace_id != ? ORDER BY links.trace LIMIT ?",
        (trace_id, trace_id, MAX_LINKED_FROM),
    )
    return [
        {
            "trace_id": of.hex(),
            "span_id": span_id.hex(),
            "target": target.hex(),
            "name": name,
            "start": start / BILLION,
            "link": reason,
        }
        for of, span_id, target, name, start, reason in rows
    ]
