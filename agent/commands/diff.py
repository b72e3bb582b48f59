"""`whence diff`: what was added, gone and grown between two looks, by place of creation."""

import json
import os
import sys
from typing import Any, NamedTuple

from ..live.wanted import STEPS
from ..serving.processes import the_process
from .dump import read_dump, take_dump
from .showing import RED, Column, counted, duration, number, painted, place, printable, table, width
from .words import Parser, add_json, whole

ADDED = "added"
GROWN = "grown"
SHRUNK = "shrunk"
GONE = "gone"
CHANGES = (ADDED, GROWN, SHRUNK, GONE)

DESCRIPTION = """\
Compares what was open, by type, name and place of creation.  A and B are files of `whence dump`, or
PIDs: then what the process has open now.
"""

_COLUMNS = [
    Column("CHANGE"),
    Column("A", is_number=True),
    Column("B", is_number=True),
    Column("+/-", is_number=True),
    Column("OLDEST", is_number=True),
    Column("NAME"),
    Column("MADE AT"),
]


class Row(NamedTuple):
    """What has changed at one place of creation."""

    change: str
    type: str
    name: str
    site: dict[str, Any] | None
    before: int
    after: int
    oldest: float | None
    """Seconds: the age of the oldest in B; None if there is none."""


def main(words: list[str]) -> int:
    """Print; 1 if it found what --fail-on names, else 0.  Raises UsageError, NoAnswer."""
    parser = Parser("diff", DESCRIPTION)
    parser.add_argument("before", metavar="A", help="a dump's file, or a PID")
    parser.add_argument("after", metavar="B", help="a dump's file, or a PID")
    parser.add_argument(
        "--fail-on",
        choices=("growth",),
        metavar="growth",
        help="exit with 1 if anything was added or has grown",
    )
    parser.add_argument(
        "--min",
        type=whole(1),
        default=1,
        metavar="N",
        help="leave out what has changed by fewer (default: 1)",
    )
    parser.add_argument(
        "-a", "--all", action="store_true", help="callbacks and futures too, which come and go"
    )
    add_json(parser)
    options = parser.parse_args(words)
    before, after = _read(options.before), _read(options.after)
    _warn_of_strangers(before, after)
    rows = [
        row
        for row in compare(before["by_site"], after["by_site"])
        if abs(row.after - row.before) >= options.min and (options.all or row.type not in STEPS)
    ]
    if options.json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
    else:
        print("\n".join(_text(rows)))
    grew = any(row.change in (ADDED, GROWN) for row in rows)
    return 1 if options.fail_on and grew else 0


def compare(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[Row]:
    """What differs between two answers to `by_site`, what grew the most first."""
    old, new = _by_place(before), _by_place(after)
    rows = []
    for key in old.keys() | new.keys():
        was, now = old.get(key, _NONE), new.get(key, _NONE)
        if was.number != now.number:
            known = now if now.number else was
            change = _change(was.number, now.number)
            rows.append(Row(change, key[0], key[1], known.site, was.number, now.number, now.oldest))
    return sorted(rows, key=lambda row: (row.before - row.after, row.type, row.name, str(row.site)))


class _Place(NamedTuple):
    number: int
    site: dict[str, Any] | None
    oldest: float | None


_NONE = _Place(0, None, None)
_Key = tuple[str, str, str | None, int | None]


def _by_place(groups: list[dict[str, Any]]) -> dict[_Key, _Place]:
    """Type, name, file and line -> how many: two expressions of one line are one place."""
    found: dict[_Key, _Place] = {}
    for group in groups:
        site = group["site"]
        key = group["type"], group["name"], site and site["file"], site and site["line"]
        same = found.get(key, _NONE)
        oldest = max(same.oldest or 0.0, group["oldest"])
        found[key] = _Place(same.number + group["count"], site, oldest)
    return found


def _change(was: int, now: int) -> str:
    if not was:
        return ADDED
    if not now:
        return GONE
    return GROWN if now > was else SHRUNK


def _read(word: str) -> dict[str, Any]:
    if os.path.exists(word) or not word.isdecimal():
        return read_dump(word)
    return take_dump(the_process(word), 0)


def _warn_of_strangers(before: dict[str, Any], after: dict[str, Any]) -> None:
    names = [str(one["process"].get("service")) for one in (before, after)]
    if names[0] != names[1]:
        services = " and ".join(map(printable, names))
        print(f"whence diff: these are different services: {services}", file=sys.stderr)


def _text(rows: list[Row]) -> list[str]:
    if not rows:
        return ["nothing was added, gone, grown or shrunk"]
    cells = [
        [
            row.change,
            number(row.before),
            number(row.after),
            f"{row.after - row.before:+}",
            duration(row.oldest),
            row.name,
            place(row.site),
        ]
        for row in rows
    ]
    lines = table(_COLUMNS, cells, width())
    for at, row in enumerate(rows, 1):
        if row.change in (ADDED, GROWN):
            lines[at] = painted(lines[at], RED)
    counts = {change: sum(row.change == change for row in rows) for change in CHANGES}
    told = ", ".join(f"{counted(n, 'place')} {change}" for change, n in counts.items() if n)
    return [*lines, told]
