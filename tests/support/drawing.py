"""Traces as drawings: what a test writes by hand, and what became of the spans that were seen.

    3 x task talk
        connect  CLIENT closed
    accept  closed <- server
        ...

A line is a span under the one that it is indented under: its name, and after two spaces what is
special about it: a kind that is not INTERNAL, an outcome that is not "done", and after an arrow the
name of what it is linked to.  Siblings stand in alphabetical order, for when they began may differ
from run to run; those that are the same, with all that is below them, are one line with a number.
"""

import difflib
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from seen import SeenSpan

_INDENT = 4
_TIMES = " x "
_SPECIAL = "  "

Tree = tuple[str, tuple["Tree", ...]]
"""The line of a span, and what is below it."""


def check_drawing(spans: Sequence[SeenSpan], drawing: str) -> None:
    """Fail, with the differences, unless these spans are what a test has drawn."""
    expected = _lines(_read(_split(drawing), 0))
    seen = draw(spans)
    differences = difflib.unified_diff(expected, seen, "drawn", "seen", lineterm="", n=99)
    assert seen == expected, "\n" + "\n".join(differences)


def names_in(drawing: str) -> Counter[str]:
    """The names of the spans in a drawing, and how many have each."""
    found: Counter[str] = Counter()
    waiting = _read(_split(drawing), 0)
    while waiting:
        line, below = waiting.pop()
        found[line.partition(_SPECIAL)[0]] += 1
        waiting += below
    return found


def draw(spans: Sequence[SeenSpan]) -> list[str]:
    """The traces of these spans, as lines."""
    by_id = {span.span_id: span for span in spans}
    below: dict[str, list[SeenSpan]] = {}
    for span in spans:
        below.setdefault(span.parent_id if span.parent_id in by_id else "", []).append(span)

    def tree(span: SeenSpan) -> Tree:
        children = (tree(child) for child in below.get(span.span_id, ()))
        return _line(span, by_id), tuple(sorted(children))

    return _lines(tree(root) for root in below.get("", ()))


def _line(span: SeenSpan, by_id: dict[str, SeenSpan]) -> str:
    special = [span.kind] if span.kind != "INTERNAL" else []
    # The application's own spans say nothing of it.
    if span.attributes.get("whence.outcome", "done") != "done":
        special.append(span.outcome)
    for _, span_id, attributes in span.links:
        target = by_id[span_id].name if span_id in by_id else "something that was not seen"
        reason = attributes["whence.link"]
        special.append(f"<- {target}" if reason == "trigger" else f"<- {reason} of {target}")
    if span.parent_id and span.parent_id not in by_id:
        special.append("under something that was not seen")
    return f"{span.name}{_SPECIAL}{' '.join(special)}".rstrip()


def _split(drawing: str) -> list[str]:
    return textwrap.dedent(drawing).strip("\n").splitlines()


def _read(lines: Sequence[str], depth: int) -> list[Tree]:
    trees: list[Tree] = []
    starts = [nth for nth, line in enumerate(lines) if _depth(line) == depth]
    assert not lines or starts[:1] == [0], f"expected {depth} levels of indentation: {lines[0]!r}"
    for start, end in pairwise([*starts, len(lines)]):
        number, _, rest = lines[start].strip().partition(_TIMES)
        times, line = (int(number), rest) if number.isdigit() else (1, lines[start].strip())
        trees += [(line, tuple(sorted(_read(lines[start + 1 : end], depth + 1))))] * times
    return trees


def _depth(line: str) -> int:
    spaces = len(line) - len(line.lstrip())
    assert spaces % _INDENT == 0, f"expected {_INDENT} spaces for each level: {line!r}"
    return spaces // _INDENT


def _lines(trees: Iterable[Tree], depth: int = 0) -> list[str]:
    found = []
    for tree, times in sorted(Counter(trees).items()):
        number = f"{times}{_TIMES}" if times > 1 else ""
        found.append(" " * _INDENT * depth + number + tree[0])
        found += _lines(tree[1], depth + 1)
    return found
