"""What Python remembers of an interrupt until its very end.

A program that Ctrl-C ends dies of SIGINT, so that a shell's loop ends with it.  Python decides that
last of all, by a note that it made when the main module was left; and forgets the note when source
text is evaluated meanwhile, as imports do in our exit handler.

Start-up path: imports nothing heavy.
"""

import sys


def interrupted() -> bool:
    """Whether a KeyboardInterrupt that nobody caught has ended the main module.

    For exit handlers.  A console prints its users' interrupts as well, but from inside a frame."""
    traceback = getattr(sys, "last_traceback", None)
    return (
        getattr(sys, "last_type", None) is KeyboardInterrupt
        and traceback is not None
        and traceback.tb_frame.f_back is None
    )


def remember_interrupt() -> None:
    """Have Python make its note again."""
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        pass
