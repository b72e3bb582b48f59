"""Real ASGI servers in the test's own loop, and customers who ask them over one connection."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import hypercorn.asyncio
import hypercorn.config
import uvicorn

from telling import recorded
from whence.engine import SpanLifetime, open_lifetimes, recorder, ring

Application = Callable[..., Awaitable[Any]]

HTTP = ("uvicorn h11", "uvicorn httptools", "hypercorn")
WEBSOCKETS = ("uvicorn websockets-sansio", "uvicorn wsproto", "uvicorn websockets", "hypercorn")


@asynccontextmanager
async def serving(application: Application, server: str) -> AsyncIterator[int]:
    """Serve on a free port of loopback; the port.  `server` is one of those named above."""
    kind, _, implementation = server.partition(" ")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve = _on_uvicorn if kind == "uvicorn" else _on_hypercorn
        stop = asyncio.Event()
        task = asyncio.create_task(serve(application, listener, implementation, stop))
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            await task


async def _on_uvicorn(
    application: Application, listener: socket.socket, implementation: str, stop: asyncio.Event
) -> None:
    is_http = f"uvicorn {implementation}" in HTTP
    config = uvicorn.Config(
        application,
        http=implementation if is_http else "h11",
        ws="none" if is_http else implementation,
        log_config=None,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await stop.wait()
    server.should_exit = True
    await task


async def _on_hypercorn(
    application: Application, listener: socket.socket, implementation: str, stop: asyncio.Event
) -> None:
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    await hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait)


class Customer:
    """Asks for one page after the other over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def ask(self, path: str, *headers: str, method: str = "GET") -> None:
        """Send a request; several may be on their way."""
        lines = [f"{method} {path} HTTP/1.1", "host: localhost", *headers, "", ""]
        self._writer.write("\r\n".join(lines).encode())

    async def answer(self) -> int:
        """The status of the answer to the oldest request."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, _, fields = head.decode().partition("\r\n")
        lengths = [
            line for line in fields.lower().splitlines() if line.startswith("content-length:")
        ]
        await self._reader.readexactly(sum(int(line.split(":")[1]) for line in lengths))
        return int(status.split()[1])

    async def get(self, path: str, *headers: str, method: str = "GET") -> int:
        """The status of the answer to this request."""
        self.ask(path, *headers, method=method)
        return await self.answer()

    def leave(self) -> None:
        """Close the connection without a word."""
        self._writer.transport.abort()


@asynccontextmanager
async def customer(port: int) -> AsyncIterator[Customer]:
    """Somebody with a connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Customer(reader, writer)
    finally:
        writer.close()


class Recorded:
    """The requests of a block that were recorded, in the order in which they ended."""

    def __init__(self) -> None:
        self.requests: list[SpanLifetime] = []

    @property
    def request(self) -> SpanLifetime:
        """The only one."""
        (request,) = self.requests
        return request


@contextmanager
def recorded_requests() -> Iterator[Recorded]:
    """Record a block; what came of it can be read after the block."""
    found = Recorded()
    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        try:
            yield found
        finally:
            recorder.min_duration = before
        open_ones = [each for each in open_lifetimes.values() if each.type.name == "Request"]
        assert open_ones == []
        found.requests = [
            each
            for each in ring.drain(100_000)
            if isinstance(each, SpanLifetime) and each.type.name == "Request"
        ]


def responding(status: int = 200, body: bytes = b"") -> Application:
    """An application that answers everything so."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        await respond(send, status, body)

    return application


async def live(receive: Any, send: Any) -> None:
    """The life of a server, as every application has to handle it."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def respond(send: Any, status: int = 200, body: bytes = b"") -> None:
    """Answer a request."""
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
