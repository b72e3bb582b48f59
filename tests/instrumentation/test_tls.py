"""TLS: the SSLProtocol at each end, and the program's protocol that talks over it."""

import asyncio
import ssl
from asyncio import sslproto
from collections.abc import Callable
from typing import Any

import pytest
from stories import until

import whence
from whence.instrumentation.protocols import connections
from whence.testing import Events, record

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


class Notes:
    """Notes what executes in each of its callbacks."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.transport: Any = None
        self.lost = asyncio.get_running_loop().create_future()

    def note(self, callback: str) -> None:
        self.seen.append((callback, whence.execution_async_id()))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("connection_made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("connection_lost")
        self.lost.set_result(exc)


class Noting(Notes, asyncio.Protocol):
    """A protocol as most are."""

    def data_received(self, data: bytes) -> None:
        self.note("data_received")


class Buffered(Notes, asyncio.BufferedProtocol):
    """With a buffer, whose callbacks the SSLProtocol keeps."""

    def get_buffer(self, size: int) -> bytearray:
        return bytearray(100)

    def buffer_updated(self, size: int) -> None:
        self.note("data_received")


def talk(contexts: Contexts, protocol: Callable[[], Any]) -> tuple[Events, list[Any]]:
    """One connection that says something and is closed by the client."""
    made: list[Any] = []

    def factory() -> Any:
        made.append(protocol())
        return made[-1]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=contexts[0])
        _, client = await loop.create_connection(
            protocol,
            *server.sockets[0].getsockname(),
            ssl=contexts[1],
            server_hostname="localhost",
        )
        made.append(client)
        client.transport.write(b"x")
        await until(lambda: len(made[0].seen) == 2)
        client.transport.close()
        await client.lost
        await made[0].lost
        server.close()
        await asyncio.sleep(0.01)

    with record() as events:
        asyncio.run(main())
    return events, made


@pytest.mark.parametrize("protocol", [Noting, Buffered])
def test_the_programs_protocol_runs_as_the_connection_it_talks_over(
    contexts: Contexts, protocol: Callable[[], Any]
) -> None:
    """SEMANTICS 6.16."""
    events, (accepted, client) = talk(contexts, protocol)
    by_trigger = {events.type_of(events.trigger_of(i)): i for i in events.ids("Transport")}
    assert sorted(by_trigger) == ["Server", "Task"]
    for end, async_id in ((accepted, by_trigger["Server"]), (client, by_trigger["Task"])):
        assert {seen[1] for seen in end.seen} == {async_id}
        names = events.names(async_id)
        assert names.count("destroy") == 1
        assert names[-3:] == ["before", "after", "destroy"]
    assert [seen[0] for seen in accepted.seen] == [
        *("connection_made", "data_received", "connection_lost"),
    ]
    assert [seen[0] for seen in client.seen] == ["connection_made", "connection_lost"]
    assert connections == {}


def test_there_is_one_ssl_protocol_at_each_end_and_each_ends_once(contexts: Contexts) -> None:
    """SEMANTICS 6, the row of TLS; 7.2."""
    events, _ = talk(contexts, Noting)
    ids = events.ids("SSLProtocol")
    assert [events.names(i) for i in ids] == [["init", "destroy"]] * 2


def test_a_protocol_that_wants_to_hear_of_nothing_ends_with_its_transport(
    contexts: Contexts,
) -> None:
    class Silent(asyncio.Protocol):
        pass

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Silent, "127.0.0.1", 0, ssl=contexts[0])
        transport, _ = await loop.create_connection(
            Silent, *server.sockets[0].getsockname(), ssl=contexts[1], server_hostname="localhost"
        )
        transport.close()
        await until(
            lambda: [e[0] for e in events.of(*events.ids("Transport"))].count("destroy") == 2
        )
        server.close()

    with record() as events:
        asyncio.run(main())
    assert connections == {}


def test_a_connection_that_is_upgraded_stays_the_same_connection(contexts: Contexts) -> None:
    made: list[Any] = []

    class Upgrading(Noting):
        def data_received(self, data: bytes) -> None:
            self.note("data_received")
            if data == b"STARTTLS":
                self.upgrading = asyncio.ensure_future(self.upgrade())
                self.transport.write(b"go ahead")

        async def upgrade(self) -> None:
            loop = asyncio.get_running_loop()
            self.transport = await loop.start_tls(
                self.transport, self, contexts[0], server_side=True
            )

    def factory() -> Any:
        made.append(Upgrading())
        return made[-1]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, "127.0.0.1", 0)
        transport, client = await loop.create_connection(Noting, *server.sockets[0].getsockname())
        transport.write(b"STARTTLS")
        await until(lambda: len(client.seen) == 2)
        client.transport = await loop.start_tls(
            transport, client, contexts[1], server_hostname="localhost"
        )
        made.append(client)
        await made[0].upgrading
        client.transport.write(b"secret")
        await until(lambda: len(made[0].seen) == 3)
        client.transport.close()
        await client.lost
        await made[0].lost
        server.close()
        await asyncio.sleep(0.01)

    with record() as events:
        asyncio.run(main())
    server_end, client_end = made
    assert [seen[0] for seen in server_end.seen] == [
        *("connection_made", "data_received", "data_received", "connection_lost"),
    ]
    assert [seen[0] for seen in client_end.seen] == [
        *("connection_made", "data_received", "connection_lost"),
    ]
    assert len(events.ids("Transport")) == 2
    for end in made:
        (async_id,) = {seen[1] for seen in end.seen}
        assert events.type_of(async_id) == "Transport"
        assert events.names(async_id)[-1] == "destroy"
        assert events.names(async_id).count("destroy") == 1
    assert [events.names(i) for i in events.ids("SSLProtocol")] == [["init", "destroy"]] * 2


def test_a_failed_handshake_leaves_nothing_open(contexts: Contexts) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        server = await loop.create_server(Noting, "127.0.0.1", 0, ssl=contexts[0])
        with pytest.raises(ssl.SSLCertVerificationError):
            await loop.create_connection(
                Noting, *server.sockets[0].getsockname(), ssl=True, server_hostname="localhost"
            )
        server.close()
        await until(
            lambda: [events.names(i)[-1] for i in events.ids("Transport")] == ["destroy"] * 2
        )

    with record() as events:
        asyncio.run(main())
    assert [events.names(i)[-1] for i in events.ids("SSLProtocol")] == ["destroy"] * 2
    assert connections == {}


def test_streams_over_tls(contexts: Contexts) -> None:
    ids: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ids.append(whence.execution_async_id())
        writer.write(await reader.read(1))
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=contexts[0])
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=contexts[1], server_hostname="localhost"
        )
        writer.write(b"x")
        assert await reader.read() == b"x"
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.sleep(0.01)

    with record() as events:
        asyncio.run(main())
    chain = events.chain(ids[0])
    assert [events.type_of(i) for i in chain[:3]] == ["Task", "Transport", "Server"]
    for async_id in events.ids("Transport"):
        assert events.names(async_id).count("destroy") == 1


def test_the_methods_of_the_ssl_protocol_are_put_back(contexts: Contexts) -> None:
    before = dict(vars(sslproto.SSLProtocol))
    events, _ = talk(contexts, Noting)
    assert events.ids("SSLProtocol")
    after = dict(vars(sslproto.SSLProtocol))
    assert [name for name in before if after[name] is not before[name]] == []
    assert sorted(after) == sorted(before)
