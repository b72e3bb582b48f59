"""Connections over HTTP that ask little of whoever else wants to run.

Each call of the system that may wait gives up the GIL, and a busy loop has it back for 5 ms before
it gives it up in turn.  `http.client` sends head and body apart, and a socket with a timeout waits
and sends by turns, a buffer at a time: a megabyte would take ten times as long as it needs.  The
engine in C gives up the GIL once for all of it, the answer included.
"""

import io
import socket
import struct
import sys
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from time import monotonic
from typing import Any

from whence.engine.packing import post

Content = bytes | list[bytes | memoryview]
"""Of a request: all of it, or its parts, for it may be megabytes, and need not be copied then."""

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

    def post(self, target: str, data: Content, headers: dict[str, str], deadline: float) -> None:
        """Send a request, on a connection that there is already.  Raises TimeoutError."""
        body = [data] if isinstance(data, bytes) else data
        length = {"Content-Length": str(sum(map(len, body)))}
        parts = self._parts = []
        try:
            self.request("POST", target, body, {**headers, **length})
        finally:
            self._parts = None
        self._send_all(parts, deadline)

    def answer(self, deadline: float) -> HTTPResponse:
        """The answer to what was posted.  Raises TimeoutError."""
        assert self.sock is not None
        self.sock.settimeout(left(deadline))
        return self.getresponse()

    def _send_all(self, parts: list[Any], deadline: float) -> None:
        assert self.sock is not None
        self.sock.settimeout(left(deadline))
        self.sock.sendall(b"".join(parts))


class _Rest(io.RawIOBase):
    """An answer of which some has come already; what has not is read from the socket."""

    def __init__(self, begun: bytes, sock: socket.socket, deadline: float) -> None:
        self._begun = memoryview(begun)
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if not self._begun:
            self._sock.settimeout(left(self._deadline))
            return self._sock.recv_into(into)
        some = self._begun[: len(into)]
        into[: len(some)] = some
        self._begun = self._begun[len(some) :]
        return len(some)


class _Answering:
    """What `HTTPResponse` asks of a socket."""

    def __init__(self, rest: _Rest) -> None:
        self._rest = rest

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._rest)


class PlainConnection(_AtOnce):
    """Without TLS."""

    _rest: _Rest | None = None

    def response_class(self, sock: Any, **options: Any) -> HTTPResponse:  # type: ignore[override]
        """Called by `http.client`, for the answer."""
        rest, self._rest = self._rest, None
        return HTTPResponse(sock if rest is None else _Answering(rest), **options)  # type: ignore[arg-type]

    def answer(self, deadline: float) -> HTTPResponse:
        """The answer to what was posted.  Raises TimeoutError."""
        return super().answer(deadline) if self._rest is None else self.getresponse()

    def _send_all(self, parts: list[Any], deadline: float) -> None:
        if post is not None:
            begun = post(self.sock.fileno(), parts, left(deadline))
            self._rest = _Rest(begun, self.sock, deadline)
            return
        if not _WAITS_IN_THE_SYSTEM:
            super()._send_all(parts, deadline)
            return
        rest = [memoryview(part) for part in parts]
        sock: socket.socket = self.sock
        sock.settimeout(None)
        while rest:
            seconds, part = divmod(left(deadline), 1)
            limit = struct.pack("ll", int(seconds), max(1, int(part * 1e6)))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            try:
                rest = _without(rest, sock.sendmsg(rest))
            except BlockingIOError:
                raise TimeoutError from None


def _without(parts: list[memoryview], sent: int) -> list[memoryview]:
    """What is left of them."""
    for nth, part in enumerate(parts):
        if sent < len(part):
            return [part[sent:], *parts[nth + 1 :]]
        sent -= len(part)
    return []


class SecureConnection(_AtOnce, HTTPSConnection):
    """With TLS."""


def left(deadline: float) -> float:
    """Seconds until then, a time of `monotonic()`.  TimeoutError if there are none."""
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def whole(data: Content) -> bytes:
    """All of a request, put together."""
    return data if isinstance(data, bytes) else b"".join(data)
