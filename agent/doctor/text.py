"""The report for people: sections of aligned rows, no line longer than 100 columns."""

import textwrap
from itertools import zip_longest

from .findings import LEVELS, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    Row = Sequence[str]
    Report = dict[str, Any]

WIDTH = 100
_INDENT = "  "
_GAP = "  "

_COLOURS = {
    "error": "31",
    "failed": "31",
    "unusable": "31",
    "does not attach": "31",
    "fails": "31",
    "not seen": "31",
    "warning": "33",
    "broken": "33",
    "takes no spans": "33",
    "takes no metrics": "33",
    "in": "32",
    "attaches": "32",
    "takes spans": "32",
    "takes metrics": "32",
    "can listen": "32",
    "seen": "32",
}
"""Cell -> SGR code, of those that are a state."""


def render(report: "Report", *, colour: bool, places: bool) -> str:
    """The whole report; with `places` also every attribute that is patched."""
    lines = [f"whence {report['whence']}, {' '.join(report['command'])}"]
    for title, rows in _sections(report, places):
        found = [row for row in rows if row]
        if found:
            lines += ["", title, *_table(found, colour)]
    lines += ["", *_findings(report, colour)]
    return "\n".join(lines) + "\n"


def _sections(report: "Report", places: bool) -> "Iterator[tuple[str, Iterable[Row]]]":
    yield "python", _interpreter(report)
    yield "attaching", _attaching(report)
    yield "settings other than the defaults", _settings(report)
    yield "engine and loops", _engine_and_loops(report)
    yield "instrumentations", _instrumentations(report, places)
    yield "cannot be seen", _impossible(report)
    yield "exporters", _exporters(report["exporters"])
    yield "metrics", _exporters(report["metrics"])


def _interpreter(report: "Report") -> "Iterator[Row]":
    python = report["interpreter"]
    if python is None:
        return
    gil = "free-threaded" if python["free_threaded"] else "with the GIL"
    main = {True: "main interpreter", False: "subinterpreter", None: ""}[python["main_interpreter"]]
    kind = ", ".join(filter(None, (python["implementation"], gil, main)))
    yield "version", f"{python['version']} ({kind})"
    yield "prefix", python["prefix"]
    yield "platform", python["platform"]
    flags = [name for name, is_set in python["flags"].items() if is_set]
    if flags:
        yield "flags", ", ".join(flags)


def _attaching(report: "Report") -> "Iterator[Row]":
    for way, came in (report["attaching"] or {}).items():
        yield way, "attaches" if came["attaches"] else "does not attach", came["by"] or ""
    for nth, file in enumerate(report["sitecustomizes"]):
        yield "sitecustomize", "does not run" if nth else "runs as well", file


def _settings(report: "Report") -> "Iterator[Row]":
    for row in report["settings"]:
        if not row["is_default"]:
            yield row["name"], row["value"], row["origin"]


def _engine_and_loops(report: "Report") -> "Iterator[Row]":
    engine = report["engine"]
    if engine is not None:
        slower = ", ".join(engine["slower"])
        notes = [f"{engine['clock']} clock"]
        notes += ["handles of asyncio's own classes"] if engine["handles"] == "stock" else []
        yield "engine", engine["name"], "; ".join(notes + [f"slower: {slower}"] * bool(slower))
    for loop in report["loops"]:
        state = "fails" if loop["error"] else "not seen" if loop["missed"] else "seen"
        debug = ", debug mode" if loop["debug"] else ""
        yield _named(loop), state, f"{loop['class'] or ''}{debug}"


def _instrumentations(report: "Report", places: bool) -> "Iterator[Row]":
    for row in report["instrumentations"]:
        patched = row["patched"]
        counts = {"patched": len(patched), "not patched": len(row["skipped"])}
        counted = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        yield row["name"], row["state"], _named(row), counted
        if places:
            yield from (("", "", "", place) for place in patched)


def _named(row: "dict[str, Any]") -> str:
    """The library with its version, and the range that is tested if it is outside."""
    version = f" {row['version']}" if row["version"] else ""
    tested = f" (tested {row['tested']})" if row["is_tested"] is False else ""
    return f"{row['library']}{version}{tested}"


def _impossible(report: "Report") -> "Iterator[Row]":
    for row in report["instrumentations"]:
        yield from ((row["library"], f"{what}: {why}") for what, why in row["impossible"].items())


def _exporters(rows: "Sequence[dict[str, Any]]") -> "Iterator[Row]":
    for row in rows:
        yield row["name"], row["state"], row["label"]


def _table(rows: "Sequence[Row]", colour: bool) -> "Iterator[str]":
    """The rows in aligned columns; a cell that is too long for its column is wrapped in it."""
    widths = _widths(rows)
    for row in rows:
        wrapped = [
            textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)
        ]
        for lines in zip_longest(*wrapped, fillvalue=""):
            cells = (
                _painted(line.ljust(width), cell if line == cell else "", colour)
                for line, cell, width in zip(lines, row, widths, strict=True)
            )
            yield (_INDENT + _GAP.join(cells)).rstrip()


def _widths(rows: "Sequence[Row]") -> list[int]:
    """As wide as their widest cells, if that fits; else the widest ones give way."""
    widths = [max(1, *map(len, column)) for column in zip(*rows, strict=True)]
    room = WIDTH - len(_INDENT) - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _findings(report: "Report", colour: bool) -> "Iterator[str]":
    found = [Finding(**finding) for finding in report["findings"]]
    counts = {level: sum(f.level == level for f in found) for level in LEVELS}
    if not found:
        yield "all is well"
        return
    yield ", ".join(f"{n} {level}{'s' * (n > 1)}" for level, n in counts.items() if n)
    yield from _table([(finding.level, finding.text) for finding in found], colour)


def _painted(shown: str, state: str, colour: bool) -> str:
    code = _COLOURS.get(state) if colour else None
    return shown if code is None else f"\033[{code}m{state}\033[0m{shown[len(state) :]}"
