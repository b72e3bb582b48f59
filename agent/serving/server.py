"""The socket of this process: it answers `whence ps`, `why`, `top` and the like.

- There from the first callback of a loop on, gone at the end; a forked child has one of its own.
- One question at a time, in a thread of ours, which waits for nothing of the program's: a loop that
  is blocked keeps nobody from asking why.
- Whoever asks much waits: answering takes at most a fifth of the time.
- Only the user whose process it is, and root, are answered.

Start-up path of every attached process: imports nothing heavy.
"""

import atexit
import os
import sys
from _thread import interrupt_main
from time import monotonic

from ..report import warn
from ..resident import STOPPED, Resident
from .folders import NotPrivate, is_short_enough, make_private, places, socket_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..settings.config import Settings
    from .listener import Listener

_PATIENCE = 0.05
"""Seconds that the end of the process waits for an answer that is being given."""


class Serving:
    """Serves this process's socket."""

    __slots__ = ("_listener", "_settings", "resident")

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._listener: Listener | None = None
        self.resident = Resident("answering `whence ps`", self._work, self._wake)

    def in_child(self) -> "Serving":
        """The same for a forked child."""
        if self._listener is not None:
            self._listener.let_go()
        return Serving(self._settings)

    def close(self) -> None:
        """Have no socket any more, if no thread serves it."""
        if self._listener is not None and not self.resident.runs:
            self._listener.close()
            self._listener = None

    def _wake(self) -> None:
        if self._listener is not None:
            self._listener.wake()

    def _work(self) -> None:
        resident = self.resident
        if self._listener is None and resident.order is None:
            self._listener = self._listen()
        if self._listener is not None:
            self._listener.serve(lambda: resident.order is not None)
            if resident.order is STOPPED:
                self._listener.close()
                self._listener = None

    def _listen(self) -> "Listener | None":
        """At the first place that will do."""
        self.resident.loading = True
        try:
            from .listener import Listener

            problem = ""
            for folder in places():
                if not is_short_enough(folder):
                    continue
                try:
                    make_private(folder)
                    return Listener(socket_path(folder, os.getpid()), self._settings)
                except NotPrivate as error:
                    problem = str(error)
                except OSError as error:
                    problem = problem or f"{folder}: {error.strerror or error}"
        finally:
            self.resident.loading = False
        warn(f"`whence ps` will not find this process ({problem or 'no folder for its socket'})")
        self.resident.order = STOPPED
        return None


_serving: Serving | None = None
_hooked = False


def start(settings: "Settings") -> None:
    """Answer questions from the first event on, unless the settings say no.

    Starts no thread yet."""
    global _serving, _hooked
    if settings.no_live or sys.platform == "win32":
        # Python has no unix sockets there.
        return
    _serving = Serving(settings)
    _serving.resident.begin()
    if not _hooked:
        _hooked = True
        atexit.register(stop)
        os.register_at_fork(
            before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child
        )


def stop() -> None:
    """Answer no more.  Does nothing if nothing was started."""
    global _serving
    stopped, _serving = _serving, None
    if stopped is not None:
        stopped.resident.stop(monotonic() + _PATIENCE)
        stopped.resident.wait()
        stopped.close()


def _before_fork() -> None:
    if _serving is not None:
        try:
            _serving.resident.pause()
        except KeyboardInterrupt:
            # Python would only print it: it is the program's, once the fork is over.
            interrupt_main()


def _in_parent() -> None:
    if _serving is not None:
        _serving.resident.resume()


def _in_child() -> None:
    global _serving
    if _serving is not None:
        _serving = _serving.in_child()
        _serving.resident.begin()
