"""What `whence demo` shows of the traces in a file that `--export file` wrote."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from statistics import median
from typing import Any, NamedTuple

from whence.exporters.tree import WIDTH, Row, render, rows_of_request, trees_of

Tree = list[Row]


class Alike(NamedTuple):
    """Traces whose roots have one name, the slowest first."""

    name: str
    trees: list[Tree]

    @property
    def is_of_requests(self) -> bool:
        """Whether somebody asked for each of them."""
        return _root(self.trees[0]).attributes.get("whence.type") == "Request"


def read_traces(file: str) -> list[Alike]:
    """The traces in the file by name, what was slowest first."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    rows = [_with_short_paths(row) for line in lines for row in rows_of_request(line)]
    names: dict[str, list[Tree]] = {}
    for tree in trees_of(rows):
        names.setdefault(_root(tree).name, []).append(tree)
    for trees in names.values():
        trees.sort(key=lambda tree: -_root(tree).duration)
    found = [Alike(name, trees) for name, trees in names.items()]
    return sorted(found, key=lambda alike: -_root(alike.trees[0]).duration)


def print_requests(traces: Iterable[Alike]) -> None:
    """The slowest request of each route, and the slowest that failed."""
    for name, trees in (alike for alike in traces if alike.is_of_requests):
        typical = median(_root(tree).duration for tree in trees) / 1e6
        _print(f"The slowest of {len(trees)} {name}; typically {typical:.1f} ms", trees[0])
        failed = next((tree for tree in trees if _root(tree).error), trees[0])
        if failed is not trees[0]:
            _print(f"The slowest {name} that failed", failed)


def print_background(traces: Iterable[Alike]) -> None:
    """What nobody asked for: the program itself, and what it does by the clock."""
    for name, trees in (alike for alike in traces if not alike.is_of_requests):
        tree = max(trees, key=len)
        if len(tree) > 1:
            which = f"One of {len(trees)}" if len(trees) > 1 else "In the background:"
            _print(f"{which} {name}", tree)


def _root(tree: Sequence[Row]) -> Row:
    return next((row for row in tree if not row.parent_id), tree[0])


def _print(heading: str, tree: Sequence[Row]) -> None:
    for line in _lines(heading, tree):
        print(line)


def _lines(heading: str, tree: Sequence[Row]) -> Iterator[str]:
    columns, colour = WIDTH, False
    if sys.stdout.isatty():
        columns = get_terminal_size().columns
        colour = not os.environ.get("NO_COLOR")
    yield f"\x1b[1m{heading}\x1b[0m" if colour else heading
    yield render(tree, colour=colour, columns=columns)
    yield ""


def _with_short_paths(row: Row) -> Row:
    """With files as people say them: `shop/pages.py`."""
    blocks = tuple(map(_with_short_path, row.blocks))
    return row._replace(attributes=_with_short_path(row.attributes), blocks=blocks)


def _with_short_path(attributes: Mapping[str, Any]) -> dict[str, Any]:
    path = attributes.get("code.file.path")
    short = {"code.file.path": os.path.join(*Path(path).parts[-2:])} if path else {}
    return {**attributes, **short}
