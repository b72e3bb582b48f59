"""What a process of this machine is doing at this moment: its own socket is asked."""

import sqlite3
from typing import Any

from whence.live.why_text import text_of
from whence.serving.asking import NoAnswer
from whence.serving.processes import the_process

from .asked import Asked
from .processes import process

_LIMIT = 2_000
"""Resources that a page can use."""
_PATIENCE = 3.0
"""Seconds for the answer; a program whose threads compete for the interpreter answers slowly."""


def live(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/live`."""
    return _ask(connection, asked, "resources", limit=_LIMIT)


def why(connection: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """`/api/why`."""
    told = _ask(connection, asked, "why")
    return {**told, "text": text_of(told, colour=False)} if told["available"] else told


def _ask(
    connection: sqlite3.Connection, asked: Asked, question: str, **details: Any
) -> dict[str, Any]:
    about = process(connection, asked.process())
    if not about["whence"]:
        return _unavailable("it has no agent of whence's: only its traces and metrics are known")
    if not about["local"]:
        return _unavailable(f"it runs on another machine ({about['host']})")
    try:
        answer = the_process(str(about["pid"])).ask(question, patience=_PATIENCE, **details)
    except (NoAnswer, OSError) as error:
        return _unavailable(str(error))
    return {"available": True, **answer}


def _unavailable(reason: str) -> dict[str, Any]:
    return {"available": False, "reason": reason}
