"""What of uvicorn is not as with every ASGI server."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http import h11_impl, httptools_impl
from uvicorn.protocols.websockets import websockets_sansio_impl

from asgi_servers import customer, responding
from telling import recorded
from whence.engine import SpanLifetime, recorder, ring
from whence.instrumentation import uvicorn as instrumentation
from whence.instrumentation.patching import Patches
from whence.testing import record


class Server(uvicorn.Server):
    """One that is visited as soon as it serves, and then ends."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        self.visit = asyncio.create_task(self.be_visited(sockets[0].getsockname()[1]))

    async def be_visited(self, port: int) -> None:
        async with customer(port) as someone:
            assert await someone.get("/") == 200
        self.should_exit = True


class UvicornWorker:
    """What uvicorn's worker of gunicorn runs."""

    async def _serve(self, server: Server, listener: socket.socket) -> None:
        await server.serve(sockets=[listener])


async def main(server: Server, listener: socket.socket) -> None:
    await server.serve(sockets=[listener])


Main = Callable[[Server, socket.socket], Coroutine[Any, Any, None]]


def served(main: Main) -> list[SpanLifetime]:
    """What a program with this main task would send."""
    with recorded(), socket.create_server(("127.0.0.1", 0)) as listener:
        before, recorder.min_duration = recorder.min_duration, 0
        server = Server(uvicorn.Config(responding(), log_config=None, loop="asyncio"))
        asyncio.run(main(server, listener))
        recorder.min_duration = before
        return [span for span in ring.drain(10_000) if isinstance(span, SpanLifetime)]


@pytest.mark.parametrize(
    "main",
    [lambda server, listener: server.serve(sockets=[listener]), UvicornWorker()._serve],
    ids=["uvicorn", "gunicorn"],
)
def test_the_servers_own_task_and_its_ticks_are_no_spans(main: Main) -> None:
    names = {span.name for span in served(main)}
    assert {"GET", "LifespanOn.main", "Server.be_visited"} <= names
    own = {"Server.serve", "UvicornWorker._serve", "_set_result_unless_cancelled"}
    assert names & own == set()


def test_a_task_of_the_program_that_awaits_the_server_is_a_span() -> None:
    names = {str(span.name).rpartition(".")[2] for span in served(main)}
    assert {"GET", "main"} <= names


def test_what_a_version_does_not_have_is_skipped_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(h11_impl, "RequestResponseCycle")
    monkeypatch.delattr(websockets_sansio_impl.WebSocketsSansIOProtocol, "run_asgi")
    patches = Patches()
    instrumentation.install(patches)
    try:
        assert patches.skipped["uvicorn.protocols.http.h11_impl.RequestResponseCycle"] == "absent"
        sansio = "uvicorn.protocols.websockets.websockets_sansio_impl.WebSocketsSansIOProtocol"
        assert patches.skipped[f"{sansio}.run_asgi"] == "absent"
        assert "uvicorn.protocols.http.httptools_impl.RequestResponseCycle.send" in patches.patched
    finally:
        patches.undo()


@pytest.mark.parametrize(
    ("module", "owner", "names"),
    [
        (h11_impl, "RequestResponseCycle", ("run_asgi", "send")),
        (httptools_impl, "RequestResponseCycle", ("run_asgi", "send")),
        (websockets_sansio_impl, "WebSocketsSansIOProtocol", ("run_asgi", "send")),
    ],
)
def test_the_methods_of_uvicorn_are_put_back(
    module: ModuleType, owner: str, names: tuple[str, ...]
) -> None:
    namespace: Any = vars(getattr(module, owner))
    before = [namespace[name] for name in names]
    with record():
        during = [namespace[name] for name in names]
        assert not any(a is b for a, b in zip(before, during, strict=True))
        assert all(map(asyncio.iscoroutinefunction, during))
    assert all(a is namespace[name] for a, name in zip(before, names, strict=True))
