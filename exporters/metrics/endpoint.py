"""Where Prometheus finds the metrics: one port, one path, one request at a time.

- It listens on the loopback interface unless OTEL_EXPORTER_PROMETHEUS_HOST says otherwise, and
  there answers only who calls it by a loopback name: a web page must not read it through a name of
  its own that leads here.
- A port that is taken makes it try the next ones: several processes of one program are alike.
- Until the first scrape nothing but `socket` is imported.
"""

import selectors
import socket
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from whence.sending.exporting import CannotExport
from whence.settings.config import Settings

if TYPE_CHECKING:
    from .http_server import Scrapes

PORTS = 100
"""Ports that are tried, beginning with the one asked for."""
_BACKLOG = 16
_NEEDED = ("prometheus_client", "opentelemetry.exporter.prometheus")
_SELECTOR: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)
"""Neither with descriptors below 1024 alone, nor with one of its own that a fork would share."""
_EXCLUSIVE = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)


class Endpoint:
    """Listens on a port of its own."""

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        """Raises CannotExport if there is nothing to answer with, or no port to be had."""
        if not all(_is_installed(name) for name in _NEEDED):
            raise CannotExport(
                "no metrics are served: that needs more, pip install 'whence[prometheus]'"
            )
        self._settings = settings
        self._listening = _listening(host, port)
        self._woken, self._waker = socket.socketpair()
        self._selector = _SELECTOR()
        for one in (self._listening, self._woken):
            self._selector.register(one, selectors.EVENT_READ)
        self._scrapes: Scrapes | None = None
        address = self._listening.getsockname()
        self._host = host
        self.port = int(address[1])
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}/metrics"

    def serve(self, until: Callable[[], bool]) -> None:
        """Answer until `until()`, which is asked again whenever wake() was called."""
        while not until():
            ready = [key.fileobj for key, _ in self._selector.select()]
            if self._woken in ready:
                self._woken.recv(64)
            elif self._listening in ready:
                self._answer()

    def wake(self) -> None:
        """Have serve() ask.  For any thread."""
        try:
            self._waker.send(b"w")
        except OSError:
            pass  # it is closed

    def close(self) -> None:
        """Listen no more.  In a forked child the parent goes on listening."""
        for one in (self._listening, self._woken, self._waker):
            one.close()

    def _answer(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except OSError:
            return  # it has gone already
        with connection:
            if self._scrapes is None:
                from .http_server import Scrapes

                self._scrapes = Scrapes(self._settings, self._host)
            self._scrapes.answer(connection)


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    """The first of the ports that is free."""
    error: OSError | None = None
    for candidate in range(port, min(port + PORTS, 65536)) if port else (0,):
        try:
            return _listening_on(host, candidate)
        except OSError as failed:
            error = failed
            if isinstance(failed, socket.gaierror):
                break
    tried = f"ports {port} to {min(port + PORTS, 65536) - 1}" if port else "any port"
    reason = "" if error is None else f" ({error.strerror or error})"
    raise CannotExport(f"no metrics are served: {tried} of {host} cannot be listened on{reason}")


def _listening_on(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        if _EXCLUSIVE is not None:
            # There a port that is in use could be taken over.
            made.setsockopt(socket.SOL_SOCKET, _EXCLUSIVE, 1)
        else:
            # The port of a process that has just ended is free.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made
