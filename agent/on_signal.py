"""`--on-signal why`: SIGUSR1 has the process say why it goes on, if it was asked for.

The handler only starts a thread of ours, which looks and prints: so what the signal interrupts goes
on at once.  A handler that the program has set, or sets later, stays.
"""

import os
from typing import Any

from .background import REFUSED, Background
from .ending import is_terminal
from .report import say, warn


def install() -> None:
    """Answer SIGUSR1 from now on.  In the main thread; one line if that cannot be."""
    # Not at the top: it takes longer to import than all the rest of attaching.
    import signal

    number = getattr(signal, "SIGUSR1", None)
    if number is None:
        warn("--on-signal has no effect here: there is no SIGUSR1")
        return
    try:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _answer)
    except ValueError:
        warn("--on-signal has no effect: the agent was not attached in the main thread")


_asked = False
_process = os.getpid()


def _answer(number: int, frame: Any) -> None:
    global _asked, _thread, _process
    if os.getpid() != _process:
        # A fork inherits the handler, and not the thread that was answering, maybe.
        _process, _thread = os.getpid(), Background(_say_why, _answer_once_more)
    _asked = True
    if _thread.start() is REFUSED:
        # Python 3.12 starts none while the main thread waits for others at the end.
        _say_why()


def _answer_once_more() -> None:
    """Who has asked while the last answer was being printed."""
    if _asked:
        _thread.start()


def _say_why() -> None:
    global _asked
    _asked = False
    from .live.snapshot import take
    from .live.why import why
    from .live.why_text import text_of

    try:
        say(text_of(why(take(deep=True)).as_dict(), colour=is_terminal()))
    except Exception as error:
        warn(f"why failed in process {os.getpid()} ({type(error).__name__}: {error})")


_thread = Background(_say_why, _answer_once_more)
