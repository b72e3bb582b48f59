"""A scrape over HTTP: what is asked and what is answered."""

import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from whence.settings.config import Settings
from whence.version import VERSION

from .prometheus import Exposition

PATH = "/metrics"
_PATIENCE = 5.0
"""Seconds for a request: others wait meanwhile."""
_LOOPBACK_NAMES = ("localhost", "localhost.localdomain")


class Scrapes:
    """Answers scrapes, one after the other."""

    def __init__(self, settings: Settings, host: str) -> None:
        self.exposition = Exposition(settings)
        self.host = host.lower()

    def answer(self, connection: socket.socket) -> None:
        """Read one request and answer it.  Never raises."""
        connection.settimeout(_PATIENCE)
        try:
            _Handler(connection, ("", 0), self)  # type: ignore[arg-type]
        except (OSError, ValueError):
            pass  # it did not wait for the answer, never asked, or asked for what cannot be

    def is_meant(self, name: str) -> bool:
        """Whether who calls by this name means this endpoint.  Anybody does that may come in from
        elsewhere; on the loopback interface only who calls it by what it is."""
        return not _is_loopback(self.host) or name == self.host or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name in _LOOPBACK_NAMES


class _Handler(BaseHTTPRequestHandler):
    server_version = f"whence/{VERSION}"
    sys_version = ""
    server: Any
    """The Scrapes."""

    def do_GET(self) -> None:
        status, text, content_type = self._answer()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_HEAD = do_GET

    def _answer(self) -> tuple[HTTPStatus, bytes, str]:
        plain = "text/plain; charset=utf-8"
        name = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        if not self.server.is_meant(name):
            return HTTPStatus.FORBIDDEN, b"only for callers on this machine\n", plain
        if urlsplit(self.path).path.rstrip("/") != PATH:
            return HTTPStatus.NOT_FOUND, f"the metrics are at {PATH}\n".encode(), plain
        try:
            text, content_type = self.server.exposition.text(self.headers.get("Accept", ""))
        except Exception as error:
            problem = f"the metrics cannot be read ({type(error).__name__}: {error})\n"
            return HTTPStatus.INTERNAL_SERVER_ERROR, problem.encode(), plain
        return HTTPStatus.OK, text, content_type

    def log_message(self, *_: object) -> None:
        """stderr is the program's."""
