"""Servers on uvloop: there before anything is accepted, and until they are closed."""

import asyncio
import gc
import socket
from pathlib import Path
from typing import Any

import pytest
from stories import Executing, story, until
from uvloops import new_uvloop, run_on_uvloop

import whence
from telling import turns
from whence.testing import record

uvloop = pytest.importorskip("uvloop")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("start", ["create_server", "start_server", "unix", "not serving yet"])
def test_a_server_lives_until_it_is_closed_whether_a_client_came_or_not(
    start: str, tmp_path: Path
) -> None:
    """SEMANTICS 6.17, 6.18."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server: asyncio.AbstractServer
        if start == "unix":
            server = await asyncio.start_unix_server(serve, tmp_path / "socket")
        elif start == "start_server":
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
        else:
            server = await loop.create_server(
                asyncio.Protocol, "127.0.0.1", 0, start_serving=start == "create_server"
            )
        assert story(events, "Server") == ["init Server1 Server by Task1"]
        server.close()
        assert story(events, "Server")[-1] == "destroy Server1"
        server.close()
        await server.wait_closed()

    with record() as events, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert story(events, "Server") == ["init Server1 Server by Task1", "destroy Server1"]


def test_a_server_as_context_manager_and_serving_for_ever_is_closed_on_the_way_out() -> None:
    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            serving = asyncio.create_task(server.serve_forever())
            await turns()
            serving.cancel()
            await asyncio.wait([serving])
            assert story(events, "Server")[-1] == "destroy Server1"

    with record() as events, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert story(events, "Server") == ["init Server1 Server by Task1", "destroy Server1"]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_server_that_is_dropped_unclosed_is_destroyed_once_a_loop_turns_again(
    tmp_path: Path,
) -> None:
    with new_uvloop() as loop, record() as events:
        # Unlike a TCP server, the loop does not keep it.
        server = loop.run_until_complete(loop.create_unix_server(asyncio.Protocol, tmp_path / "s"))
        names = events.names(events.ids("Server")[0])
        assert names == ["init"]
        del server
        gc.collect()
        loop.run_until_complete(asyncio.sleep(0))
        assert events.names(events.ids("Server")[0]) == ["init", "destroy"]


def test_a_server_that_cannot_listen_has_no_events() -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        taken = socket.create_server(("127.0.0.1", 0))
        with taken, pytest.raises(OSError, match="address already in use"):
            await loop.create_server(asyncio.Protocol, *taken.getsockname())
        with pytest.raises(ValueError, match="Neither host/port nor sock"):
            await loop.create_server(protocol_factory=asyncio.Protocol)

    assert run_on_uvloop(main).ids("Server") == []


def test_a_unix_socket_given_to_create_server_makes_one_server(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "socket"))
            server = await asyncio.get_running_loop().create_server(Accepted, sock=listening)
            _, writer = await asyncio.open_unix_connection(tmp_path / "socket")
            writer.close()
            await until(lambda: lost.ids)
            server.close()

    class Accepted(asyncio.Protocol):
        def connection_lost(self, exc: BaseException | None) -> None:
            lost()

    lost = Executing()
    events = run_on_uvloop(main)
    (server,) = events.ids("Server")
    assert [events.trigger_of(i) for i in lost.ids] == [server]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_factory_that_is_none_is_refused_by_uvloop() -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="no protocol_factory"):
            await loop.create_server(None, "127.0.0.1", 0)
        # What is half made goes with the loop's closing.

    assert run_on_uvloop(main).ids("Server") == []


def test_what_the_protocol_factory_makes_is_the_servers_doing() -> None:
    made: list[int] = []

    def factory() -> asyncio.Protocol:
        made.append(whence.execution_async_id())
        asyncio.get_running_loop().call_soon(int)
        return asyncio.Protocol()

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
        resource.append(server)
        with socket.create_connection(server.sockets[0].getsockname()):
            await until(lambda: made)
        server.close()

    resource: list[Any] = []
    events = run_on_uvloop(main)
    (server,) = events.ids("Server")
    assert made == [server]
    assert [events.type_of(i) for i in events.ids() if events.trigger_of(i) == server] == [
        "Handle",
        "Transport",
    ]


def test_a_factory_that_fails_is_told_as_ever() -> None:
    calls: list[int] = []
    contexts: list[dict[str, Any]] = []

    def factory() -> asyncio.Protocol:
        calls.append(whence.execution_async_id())
        raise ValueError("on purpose")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: contexts.append(context))
        server = await loop.create_server(factory, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            await until(lambda: contexts)
        server.close()

    events = run_on_uvloop(main)
    (context,) = contexts
    assert str(context["exception"]) == "on purpose"
    assert calls == events.ids("Server")
    assert events.names(calls[0]) == ["init", "before", "after", "destroy"]
    assert events.ids("Transport") == []
    assert whence.execution_async_id() == 1


def test_the_server_that_init_is_given_is_the_one_that_the_program_gets() -> None:
    given: list[object] = []

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        got.append(server)
        server.close()

    got: list[Any] = []

    def init(async_id: int, type: str, trigger: int, resource: object) -> None:
        if type == "Server":
            given.append(resource)

    with whence.create_hook(init=init):
        uvloop.run(main())
    assert len(given) == 1
    assert type(given[0]).__name__ == "Server"
