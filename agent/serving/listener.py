"""A socket on which a process is asked, and the asking, one after the other.

Every wait is for the other end or for being woken, whichever comes first: the process may be about
to fork or to end.
"""

import errno
import os
import selectors
import socket
from collections.abc import Callable, Iterable
from time import monotonic, thread_time
from typing import Any

from ..settings.config import Settings
from .folders import sockets

_TO_ASK, _TO_LISTEN = 1.0, 5.0
"""Seconds for somebody to ask, and to take the answer: others wait meanwhile."""
SHARE = 0.2
"""Of a processor's time, that answering takes at the most."""
_LONGEST_REST = 2.0
_BACKLOG = 16
_PART = 65536
_SELECTOR: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)
"""Neither with descriptors below 1024 alone, nor with one of its own that a fork would share."""


class _Enough(Exception):
    """This connection is of no use any more."""


class Listener:
    """Listens at a path, and answers."""

    def __init__(self, path: str, settings: Settings) -> None:
        """In a folder that is private.  Raises OSError if it cannot listen there."""
        self._settings = settings
        self._path = path
        self._pid = os.getpid()
        sweep(os.path.dirname(path))
        self._listening = _listening(path)
        self._woken, self._waker = socket.socketpair()
        for one in (self._listening, self._woken, self._waker):
            one.setblocking(False)
        self._until: Callable[[], bool] = lambda: False

    def serve(self, until: Callable[[], bool]) -> None:
        """Answer until `until()`, which is asked again whenever wake() was called."""
        self._until = until
        while not until():
            if not self._wait(self._listening, selectors.EVENT_READ, None):
                continue
            try:
                connection, _ = self._listening.accept()
            except OSError:
                continue  # it has gone already
            began = thread_time()
            with connection:
                connection.setblocking(False)
                try:
                    self._answer(connection)
                except (OSError, _Enough):
                    pass
            self._rest((thread_time() - began) * (1 / SHARE - 1))

    def wake(self) -> None:
        """Have serve() ask.  For any thread."""
        try:
            self._waker.send(b"w")
        except OSError:
            pass  # it is closed, or has been woken often enough

    def close(self) -> None:
        """Listen no more."""
        self.let_go()
        try:
            os.unlink(self._path)
        except OSError:
            pass  # somebody has tidied up

    def let_go(self) -> None:
        """In a forked child: leave the parent's socket to the parent."""
        for one in (self._listening, self._woken, self._waker):
            one.close()

    def _answer(self, connection: socket.socket) -> None:
        # With the first question, not before: json, and all that looks at the program.
        from .answers import answer
        from .protocol import peer_of

        if peer_of(connection).uid in (None, 0, os.getuid()):
            question = self._question(connection)
            self._send(connection, answer(question, self._settings))

    def _question(self, connection: socket.socket) -> bytes:
        """A line, or the beginning of one that is too long."""
        from .protocol import MAX_QUESTION

        by = monotonic() + _TO_ASK
        line = b""
        while not line.endswith(b"\n") and len(line) <= MAX_QUESTION:
            self._await(connection, selectors.EVENT_READ, by)
            part = connection.recv(MAX_QUESTION)
            if not part:
                raise _Enough
            line += part
        return line

    def _send(self, connection: socket.socket, answer: Iterable[bytes]) -> None:
        by = monotonic() + _TO_LISTEN
        for part in answer:
            rest = memoryview(part)
            while rest:
                self._await(connection, selectors.EVENT_WRITE, by)
                rest = rest[connection.send(rest[:_PART]) :]

    def _await(self, connection: socket.socket, event: int, by: float) -> None:
        if not self._wait(connection, event, by - monotonic()):
            raise _Enough

    def _rest(self, seconds: float) -> None:
        until = monotonic() + min(seconds, _LONGEST_REST)
        while not self._until() and (left := until - monotonic()) > 0:
            self._wait(None, 0, left)

    def _wait(self, one: Any, event: int, seconds: float | None) -> bool:
        """Wait until it is ready: False if it is not in time, or there is something else to do."""
        with _SELECTOR() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            if one is not None:
                selector.register(one, event)
            ready = {key.fileobj for key, _ in selector.select(seconds)}
        if self._woken in ready:
            try:
                self._woken.recv(64)
            except BlockingIOError:
                pass
            if self._until():
                return False
        return one in ready


def sweep(folder: str) -> None:
    """Remove the sockets at which nobody listens any more: their processes were killed."""
    for pid, path in sockets(folder):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.setblocking(False)
            if asking.connect_ex(path) == errno.ECONNREFUSED and not may_listen(pid):
                try:
                    os.unlink(path)
                except OSError:
                    pass


def may_listen(pid: int) -> bool:
    """Whether what refuses to be connected may be this process, which has much to do.

    On Linux it would wait instead, and a pid in another container's folder means nothing here."""
    if os.path.exists("/proc/self"):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _listening(path: str) -> socket.socket:
    """A socket that has its name only once it listens: sweep() would take it for left behind."""
    nameless = f"{path}.new"
    made = socket.socket(socket.AF_UNIX)
    try:
        if os.path.lexists(nameless):
            os.unlink(nameless)
        made.bind(nameless)
        made.listen(_BACKLOG)
        os.rename(nameless, path)
    except BaseException:
        made.close()
        raise
    return made
