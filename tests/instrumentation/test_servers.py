"""Servers: from their construction to close()."""

import asyncio
import gc
import socket
from asyncio import base_events
from pathlib import Path

import pytest
from stories import run_recorded, story

from telling import recorded, turns
from whence.engine import open_lifetimes
from whence.testing import record


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("start", ["create_server", "start_server", "unix", "not serving yet"])
def test_a_server_lives_until_it_is_closed_whether_a_client_came_or_not(
    start: str, tmp_path: Path
) -> None:
    """SEMANTICS 6.17."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
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

    with record() as events:
        asyncio.run(main())
    assert story(events, "Server") == ["init Server1 Server by Task1", "destroy Server1"]


def test_a_server_as_context_manager_and_serving_for_ever_is_closed_on_the_way_out() -> None:
    """SEMANTICS 6.17."""

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            serving = asyncio.create_task(server.serve_forever())
            await turns()
            serving.cancel()
            await asyncio.wait([serving])

    assert story(run_recorded(main), "Server") == [
        "init Server1 Server by Task1",
        "destroy Server1",
    ]


def test_a_server_that_cannot_listen_is_none() -> None:
    async def main() -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            pytest.raises(OSError, match="address"),
        ):
            await asyncio.start_server(serve, *taken.getsockname())

    assert story(run_recorded(main), "Server") == []


def test_a_server_older_than_the_hook_closes_as_ever() -> None:
    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        with record() as events:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            await asyncio.sleep(0.01)
            server.close()
        assert story(events, "Server") == []

    asyncio.run(main())


def test_a_server_that_is_dropped_with_its_loop_does_not_stay_open() -> None:
    with recorded(), socket.create_server(("127.0.0.1", 0)) as sock:
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(serve, sock=sock))
        assert [x.type.name for x in open_lifetimes.values() if x.type.name == "Server"]
        loop.close()
        del server, loop
        gc.collect()
        asyncio.run(asyncio.sleep(0))
        assert [x for x in open_lifetimes.values() if x.type.name == "Server"] == []


def test_the_methods_of_servers_are_put_back() -> None:
    names = ("__init__", "close")
    before = [vars(base_events.Server)[name] for name in names]
    with record():
        assert [vars(base_events.Server)[name] for name in names] != before
    assert [vars(base_events.Server)[name] for name in names] == before
