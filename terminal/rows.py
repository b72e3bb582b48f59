"""The text of the screen: headline, tables, and the path of one resource."""

from collections.abc import Callable
from typing import Any, NamedTuple

from whence.commands.ps import doing, loop_state
from whence.commands.showing import duration, number, place, printable, shortened
from whence.live.wanted import is_step

from .readings import Reading, TypeRow

_NAME = 32
"""Characters of a name: what is longer is a callback's, with where it is defined."""

BARS = " ▁▂▃▄▅▆▇█"

_NO_WAIT = ("open", "running")
"""States of what waits for nothing: a server, a connection, a reader."""


class Sort(NamedTuple):
    """An order of the resources."""

    label: str
    key: str
    """Of the process, which sends those that come first (`whence.live.wanted`)."""
    rank: Callable[[dict[str, Any]], Any]
    """How those that it has sent are sorted, at once."""


SORTS = {
    "wait": Sort(
        "longest wait",
        "in_state",
        lambda one: (one["state"] in _NO_WAIT, -(one["in_state"] or 0.0)),
    ),
    "run": Sort("most run", "run", lambda one: -(one["run"] or 0.0)),
    "age": Sort("oldest", "age", lambda one: -(one["age"] or 0.0)),
    "new": Sort("newest", "newest", lambda one: -one["async_id"]),
    "name": Sort("name", "name", lambda one: (one["name"], one["async_id"])),
}

TITLES = {
    "types": ("TYPE", "OPEN", "+/s", "-/s", "LEAKED", "TREND"),
    "blockers": ("TIMES", "TOTAL", "LONGEST", "WHAT", "WHERE"),
    "resources": ("ID", "NAME", "STATE", "FOR", "AGE", "RUN", "MADE AT", "NOW"),
}
"""Table -> the titles of its columns."""
_NUMBERS = frozenset(
    {"OPEN", "+/s", "-/s", "LEAKED", "TIMES", "TOTAL", "LONGEST", "ID", "FOR", "AGE", "RUN"}
)
"""Those of numbers, which stand to the right."""


def aligned(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows with numbers moved to the right of their columns."""
    columns = [
        [cell.rjust(max(map(len, (title, *cells)))) for cell in cells]
        if title in _NUMBERS
        else cells
        for title, *cells in zip(titles, *rows, strict=True)
    ]
    return list(zip(*columns, strict=True))


def headline(reading: Reading) -> str:
    """Which process it is, and how its loops are."""
    about = reading.about
    loops = ", ".join(map(loop_state, about["loops"])) or "no loop has run"
    parts = [
        f"pid {about['pid']}",
        about["service"],
        f"up {duration(about['age'])}",
        f"python {about['python']}",
        f"loop {loops}",
        f"busy {reading.busy:.0%}",
    ]
    return printable("  ".join(parts))


def delays(reading: Reading) -> str:
    """How late the loops were since the last look, and what blocked."""
    late = reading.delay
    parts = [
        f"loop delay  p50 {duration(late.percentile(50))}",
        f"p99 {duration(late.percentile(99))}",
        f"max {duration(late.max)}",
    ]
    if reading.queue.count:
        parts.append(f"executor queue p99 {duration(reading.queue.percentile(99))}")
    parts.append(f"blocked {number(reading.blocked)} times")
    return "  ".join(parts)


def type_cells(row: TypeRow, room: int = 16) -> tuple[str, ...]:
    """Of one type of resource."""
    return (
        printable(row.type),
        number(row.open),
        _rate(row.created),
        _rate(row.destroyed),
        number(row.leaked) if row.leaked else "",
        trend(row.history[-room:]),
    )


def blocker_cells(blocker: dict[str, Any]) -> tuple[str, ...]:
    """Of one place that blocks."""
    return (
        number(blocker["number"]),
        duration(blocker["seconds"]),
        duration(blocker["longest"]),
        printable(shortened(blocker["name"], _NAME)),
        printable(place(blocker["site"])),
    )


def resource_cells(one: dict[str, Any]) -> tuple[str, ...]:
    """Of one resource."""
    cells = (
        str(one["async_id"]),
        shortened(one["name"], _NAME),
        one["state"],
        duration(one["in_state"]),
        duration(one["age"]),
        duration(one["run"]),
        place(one["site"]),
        doing(one),
    )
    return tuple(map(printable, cells))


def chosen(
    resources: list[dict[str, Any]], *, words: str, types: str, sort: str, steps: bool
) -> list[dict[str, Any]]:
    """Those that have all the words somewhere, are of the type if there is one, in this order.

    Without `steps` no callbacks and futures, which are parts of something else."""
    wanted = [word.lower() for word in words.split()]
    found = [
        one
        for one in resources
        if (one["type"] == types if types else steps or not is_step(one["type"], one["name"]))
        and (not wanted or _has(one, wanted))
    ]
    return sorted(found, key=SORTS[sort].rank)


def trend(values: tuple[int, ...] | tuple[float, ...]) -> str:
    """Values as bars, from 0 to the largest."""
    top = max(values, default=0)
    if not top:
        return BARS[1] * len(values)
    return "".join(BARS[1 + round(value / top * (len(BARS) - 2))] for value in values)


def path_lines(one: dict[str, Any]) -> list[tuple[str, str]]:
    """How it came about, what it is doing and who waits: a label and a text for each line."""
    lines = [(hop["name"], _hop(hop)) for hop in reversed(one["trigger_chain"])]
    lines.append((one["name"], f"#{one['async_id']} {place(one['site'])}"))
    lines += [("  now in", f"{frame['function']}  {place(frame)}") for frame in one["stack"]]
    if one["waits_for"]:
        lines.append(("  waits for", one["waits_for"]))
    if one["awaits"]:
        lines.append(("  awaits", _ids(one["awaits"])))
    if one["awaited_by"]:
        lines.append(("  awaited by", _ids(one["awaited_by"])))
    lines += [(f"  {key}", str(value)) for key, value in one["details"].items()]
    return [(printable(label), printable(text)) for label, text in lines]


def _hop(hop: dict[str, Any]) -> str:
    repeated = f"  {hop['repeats']} in a row" if hop["repeats"] > 1 else ""
    return f"#{hop['async_id']} {place(hop['site'])}{repeated}"


def _ids(ids: list[int]) -> str:
    return " ".join(f"#{async_id}" for async_id in ids)


def _has(one: dict[str, Any], words: list[str]) -> bool:
    text = " ".join((*resource_cells(one), one["type"], one["task_name"] or "")).lower()
    return all(word in text for word in words)


def _rate(rate: float) -> str:
    if not rate:
        return ""
    return f"{rate:.1f}" if rate < 10 else number(round(rate))
