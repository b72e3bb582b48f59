"""Connections over HTTP that ask little of whoever else wants to run.

Each call of the system that may wait gives up the GIL, and a busy loop has it back for 5 ms before
it gives it up in turn.  `http.client` sends head and body apart, and a socket with a timeout waits
and sends by turns, a buffer at a time: a megabyte would take ten times as long as it needs.
"""

import socket
import struct
import sys
from http.client import HTTPConnection, HTTPSConnection
from time import monotonic
from typing import Any

_WAITS_IN_THE_SYSTEM = sys.platform == "linux" and sys.maxsize > 1 << 32
"""Whether a time limit of the system's own is known to be two longs."""


class _AtOnce(HTTPConnection):
    """Sends a request in as few calls as can be."""

    _parts: list[Any] | None = None

    def send(self, data: Any) -> None:
        """Called by `http.client`, for head and body."""
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)

    def post(self, target: str, data: bytes, headers: dict[str, str], deadline: float) -> None:
        """Send a request, on a connection that there is already.  Raises TimeoutError."""
        self._parts = []
        try:
            self.request("POST", target, data, headers)
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        self._send_whole(whole, deadline)

    def _send_whole(self, data: bytes, deadline: float) -> None:
        assert self.sock is not None
        self.sock.settimeout(left(deadline))
        self.sock.sendall(data)


class PlainConnection(_AtOnce):
    """Without TLS."""

    def _send_whole(self, data: bytes, deadline: float) -> None:
        if not _WAITS_IN_THE_SYSTEM:
            super()._send_whole(data, deadline)
            return
        rest = memoryview(data)
        sock: socket.socket = self.sock
        sock.settimeout(None)
        while rest:
            seconds, part = divmod(left(deadline), 1)
            limit = struct.pack("ll", int(seconds), max(1, int(part * 1e6)))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                raise TimeoutError from None


class SecureConnection(_AtOnce, HTTPSConnection):
    """With TLS."""


def left(deadline: float) -> float:
    """Seconds until then, a time of `monotonic()`.  TimeoutError if there are none."""
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
