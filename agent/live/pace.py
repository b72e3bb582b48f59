"""How a look at the program's objects keeps out of the program's way.

A thread that waits for Python's lock asks for it after `sys.getswitchinterval()`, 5 ms.  In our own
threads a look gives the lock away before that, every `_AT_A_STRETCH`: so the loop is hardly held,
and nothing changes under our hands between two `breathe()`: no frame or task that we look at ends
in our thread.
"""

from time import perf_counter, sleep

from ..engine import local

_AT_A_STRETCH = 0.002
_PAUSE = 0.0005


class Pace:
    """Of one look."""

    __slots__ = ("_ours", "_until")

    def __init__(self) -> None:
        self._ours = local.state.muted
        self._until = perf_counter() + _AT_A_STRETCH

    def breathe(self) -> None:
        """Let the program run for a moment, if it is time to; called between two objects.

        In the program's own thread it does nothing: the program is waiting for the answer."""
        if self._ours and perf_counter() > self._until:
            sleep(_PAUSE)
            self._until = perf_counter() + _AT_A_STRETCH
