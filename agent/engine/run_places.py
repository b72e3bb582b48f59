"""Where in asyncio's `Handle._run` a callback is called, and where its failure is reported.

The engine in C runs callbacks itself, without a frame.  In the tracebacks that the program sees it
has asyncio's lines stand.  Which these are the very function says here, as both calls in it fail.
"""

from asyncio import events
from collections.abc import Callable
from types import CodeType
from typing import Any

_KNOWN = {
    "_context",
    "run",
    "_callback",
    "_args",
    "SystemExit",
    "KeyboardInterrupt",
    "BaseException",
    "format_helpers",
    "_format_callback_source",
    "_source_traceback",
    "_loop",
    "call_exception_handler",
}
"""What the function looks up, in the form that C has written out."""

_DEBUG = {"get_debug"}
"""What it looks up besides, if it says whether the loop is in debug mode: from 3.13 on."""


Place = tuple[int, int]
"""Offset of the instruction, and line."""


class _Loop:
    """Just enough of a loop to fail a callback."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.error = context["exception"]
        raise LookupError


def run_places(
    run: Callable[[events.Handle], None],
) -> tuple[Place | None, Place | None, bool]:
    """Where its two calls are, as tracebacks say it, and whether it tells of debug mode.

    None for both if it is not the function that C has written out."""
    code: CodeType | None = getattr(run, "__code__", None)
    looked_up = set() if code is None else set(code.co_names)
    if looked_up not in (_KNOWN, _KNOWN | _DEBUG):
        return None, None, False
    loop: Any = _Loop()
    handle = events.Handle(_fail, (), loop)
    try:
        run(handle)
    except LookupError as error:
        return place_in(loop.error, code), place_in(error, code), looked_up != _KNOWN
    return None, None, False


def _fail() -> None:
    raise ValueError


def place_in(error: BaseException | None, code: CodeType | None) -> Place | None:
    """Where in this code an error has come through, as its traceback says it."""
    entry = None if error is None else error.__traceback__
    while entry is not None and entry.tb_frame.f_code is not code:
        entry = entry.tb_next
    return None if entry is None else (entry.tb_lasti, entry.tb_lineno)
