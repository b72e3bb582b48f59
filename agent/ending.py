"""What held the process, for `--on-exit why`: noted while it is still there, said at the end.

When the exit handlers run, the loop has cancelled its tasks and the threads have ended.  So it is
noted when a runner is told to stop, by Ctrl-C or because its main task is done, and when the main
thread begins to wait for others.  If that wait goes on, it is said at once; but Python 3.12 starts
no thread any more by then, so there it is said when Ctrl-C ends the wait.

Start-up path of every attached process: imports nothing heavy.
"""

import os
import sys
from time import sleep

from .background import Background
from .report import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .live.why import Answer

_PATIENCE = 1.0
"""Seconds that the main thread waits for others before it is said why."""

_wanted_in = 0
"""The process that says what held it."""
_noted: "Answer | None" = None
_said = False
_waits = False


def want() -> None:
    """Have what holds this process noted from now on; forked children say nothing."""
    global _wanted_in, _noted, _said
    _wanted_in, _noted, _said = os.getpid(), None, False


def wanted() -> bool:
    """Whether this process says what held it."""
    return _wanted_in == os.getpid()


def note() -> None:
    """Keep what holds the process now; nothing if that is nothing."""
    global _noted
    if wanted():
        found = _ask()
        if found.findings:
            _noted = found


def main_thread_waits() -> None:
    """The program is over but for its threads."""
    global _waits
    note()
    if wanted():
        _waits = True
        Background(_say_if_it_waits).start()


def main_thread_goes_on() -> None:
    """The other threads have ended."""
    global _waits
    _waits = False


def text() -> str:
    """What to say at the end of the process; empty if it has been said."""
    if _said:
        return ""
    from .live.why_text import text_of

    found = _ask() if _noted is None else _noted
    if not found.findings:
        return "whence: nothing was open at the end"
    return text_of(found.as_dict(), colour=is_terminal(), over=not _waits)


def is_terminal() -> bool:
    """Whether the process's own stderr is one, and colours are wanted there."""
    stream = sys.__stderr__
    try:
        return stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")
    except ValueError:
        return False


def _ask() -> "Answer":
    from .live.snapshot import take
    from .live.why import why

    return why(take(deep=True))


def _say_if_it_waits() -> None:
    global _noted, _said
    sleep(_PATIENCE)
    if _waits:
        _noted = None
        said = text()
        _said = True
        say(said)
