"""The answer of `why` for a terminal.

Made of its JSON form, so that whoever asked over the socket prints what the process itself would.
"""

import os
from typing import Any

from .why import KINDS

MAX_FINDINGS = 20
"""Findings that are told; the rest is counted."""

_BOLD, _DIM, _RED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


def text_of(answer: dict[str, Any], *, colour: bool = False, over: bool = False) -> str:
    """Lines for a person: each finding, and its path with the source line at each hop.

    `over`: the process is about to end."""
    findings = answer["findings"]
    if not findings:
        return f"whence: nothing found that keeps process {answer['pid']}"
    paint = _painted if colour else _plain
    count = f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
    goes_on = "went on" if over else "goes on"
    lines = [f"whence: why process {answer['pid']} {goes_on}: {count}, the likeliest first"]
    for number, finding in enumerate(findings[:MAX_FINDINGS], 1):
        mark = paint(f"{number}. ", _BOLD)
        lines += ["", mark + paint(finding["text"], _RED if number == 1 else _BOLD)]
        lines.append("   " + paint(KINDS[finding["kind"]], _DIM))
        lines += _path(finding["path"], answer["folder"], paint)
    if len(findings) > MAX_FINDINGS:
        lines += ["", f"and {len(findings) - MAX_FINDINGS} more"]
    return "\n".join(lines)


def _path(path: list[dict[str, Any]], folder: str, paint: Any) -> list[str]:
    rows = [(line["label"], _shown(line["site"], folder), line["source"]) for line in path]
    wide = max((len(label) for label, _, _ in rows), default=0)
    far = max((len(where) for _, where, _ in rows), default=0)
    return [
        f"     {label:<{wide}}  {where:<{far}}  {paint(source, _DIM)}".rstrip()
        for label, where, source in rows
    ]


def _shown(site: dict[str, Any] | None, folder: str) -> str:
    """The file as the user would type it there."""
    if site is None:
        return ""
    here = os.path.join(folder, "") if folder else ""
    file = site["file"].removeprefix(here) if here else site["file"]
    return f"{file}:{site['line']}"


def _painted(text: str, code: str) -> str:
    return f"{code}{text}{_PLAIN}" if text else text


def _plain(text: str, code: str) -> str:
    return text
