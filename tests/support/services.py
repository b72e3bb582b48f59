"""Servers under `whence run`, asked over connections that are kept, and ended by SIGTERM."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from socket import create_connection

from launching import Finished
from seen import SeenSpan
from tracing import Tracing

CALLER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
"""Trace and span of another service."""


class Service:
    """A program of tests/e2e that prints its port and serves, from its start to its end."""

    def __init__(
        self, traced: Tracing, program: str, *options: str, loop: str = "asyncio", **env: str
    ) -> None:
        self._traced = traced
        command = traced.words(program, *options)
        self._process = traced.launch.start(*command, env=traced.env(loop) | env)
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        assert first, self._process.communicate()
        self.port = int(first)

    def get(self, connection: HTTPConnection, path: str, **headers: str) -> int:
        """Ask for a page; the status of the answer."""
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as answer:
            answer.read()
        return answer.status

    @contextmanager
    def connection(self) -> Iterator[HTTPConnection]:
        """A connection that is kept from request to request."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            yield connection

    def get_together(self, *paths: str) -> int:
        """Ask for pages without waiting for an answer; how many were answered with 200."""
        asked = [f"GET {path} HTTP/1.1\r\nhost: localhost\r\n" for path in paths]
        asked[-1] += "connection: close\r\n"
        answers = b""
        with create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall("".join(f"{request}\r\n" for request in asked).encode())
            while part := connection.recv(65536):
                answers += part
        return answers.count(b"HTTP/1.1 200 ")

    def spans(self, *, remote: Mapping[str, str] = {}) -> list[SeenSpan]:
        """End it; its spans, which are as the rules say.

        `remote` says of roots that continue the span of another process, by name, which it is."""
        return self._traced.checked(self.end(), remote=remote)

    def end(self) -> Finished:
        """Ask it to end, and wait until it has."""
        self._process.send_signal(signal.SIGTERM)
        out, err = self._process.communicate(timeout=60)
        return Finished(self._process.returncode, out, err)
