"""Traces as trees of text, for a terminal.

                         total      run    ready     wait
    POST /checkout     19.5 ms   0.5 ms   0.3 ms  18.7 ms  app.py:41  failed 502: Bad Gateway
    ├─ task reserve     8.1 ms   0.4 ms        -   7.7 ms  app.py:46  cancelled
    │  └─ timer sleep   7.6 ms        -        -   7.6 ms  shop.py:14
    └─ task charge     16.2 ms   0.1 ms   0.7 ms  15.4 ms  app.py:47
         failed shop.BankUnreachable: no answer to a payment of 12.51

Pure functions from rows to text; rows are made of our own spans, or of what `--export file` wrote.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .spans import Span

WIDTH = 100
"""Columns of the terminal, if nobody says."""

_LEAST_NAME = 24
_MAX_ALIKE = 3
"""Children that are alike and have a line each; of more only the slowest has one."""
_MAX_DETAIL = 200

_RED, _YELLOW, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"

_BLOCKED = "whence.blocked"
_TIMES = ("whence.run_time", "whence.ready_time", "whence.wait_time")

_INSTALLED = f"{os.sep}site-packages{os.sep}"

_Counted = tuple[int, str, float]
"""Number, name and time in seconds of spans that have no line of their own."""


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
    blocks: Sequence[Mapping[str, Any]] = ()
    """The attributes of its events `whence.blocked`."""

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
        tuple(attributes for name, _, attributes in span.events if name == _BLOCKED),
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


def render(rows: Sequence[Row], *, colour: bool = False, columns: int = WIDTH) -> str:
    """The tree of one trace, a line for each span, under a line that names the columns.

    Names are cut to what the terminal has room for, and what does not fit behind a span stands
    below it."""
    lines = list(_lines(rows))
    longest_where = max((len(line.where) for line in lines), default=0)
    room = max(_LEAST_NAME, columns - len(_HEADS) - longest_where - 3)
    width = min(room, max((len(line.lead + line.name) for line in lines), default=0))
    text = [_painted(f"{'':<{width}} {_HEADS}", _DIM, colour)]
    for line in lines:
        text += _text(line, width, columns, colour)
    return "\n".join(text)


class _Line(NamedTuple):
    lead: str
    name: str
    times: tuple[str, ...]
    where: str = ""
    what: str = ""
    paint: str = ""
    below: str = ""
    """What stands before the lines below it, to their left."""


_HEADS = " ".join(f"{head:>8}" for head in ("total", "run", "ready", "wait"))


def _row_of_json(span: Mapping[str, Any]) -> Row:
    status = span.get("status", {})
    return Row(
        span["traceId"],
        span["spanId"],
        span.get("parentSpanId", ""),
        span.get("name", ""),
        int(span.get("startTimeUnixNano", 0)),
        int(span.get("endTimeUnixNano", 0)),
        _attributes(span),
        status.get("message", "error") if status.get("code") == 2 else "",
        tuple(_attributes(it) for it in span.get("events", ()) if it.get("name") == _BLOCKED),
    )


def _attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    return {pair["key"]: _plain(pair["value"]) for pair in item.get("attributes", ())}


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
        deeper, alike = _told_apart(children.get(row.span_id, []), children)
        counted = [*alike, *_counted(row)]
        yield _line(row, lead + cut_off, below + ("│  " if deeper or counted else "   "))
        for nth, (number, name, time) in enumerate(counted):
            lead = "└─ " if nth == len(counted) - 1 and not deeper else "├─ "
            times = (_duration(time, time),)
            yield _Line(below + lead, f"+ {number} {_one_line(name)}", times)
        for nth, child in enumerate(reversed(deeper)):
            lead, beside = ("└─ ", "   ") if nth == 0 else ("├─ ", "│  ")
            waiting.append((child, below + lead, below + beside))


def _told_apart(
    siblings: Sequence[Row], children: Mapping[str, Sequence[Row]]
) -> tuple[list[Row], list[_Counted]]:
    """The siblings that have a line each, and the rest, counted: forty sleeps of a loop are one
    line, as long as nothing is special about any."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in siblings:
        if row.span_id not in children and not _what(row)[0]:
            alike.setdefault((row.name, _where(row.attributes)), []).append(row)
    folded: set[str] = set()
    counted: list[_Counted] = []
    for (name, _), rows in alike.items():
        if len(rows) > _MAX_ALIKE:
            rest = sorted(rows, key=lambda row: row.duration)[:-1]
            folded.update(row.span_id for row in rest)
            counted.append((len(rest), name, sum(row.duration for row in rest) / 1e9))
    return [row for row in siblings if row.span_id not in folded], counted


def _counted(row: Row) -> list[_Counted]:
    """What was too much for the trace, as the span itself says."""
    names = row.attributes.get("whence.counted.names", ())
    numbers = row.attributes.get("whence.counted.numbers", ())
    times = row.attributes.get("whence.counted.times", ())
    return list(zip(numbers, names, times, strict=False))


def _line(row: Row, lead: str, below: str) -> _Line:
    total = row.duration / 1e9
    parts = (row.attributes.get(key) for key in _TIMES)
    times = (_duration(total, total), *(_duration(part, total) for part in parts))
    what, paint = _what(row)
    delay = row.attributes.get("whence.delayed.time")
    if delay is not None:
        blocker = _one_line(row.attributes.get("whence.delayed.blocker", "?"))
        what = "; ".join(filter(None, (what, f"delayed {_duration(delay, delay)} by {blocker}")))
        paint = paint or _YELLOW
    return _Line(lead, _one_line(row.name), times, _where(row.attributes), what, paint, below)


def _what(row: Row) -> tuple[str, str]:
    """What is special about a span, and its colour."""
    outcome = row.attributes.get("whence.outcome", "done")
    what, paint = ("", "") if outcome == "done" else (outcome, _YELLOW)
    if row.error:
        what, paint = f"failed {row.error}", _RED
    if row.attributes.get("whence.segment"):
        what = f"segment {row.attributes['whence.segment'] + 1} {what}".rstrip()
    if row.blocks:
        what = "; ".join(filter(None, (what, *map(_block, row.blocks))))
        paint = _RED
    return _one_line(what), paint


def _block(attributes: Mapping[str, Any]) -> str:
    """A step that held the loop: for how long, in which line, and how many waited for it."""
    time = attributes.get("whence.blocked.time")
    text = f"blocked the loop for {_duration(time, 1)}"
    where = _where(attributes)
    if where:
        text += f" in {attributes.get('code.function.name', '?')} {where}"
    if attributes.get("whence.delayed.number"):
        text += f", delayed {attributes['whence.delayed.number']}"
    return text


def _text(line: _Line, width: int, columns: int, colour: bool) -> Iterable[str]:
    lead = line.lead
    room = max(width // 2, width - min(len(line.name), _LEAST_NAME))
    if len(lead) > room:
        # So deep that its lines would take the room of its name.
        lead = lead[-3:].rjust(room, "·")
    name = _cut(line.name, width - len(lead))
    times = " ".join(f"{time:>8}" for time in line.times)
    where = f"  {line.where}" if line.where else ""
    beside = f"  {line.what}" if line.what else ""
    if len(f"{'':<{width}} {times}{where}{beside}") > columns:
        beside = ""
    text = lead + _painted(f"{name:<{width - len(lead)}}", line.paint, colour) + " " + times
    text += _painted(where, _DIM, colour) + _painted(beside, line.paint, colour)
    yield text.rstrip()
    if line.what and not beside:
        room = max(_LEAST_NAME, columns - len(line.below))
        yield line.below + _painted(_cut(line.what, room), line.paint, colour)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _duration(seconds: float | None, total: float) -> str:
    """In the unit of the whole row, and nothing where it would be 0 of it."""
    if seconds is None or seconds <= 0:
        return "-"
    if seconds >= 100:
        return f"{seconds:.0f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if total >= 0.001:
        return f"{seconds * 1e3:.1f} ms" if seconds >= 0.00005 else "-"
    return f"{seconds * 1e6:.0f} µs" if seconds >= 0.0000005 else "-"


def _where(attributes: Mapping[str, Any]) -> str:
    """Below the current folder as the user would type it, in a package as it is imported, elsewhere
    the last of it."""
    file = attributes.get("code.file.path")
    if not file:
        return ""
    here = os.path.join(_folder(), "")
    _, installed, module = file.rpartition(_INSTALLED)
    if installed:
        short = module
    elif file.startswith(here):
        short = file.removeprefix(here)
    else:
        short = os.sep.join(file.split(os.sep)[-2:])
    return f"{short}:{attributes.get('code.line.number', 0)}"


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
    return f"{paint}{text}{_PLAIN}" if colour and paint and text else text
