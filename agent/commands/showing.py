"""How processes and resources are shown in a terminal: times, places, tables.

What comes from another process is printed without its control characters: a name could move the
cursor, or worse.
"""

import os
import shutil
import sys
from typing import Any

GAP = "  "
_LEAST_WIDTH = 60
_INSTALLED = ("site-packages", "dist-packages")

BOLD, DIM, RED, YELLOW = "1", "2", "31", "33"
"""SGR codes."""


def printable(text: object) -> str:
    """On one line, with nothing that a terminal acts on."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in str(text))


def all_printable(answer: Any) -> Any:
    """The same data with texts that are."""
    if isinstance(answer, str):
        return printable(answer)
    if isinstance(answer, dict):
        return {key: all_printable(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [all_printable(value) for value in answer]
    return answer


def duration(seconds: float | None) -> str:
    """`0.4ms`, `12ms`, `1.3s`, `2m05s`, `3h20m`, `4d02h`; `-` if it is not known."""
    if seconds is None:
        return "-"
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 0.0095:
        return f"{seconds * 1000:.1f}ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def number(count: int) -> str:
    """`12 481`."""
    return f"{count:,}".replace(",", " ")


def counted(count: int, noun: str) -> str:
    """`1 task`, `12 tasks`."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def file_name(path: str) -> str:
    """A file as a person here would name it: from the current folder, or from its package on."""
    here = os.path.join(_current_folder(), "")
    if path.startswith(here):
        return path[len(here) :]
    parts = path.replace("\\", "/").split("/")
    for at, part in enumerate(parts):
        if part in _INSTALLED or part.startswith("python3."):
            rest = [one for one in parts[at + 1 :] if one not in _INSTALLED]
            return "/".join(rest) or path
    return parts[-1]


def place(site: dict[str, Any] | None) -> str:
    """`app.py:41`; `-` if it is not known."""
    return "-" if site is None else f"{file_name(str(site['file']))}:{site['line']}"


def wants_colour() -> bool:
    """Unless NO_COLOR (https://no-color.org), a pipe or a dumb terminal says otherwise."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def painted(text: str, code: str) -> str:
    """In a colour, if there are colours."""
    return f"\033[{code}m{text}\033[0m" if code and wants_colour() else text


def width() -> int | None:
    """Columns of the terminal; None if it is a pipe, which takes lines of any length."""
    if not sys.stdout.isatty():
        return None
    return max(_LEAST_WIDTH, shutil.get_terminal_size().columns)


class Column:
    """A column of a table: its title, and whether it is a number, which stands to the right."""

    __slots__ = ("is_number", "title")

    def __init__(self, title: str, *, is_number: bool = False) -> None:
        self.title = title
        self.is_number = is_number


def table(columns: list[Column], rows: list[list[str]], room: int | None) -> list[str]:
    """Lines of aligned cells under their titles.

    In `room` columns; the last one gives way, then whichever is the widest."""
    cells = [[printable(cell) for cell in row] for row in rows]
    titles = [column.title for column in columns]
    widths = [max(map(len, cells_of)) for cells_of in zip(titles, *cells, strict=True)]
    if room is not None:
        widths = _fitted(widths, room)
    header = painted(_line(columns, titles, widths), BOLD)
    return [header, *(_line(columns, row, widths) for row in cells)]


def shortened(text: str, room: int | None) -> str:
    """With an ellipsis at its end if it is too long."""
    if room is None or len(text) <= room:
        return text
    return text[: max(0, room - 1)] + "…"


def _line(columns: list[Column], cells: list[str], widths: list[int]) -> str:
    shown = []
    for column, cell, size in zip(columns, cells, widths, strict=True):
        cut = shortened(cell, size)
        shown.append(cut.rjust(size) if column.is_number else cut.ljust(size))
    return GAP.join(shown).rstrip()


def _fitted(widths: list[int], room: int) -> list[int]:
    left = room - len(GAP) * (len(widths) - 1)
    fitted = list(widths)
    while sum(fitted) > left:
        widest = max(range(len(fitted)), key=lambda at: (fitted[at] > 24, at, fitted[at]))
        if fitted[widest] <= 24:
            widest = fitted.index(max(fitted))
        if fitted[widest] <= 4:
            break
        fitted[widest] -= 1
    return fitted


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.sep
