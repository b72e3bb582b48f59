"""`whence tree`: what a process has open, below what triggered it; or by who awaits whom."""

import json
from collections.abc import Iterator
from typing import Any

from ..serving.processes import the_process
from .forest import Node, by_await, by_trigger
from .ps import doing
from .showing import BOLD, DIM, counted, duration, painted, place, printable, shortened, width
from .words import Parser, add_json, add_process, whole

_EVERYTHING = 20_000
_DEPTH = 64

DESCRIPTION = """\
By trigger: what made what, with what has ended in between.  By await: below each task what it
awaits, and what that awaits.
"""


def main(words: list[str]) -> int:
    """Print; 0.  Raises UsageError, NoAnswer."""
    parser = Parser("tree", DESCRIPTION)
    add_process(parser)
    parser.add_argument(
        "--by", choices=("trigger", "await"), default="trigger", help="default: trigger"
    )
    parser.add_argument(
        "--depth", type=whole(1), default=_DEPTH, metavar="N", help="levels, at the most"
    )
    parser.add_argument(
        "-a", "--all", action="store_true", help="callbacks and futures too, and each of the same"
    )
    add_json(parser)
    options = parser.parse_args(words)
    # What awaits what goes by way of futures.
    by, steps = (by_await, True) if options.by == "await" else (by_trigger, options.all)
    answer = the_process(options.process).ask("resources", limit=_EVERYTHING, steps=steps)
    roots = by(answer["resources"])
    if options.json:
        print(json.dumps([_as_json(root, options.depth) for root in roots], indent=2))
        return 0
    room = width()
    for root in _merged(roots, options.all):
        for line in _lines(root, options.depth, merge=not options.all):
            print(_painted(line, room))
    if not roots:
        print("nothing is open")
    if answer["left_out"]:
        print(f"{counted(answer['left_out'], 'resource')} more")
    return 0


class _Line:
    """A line of the tree, in its parts."""

    def __init__(self, branches: str, node: Node, times: int) -> None:
        self.branches = branches
        self.node = node
        self.times = times


def _lines(
    node: Node, depth: int, *, merge: bool, lead: str = "", branch: str = "", times: int = 1
) -> Iterator[_Line]:
    yield _Line(lead + branch, node, times)
    if branch:
        lead += "   " if branch.startswith("└") else "│  "
    if depth <= 1:
        return
    groups = list(_grouped(node.children, merge))
    for at, (child, same) in enumerate(groups, 1):
        mark = "└─ " if at == len(groups) else "├─ "
        yield from _lines(child, depth - 1, merge=merge, lead=lead, branch=mark, times=same)


def _merged(roots: list[Node], everything: bool) -> Iterator[Node]:
    for root, times in _grouped(roots, merge=not everything):
        root.times = times
        yield root


def _grouped(nodes: list[Node], merge: bool) -> Iterator[tuple[Node, int]]:
    """Each with how many look the same: a thousand connections are one line."""
    if not merge:
        yield from ((node, 1) for node in nodes)
        return
    same: dict[str, list[Node]] = {}
    for node in nodes:
        same.setdefault(_shape(node), []).append(node)
    for alike in same.values():
        yield alike[0], len(alike)


def _shape(node: Node, depth: int = 8) -> str:
    """What two nodes have in common that need not both be shown."""
    inside = "" if not depth else "".join(sorted(_shape(one, depth - 1) for one in node.children))
    one = node.resource
    at = "" if one is None or one["at"] is None else place(one["at"])
    return f"({node.name}|{place(node.site)}|{one and one['state']}|{at}|{node.repeats}{inside})"


def _painted(line: _Line, room: int | None) -> str:
    node = line.node
    times = max(line.times, node.times)
    name = printable(node.name)
    left = len(line.branches) + len(name)
    rest = printable(_facts(node, times))
    rest = "  " + shortened(rest, None if room is None else max(8, room - left - 2))
    code = DIM if node.resource is None else BOLD
    return line.branches + painted(name, code) + painted(rest, DIM)


def _facts(node: Node, times: int) -> str:
    one = node.resource
    many = f"\N{MULTIPLICATION SIGN} {times}" if times > 1 else ""
    repeated = f"{node.repeats} in a row" if node.repeats > 1 else ""
    if one is None:
        facts = [many, repeated, node.note, place(node.site)]
    else:
        which = f"#{one['async_id']}"
        task_name = one["task_name"] or ""
        # Of many, one's own name says nothing; nor does the number that asyncio gives.
        shown = "" if many or task_name.startswith("Task-") else task_name
        age = duration(one["age"])
        facts = [many, shown, which, one["state"], age, place(node.site), node.note, _now(one)]
    return "  ".join(filter(None, facts))


def _now(one: dict[str, Any]) -> str:
    now = doing(one)
    return f"→ {now}" if now else ""


def _as_json(node: Node, depth: int) -> dict[str, Any]:
    return {
        "async_id": node.async_id,
        "name": node.name,
        "site": node.site,
        "repeats": node.repeats,
        "note": node.note,
        "resource": node.resource,
        "children": [_as_json(one, depth - 1) for one in node.children] if depth > 1 else [],
    }
