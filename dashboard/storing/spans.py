"""Spans into the tables: pieces of traces, and what views sum up.

This runs for every span that comes, 20,000 times a second: a span is looked at once, what is
wanted of its attributes is picked by name, and the rest stays packed.
"""

import json
import sqlite3
import zlib
from typing import Any

from .attributes import attributes_of
from .flow import Flow
from .known import Known, Process
from .picked import PICKED, Picked
from .schema import PIECES

BLOCKED = "whence.blocked"
COLLECTED = "collected"
MAX_TIME = 2**63 - 1
MAX_NAME = 500
MAX_STACK = 20_000
MAX_LEAKS = 5_000
"""Creation sites of what leaked; further ones are left out."""
MAX_NAMED = 20
"""Names of what a block delayed."""
_NO_ID = (b"", b"\0" * 8)
_NO_TRACE = b"\0" * 16
_ERROR = 2
_SPANS_FIELD = b"\x12"
"""Of `ScopeSpans`: number 2, with a length."""


class TracePart:
    """What one commit adds to a trace."""

    __slots__ = (
        "blocked",
        "delayed",
        "end",
        "errors",
        "first",
        "names",
        "pieces",
        "rooted",
        "services",
        "spans",
        "start",
    )

    def __init__(self) -> None:
        self.first: Picked | None = None
        """Its root; until that comes, what began first."""
        self.rooted = False
        self.services: set[int] = set()
        self.names: set[int] = set()
        self.pieces: list[tuple[int, bytes]] = []
        self.start = MAX_TIME
        self.end = 0
        self.spans = 0
        self.errors = 0
        self.blocked = 0.0
        self.delayed = 0.0


class SpanIntake:
    """Takes spans and, once for each commit, writes them."""

    def __init__(self, connection: sqlite3.Connection, known: Known, flow: Flow) -> None:
        self._connection = connection
        self._known = known
        self._flow = flow
        self._parts: dict[bytes, TracePart] = {}
        self._blocks: list[tuple[bytes, tuple[Any, ...]]] = []
        self._links: list[tuple[bytes, tuple[Any, ...]]] = []
        self._leaks: list[tuple[Any, ...]] = []
        (self._leaks_left,) = connection.execute(
            "SELECT ? - count(*) FROM leaks", (MAX_LEAKS,)
        ).fetchone()

    def take(self, request: Any, now: int) -> tuple[int, int]:
        """Take an ExportTraceServiceRequest: the spans taken and those left out, which have no
        ids."""
        taken = rejected = 0
        for resource_spans in request.resource_spans:
            process = self._known.process(resource_spans.resource, now)
            for scope_spans in resource_spans.scope_spans:
                packed: dict[bytes, list[bytes]] = {}
                for span in scope_spans.spans:
                    data = self._take_span(span, process)
                    if data is None:
                        rejected += 1
                    else:
                        taken += 1
                        packed.setdefault(span.trace_id, []).append(data)
                scope = _scope(scope_spans)
                for trace_id, chunks in packed.items():
                    data = zlib.compress(scope + b"".join(chunks), 1)
                    self._parts[trace_id].pieces.append((process.id, data))
        return taken, rejected

    def write(self, now: int) -> int:
        """Write what was taken; the number of traces that are new."""
        ids: dict[bytes, int] = {}
        new = 0
        pieces: list[tuple[int, int, bytes]] = []
        names: list[tuple[int, int]] = []
        services: list[tuple[int, int]] = []
        for trace_id, part in self._parts.items():
            number, last = self._write_trace(trace_id, part, now)
            ids[trace_id] = number
            first = last - len(part.pieces)
            new += first == 0
            for place, (process, data) in enumerate(part.pieces, number * PIECES + first):
                if place < (number + 1) * PIECES:
                    pieces.append((place, process, data))
            names.extend((name, number) for name in part.names)
            services.extend((service, number) for service in part.services)
        run = self._connection.executemany
        run("INSERT INTO pieces (id, process, data) VALUES (?, ?, ?)", pieces)
        run("INSERT OR IGNORE INTO trace_names (name, trace) VALUES (?, ?)", names)
        run("INSERT OR IGNORE INTO trace_services (service, trace) VALUES (?, ?)", services)
        self._write_findings(ids)
        self.clear()
        return new

    def clear(self) -> None:
        """Let go of what was taken."""
        self._parts.clear()
        self._blocks.clear()
        self._links.clear()
        self._leaks.clear()

    def _take_span(self, span: Any, process: Process) -> bytes | None:
        trace_id, span_id = span.trace_id, span.span_id
        if len(trace_id) != 16 or len(span_id) != 8 or trace_id == _NO_TRACE or span_id in _NO_ID:
            return None
        part = self._parts.get(trace_id)
        if part is None:
            part = self._parts[trace_id] = TracePart()
        name = span.name[:MAX_NAME]
        start = min(span.start_time_unix_nano, MAX_TIME)
        end = min(max(span.end_time_unix_nano, start), MAX_TIME)
        parent = span.parent_span_id
        rooted = parent in _NO_ID
        part.start = min(part.start, start)
        part.end = max(part.end, end)
        part.spans += 1
        failed = span.status.code == _ERROR
        part.errors += failed
        part.services.add(process.service)
        number = self._known.name(process.service, name)
        if number is not None:
            part.names.add(number)
        picked = Picked(process.service, name, span.kind, start, end, failed)
        for item in span.attributes:
            pick = PICKED.get(item.key)
            if pick is not None:
                pick(picked, item.value)
        if part.first is None or (rooted, -start) > (part.rooted, -part.first.start):
            part.first, part.rooted = picked, rooted
        part.blocked += picked.blocked
        part.delayed += picked.delayed
        node = self._flow.see(span_id, None if rooted else parent, picked)
        if span.links:
            self._take_links(span, picked, node)
        if span.events and picked.is_of_whence:
            self._take_blocks(span, picked, process)
        if picked.outcome == COLLECTED:
            self._leaks.append((*picked.key, picked.outcome, end, end, trace_id, span_id))
        data: bytes = span.SerializeToString()
        return _SPANS_FIELD + _varint(len(data)) + data

    def _take_links(self, span: Any, picked: Picked, node: int | None) -> None:
        for link in span.links:
            if len(link.trace_id) != 16 or len(link.span_id) != 8:
                continue
            reason = attributes_of(link.attributes).get("whence.link")
            # What goes on in a further segment has not triggered itself.
            if reason != "segment":
                self._flow.see_link(link.span_id, node, picked)
            row = (link.trace_id, span.span_id, link.span_id, reason and str(reason)[:50])
            self._links.append((span.trace_id, row))

    def _take_blocks(self, span: Any, picked: Picked, process: Process) -> None:
        for event in span.events:
            if event.name != BLOCKED:
                continue
            told = attributes_of(event.attributes)
            names = told.get("whence.delayed.names")
            stack = told.get("code.stacktrace")
            row = (
                span.trace_id,
                span.span_id,
                process.id,
                # What has no span of its own is told by one that has.
                _whole(told.get("whence.async_id", picked.async_id)),
                min(event.time_unix_nano, MAX_TIME),
                picked.service,
                picked.name,
                _text(told.get("code.file.path")),
                _whole(told.get("code.line.number")),
                _text(told.get("code.function.name")),
                _seconds(told.get("whence.blocked.time")),
                _whole(told.get("whence.delayed.number")) or 0,
                json.dumps(names[:MAX_NAMED] if isinstance(names, list) else []),
                None if stack is None else str(stack)[:MAX_STACK],
            )
            self._blocks.append((span.trace_id, row))

    def _write_trace(self, trace_id: bytes, part: TracePart, now: int) -> tuple[int, int]:
        """Its number, and how many pieces it has by now."""
        first = part.first
        assert first is not None, "a part is of one span at least"
        split = (first.run, first.ready, first.wait) if first.is_of_whence else (None,) * 3
        row: tuple[int, int] = self._connection.execute(
            _TRACE,
            (
                trace_id,
                now,
                first.service,
                first.name,
                part.rooted,
                part.start,
                part.end,
                part.spans,
                part.errors,
                part.blocked,
                part.delayed,
                first.failed,
                *split,
                len(part.pieces),
            ),
        ).fetchone()
        return row

    def _write_findings(self, ids: dict[bytes, int]) -> None:
        run = self._connection.executemany
        run(_BLOCK, ((ids[trace_id], *row) for trace_id, row in self._blocks))
        run(_LINK, ((ids[trace_id], *row) for trace_id, row in self._links))
        for leak in self._leaks:
            if self._leaks_left > 0:
                self._leaks_left -= self._connection.execute(_NEW_LEAK, leak).rowcount
            key, outcome, last, place = leak[:6], leak[6], leak[8], leak[9:]
            self._connection.execute(_LEAK, (last, *place, *key, outcome))


_OF_FIRST = ("service", "name", "failed", "run", "ready", "wait")
_TRACE = f"""
INSERT INTO traces (trace_id, arrived, service, name, rooted, start, "end", spans, errors, blocked,
                    delayed, failed, run, ready, wait, pieces)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trace_id) DO UPDATE SET
    ({", ".join(_OF_FIRST)}) = (
        {
    ", ".join(
        f"CASE WHEN (excluded.rooted, -excluded.start) > (rooted, -start) "
        f"THEN excluded.{column} ELSE {column} END"
        for column in _OF_FIRST
    )
}),
    rooted = max(rooted, excluded.rooted),
    start = min(start, excluded.start),
    "end" = max("end", excluded."end"),
    spans = spans + excluded.spans,
    errors = errors + excluded.errors,
    blocked = blocked + excluded.blocked,
    delayed = delayed + excluded.delayed,
    pieces = pieces + excluded.pieces
RETURNING id, pieces
"""
_BLOCK = """
INSERT INTO blocks (trace, trace_id, span_id, process, async_id, at, service, name, file, line,
                    function, seconds, delayed, delayed_names, stack)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_LINK = """
INSERT OR IGNORE INTO links (trace, target, span_id, target_span, reason) VALUES (?, ?, ?, ?, ?)
"""
_NEW_LEAK = """
INSERT OR IGNORE INTO leaks (service, type, name, file, line, function, outcome, number, first,
                             last, trace_id, span_id)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)
"""
_LEAK = """
UPDATE leaks SET number = number + 1, last = ?, trace_id = ?, span_id = ?
WHERE service = ? AND type = ? AND name = ? AND file = ? AND line = ? AND function = ?
      AND outcome = ?
"""


def _scope(scope_spans: Any) -> bytes:
    """`ScopeSpans` without its spans, which are put behind it."""
    empty = type(scope_spans)()
    empty.scope.name = scope_spans.scope.name
    empty.scope.version = scope_spans.scope.version
    data: bytes = empty.SerializeToString()
    return data


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:MAX_NAME]


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
