"""TLS on uvloop: one Transport at each end, whose callbacks are the program's, and its TLS."""

import asyncio
import gc
import ssl
from typing import Any

import pytest
from stories import story, until
from uvloops import run_on_uvloop

import whence
from telling import told
from whence.instrumentation.protocols import arriving, connections
from whence.testing import Events

pytest.importorskip("uvloop")

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


class Noting(asyncio.Protocol):
    """Notes what executes in each of its callbacks."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.transport: Any = None
        self.resource: object = None

    def note(self, name: str) -> None:
        self.seen.append((name, whence.execution_async_id()))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.resource = whence.execution_async_resource()
        self.note("connection_made")

    def data_received(self, data: bytes) -> None:
        self.note("data_received")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.note("connection_lost")

    @property
    def is_lost(self) -> bool:
        return self.seen[-1:] != [] and self.seen[-1][0] == "connection_lost"


def legal(events: Events) -> bool:
    """Whether each connection and each TLS has begun and ended once."""
    return all(
        [events.names(i)[0], events.names(i)[-1], events.names(i).count("destroy")]
        == ["init", "destroy", 1]
        for type_ in ("Transport", "SSLProtocol")
        for i in events.ids(type_)
    )


def test_callbacks_over_tls_execute_as_the_transport_that_carries_it(contexts: Contexts) -> None:
    ours, theirs = Noting(), Noting()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for_server, for_client = contexts
        server = await loop.create_server(lambda: theirs, "127.0.0.1", 0, ssl=for_server)
        await loop.create_connection(
            lambda: ours,
            *server.sockets[0].getsockname(),
            ssl=for_client,
            server_hostname="localhost",
        )
        ours.transport.write(b"x")
        await until(lambda: len(theirs.seen) == 2)
        ours.transport.close()
        await until(lambda: ours.is_lost and theirs.is_lost)
        server.close()
        types.extend(type(p.resource).__name__ for p in (ours, theirs))

    types: list[str] = []
    events = run_on_uvloop(main)
    (mine,), (accepted,) = ({i for _, i in p.seen} for p in (ours, theirs))
    assert [name for name, _ in theirs.seen] == [
        *("connection_made", "data_received", "connection_lost")
    ]
    names = {"mine": mine, "accepted": accepted, "server": events.ids("Server")[0]}
    for number, async_id in enumerate(events.ids("SSLProtocol")):
        names[f"tls{number}"] = async_id
    inits = told((e for e in events if e[0] == "init" and e[1] in names.values()), **names)
    assert "init accepted Transport by server" in inits
    assert sorted(line.partition(" by ")[2] for line in inits if "SSLProtocol" in line) == [
        *("accepted", "mine")
    ]
    assert types == ["TCPTransport", "TCPTransport"]
    assert legal(events)


def test_a_connection_that_turns_to_tls_stays_the_one_it_was(contexts: Contexts) -> None:
    for_server, for_client = contexts
    executing: list[tuple[int, ...]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"go on\n")
        await writer.start_tls(for_server)
        executing.append(tuple(events_chain()))
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    def events_chain() -> list[int]:
        return [whence.execution_async_id(), whence.trigger_async_id()]

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"start\n")
        assert await reader.readline() == b"go on\n"
        await writer.start_tls(for_client, server_hostname="localhost")
        writer.write(b"secret\n")
        assert await reader.readline() == b"secret\n"
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.05)
        server.close()

    events = run_on_uvloop(main)
    assert len(events.ids("Transport")) == 2
    assert [events.type_of(i) for i in executing[0]] == ["Task", "Transport"]
    assert {events.trigger_of(i) for i in events.ids("SSLProtocol")} == set(events.ids("Transport"))
    assert legal(events)


def test_a_handshake_that_fails_leaves_nothing(contexts: Contexts) -> None:
    for_server, _ = contexts

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Noting, "127.0.0.1", 0, ssl=for_server)
        with pytest.raises(ssl.SSLCertVerificationError):
            await loop.create_connection(
                Noting,
                *server.sockets[0].getsockname(),
                ssl=ssl.create_default_context(),
                server_hostname="localhost",
            )
        await asyncio.sleep(0.02)
        server.close()
        await server.wait_closed()

    events = run_on_uvloop(main)
    assert story(events, "Transport", "SSLProtocol") == []
    gc.collect()
    assert (dict(arriving), dict(connections)) == ({}, {})
