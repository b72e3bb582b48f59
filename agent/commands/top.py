"""`whence top`: a process, watched full screen."""

import sys
from argparse import ArgumentTypeError
from importlib.util import find_spec
from typing import Any

from ..serving.asking import NoAnswer
from ..serving.processes import the_process
from .words import Parser, add_process

_SHORTEST = 0.1

DESCRIPTION = """\
Counts and rates by type, how busy and how late the loops are, what blocks them, and what waits the
longest.  Keys: s sorts, / filters, enter opens the path of a resource or shows one type alone,
f shows futures and callbacks, p pauses, q quits.
"""


def main(words: list[str]) -> int:
    """Show it until the user quits; 0.  Raises UsageError, NoAnswer."""
    parser = Parser("top", DESCRIPTION)
    add_process(parser)
    parser.add_argument(
        "-i",
        "--interval",
        type=_seconds,
        default=1.0,
        metavar="S",
        help="seconds between two looks (default: 1)",
    )
    options = parser.parse_args(words)
    if find_spec("textual") is None:
        raise NoAnswer("expected Textual, which is not installed: pip install 'whence[top]'")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoAnswer("expected a terminal to draw on; `whence ps` prints")
    process = the_process(options.process)
    process.ask("about")
    from whence.terminal import app

    screen: Any = app.Top
    screen(process, options.interval).run()
    return 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _SHORTEST <= seconds < float("inf"):
        raise ArgumentTypeError(f"expected seconds, {_SHORTEST} or more, not {text!r}")
    return seconds
