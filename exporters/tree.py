"""Traces as trees of text, for a terminal.

                              total       run     ready      wait
    GET /items/{id}         12.4 ms    1.2 ms    0.3 ms   10.9 ms  app.py:41
    ├─ task checkout         8.1 ms    0.4 ms         -    7.7 ms  shop.py:12  cancelled
    │  └─ timer sleep        5.0 ms         -         -    5.0 ms  shop.py:14
    └─ connect               0.8 ms         -         -    0.8 ms  shop.py:20

Pure functions from rows to text; rows are made of our own spans, or of what `--export file` wrote.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .spans import Span

_LONGEST_NAME = 60
_MAX_DETAIL = 200

_RED, _YELLOW, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"

_TIMES = ("whence.run_time", "whence.ready_time", "whence.wait_time")


class Row(NamedTuple):
    """A span as a line of a tree.  Times are nanoseconds."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, Any]
    error: str

    @property
    def duration(self) -> int:
        """From start to end."""
        return self.end - self.start


def row_of_span(span: Span) -> Row:
    """The row of one of our own spans."""
    return Row(
        f"{span.context.trace_id:032x}",
        f"{span.context.span_id:016x}",
        "" if span.parent is None else f"{span.parent.span_id:016x}",
        span.name,
        span.start,
        span.end,
        span.attributes,
        span.status_text,
    )


def rows_of_request(line: str) -> list[Row]:
    """The rows of a request in OTLP's JSON, a line of a file that `--export file` wrote."""
    return [
        _row_of_json(span)
        for resource_spans in json.loads(line).get("resourceSpans", ())
        for scope_spans in resource_spans.get("scopeSpans", ())
        for span in scope_spans.get("spans", ())
    ]


def trees_of(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each trace, the trace that took longest first."""
    traces: dict[str, list[Row]] = {}
    for row in rows:
        traces.setdefault(row.trace_id, []).append(row)
    return sorted(traces.values(), key=_length, reverse=True)


def render(rows: Sequence[Row], *, colour: bool = False) -> str:
    """The tree of one trace, a line for each span, under a line that names the columns."""
    lines = list(_lines(rows))
    width = min(_LONGEST_NAME, max((len(line.name) for line in lines), default=0))
    heads = " ".join(f"{head:>9}" for head in ("total", "run", "ready", "wait"))
    text = [_painted(f"{'':<{width}} {heads}", _DIM, colour)]
    text += [_text(line, width, colour) for line in lines]
    return "\n".join(text)


class _Line(NamedTuple):
    name: str
    times: tuple[str, ...]
    where: str
    what: str
    paint: str


def _row_of_json(span: Mapping[str, Any]) -> Row:
    status = span.get("status", {})
    return Row(
        span["traceId"],
        span["spanId"],
        span.get("parentSpanId", ""),
        span.get("name", ""),
        int(span.get("startTimeUnixNano", 0)),
        int(span.get("endTimeUnixNano", 0)),
        {item["key"]: _plain(item["value"]) for item in span.get("attributes", ())},
        status.get("message", "error") if status.get("code") == 2 else "",
    )


def _plain(value: Mapping[str, Any]) -> Any:
    if "arrayValue" in value:
        return [_plain(item) for item in value["arrayValue"].get("values", ())]
    kind, content = next(iter(value.items()))
    return int(content) if kind == "intValue" else content


def _length(rows: Sequence[Row]) -> int:
    return max(row.end for row in rows) - min(row.start for row in rows)


def _lines(rows: Sequence[Row]) -> Iterable[_Line]:
    known = {row.span_id for row in rows}
    children: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.start):
        children.setdefault(row.parent_id if row.parent_id in known else "", []).append(row)
    # Not by recursion: the rows may be anybody's, and as deep as they like.
    waiting = [(row, "", "") for row in reversed(children.get("", ()))]
    while waiting:
        row, lead, below = waiting.pop()
        # Its parent was in what was printed before, or is in another process.
        cut_off = "… " if row.parent_id and row.parent_id not in known else ""
        yield _line(row, lead + cut_off)
        deeper = children.get(row.span_id, [])
        yield from _counted_lines(row, below, bool(deeper))
        for nth, child in enumerate(reversed(deeper)):
            lead, beside = ("└─ ", "   ") if nth == 0 else ("├─ ", "│  ")
            waiting.append((child, below + lead, below + beside))


def _line(row: Row, lead: str) -> _Line:
    attributes = row.attributes
    outcome = attributes.get("whence.outcome", "done")
    what, paint = ("", "") if outcome == "done" else (outcome, _YELLOW)
    if row.error:
        what, paint = f"failed {row.error}", _RED
    if attributes.get("whence.segment"):
        what = f"segment {attributes['whence.segment'] + 1}  {what}".rstrip()
    times = (_duration(row.duration / 1e9), *(_duration(attributes.get(key)) for key in _TIMES))
    return _Line(lead + _one_line(row.name), times, _where(attributes), _one_line(what), paint)


def _counted_lines(row: Row, below: str, goes_on: bool) -> Iterable[_Line]:
    names = row.attributes.get("whence.counted.names", ())
    numbers = row.attributes.get("whence.counted.numbers", ())
    times = row.attributes.get("whence.counted.times", ())
    counted = list(zip(names, numbers, times, strict=False))
    for nth, (name, number, time) in enumerate(counted):
        last = nth == len(counted) - 1 and not goes_on
        lead = "└─ " if last else "├─ "
        yield _Line(f"{below}{lead}+ {number} {_one_line(name)}", (_duration(time),), "", "", "")


def _text(line: _Line, width: int, colour: bool) -> str:
    name = line.name if len(line.name) <= width else line.name[: width - 1] + "…"
    times = " ".join(f"{time:>9}" for time in line.times)
    parts = [_painted(f"{name:<{width}}", line.paint, colour), times]
    text = " ".join(parts)
    if line.where:
        text += "  " + _painted(line.where, _DIM, colour)
    if line.what:
        text += "  " + _painted(line.what, line.paint, colour)
    return text.rstrip()


def _duration(seconds: float | None) -> str:
    if not seconds or seconds < 0:
        return "-"
    if seconds >= 100:
        return f"{seconds:.0f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 0.0001:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e6:.0f} µs"


def _where(attributes: Mapping[str, Any]) -> str:
    file = attributes.get("code.file.path")
    if not file:
        return ""
    here = os.path.join(_folder(), "")
    return f"{file.removeprefix(here)}:{attributes.get('code.line.number', 0)}"


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def _one_line(text: str) -> str:
    """On one line, and without what would command the terminal."""
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in words)[:_MAX_DETAIL]


def _painted(text: str, paint: str, colour: bool) -> str:
    return f"{paint}{text}{_PLAIN}" if colour and paint else text
