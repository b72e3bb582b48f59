"""Connections: sockets accepted and opened, datagrams, pipes; from construction to their loss."""

import asyncio
import gc
import os
import socket
from asyncio import selector_events, unix_events
from pathlib import Path
from typing import Any

import pytest
from stories import run_recorded, until

import whence
from telling import recorded
from whence.engine import local, open_lifetimes, ring
from whence.engine.resource_types import TRANSPORT
from whence.instrumentation import transports
from whence.instrumentation.protocols import connections
from whence.testing import Events, record


class Noting(asyncio.Protocol):
    """Notes what executes in each of its callbacks."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, object]] = []
        self.transport: Any = None
        self.lost = asyncio.get_running_loop().create_future()

    def note(self, callback: str) -> None:
        resource = whence.execution_async_resource()
        self.seen.append((callback, whence.execution_async_id(), resource))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("connection_made")

    def data_received(self, data: bytes) -> None:
        self.note("data_received")

    def eof_received(self) -> None:
        self.note("eof_received")

    def connection_lost(self, error: Exception | None) -> None:
        self.note("connection_lost")
        self.lost.set_result(error)


async def served(protocol: type[Noting] = Noting) -> tuple[asyncio.Server, list[Noting], Any]:
    """A server, the protocols that it makes, and its address."""
    made: list[Noting] = []

    def factory() -> Noting:
        made.append(protocol())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    return server, made, server.sockets[0].getsockname()


def transports_of(events: Events) -> list[int]:
    return events.ids("Transport")


def test_a_connection_lives_from_its_construction_to_its_loss_at_both_ends() -> None:
    """SEMANTICS 6.16; of the table, accepted and made connections."""

    async def main() -> tuple[Noting, Noting]:
        loop = asyncio.get_running_loop()
        server, made, address = await served()
        _, client = await loop.create_connection(Noting, *address)
        client.transport.write(b"x")
        await until(lambda: made and len(made[0].seen) == 2)
        client.transport.close()
        await made[0].lost
        await client.lost
        server.close()
        await asyncio.sleep(0)
        return client, made[0]

    with record() as events:
        client, accepted = asyncio.run(main())
    by_trigger = {events.type_of(events.trigger_of(i)): i for i in transports_of(events)}
    assert sorted(by_trigger) == ["Server", "Task"]
    for protocol, async_id in ((accepted, by_trigger["Server"]), (client, by_trigger["Task"])):
        assert {seen[1] for seen in protocol.seen} == {async_id}
        assert {seen[2] for seen in protocol.seen} == {protocol.transport}
        assert events.names(async_id)[-3:] == ["before", "after", "destroy"]
    assert [seen[0] for seen in accepted.seen] == [
        *("connection_made", "data_received", "eof_received", "connection_lost"),
    ]


def test_the_task_that_serves_leads_back_to_its_connection_and_the_server() -> None:
    """SEMANTICS 6.16."""
    ids: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ids.append(whence.execution_async_id())
        await reader.read()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            await writer.wait_closed()
            await asyncio.sleep(0.01)

    events = run_recorded(main)
    chain = events.chain(ids[0])
    assert [events.type_of(i) for i in chain[:4]] == ["Task", "Transport", "Server", "Task"]
    for async_id in transports_of(events):
        assert events.names(async_id)[-1] == "destroy"
        assert events.names(async_id).count("destroy") == 1


@pytest.mark.parametrize("how", ["close twice", "abort", "peer aborts", "abort twice"])
def test_a_connection_is_lost_once_however_it_ends(how: str) -> None:
    """SEMANTICS 6.17, 7.2."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, made, address = await served()
        _, client = await loop.create_connection(Noting, *address)
        await until(lambda: made and made[0].transport)
        if how == "close twice":
            client.transport.close()
            client.transport.close()
        elif how == "peer aborts":
            made[0].transport.abort()
        else:
            client.transport.abort()
            if how == "abort twice":
                client.transport.abort()
        await client.lost
        await made[0].lost
        server.close()
        await asyncio.sleep(0)

    events = run_recorded(main)
    assert [events.names(i).count("destroy") for i in transports_of(events)] == [1, 1]
    assert connections == {}


def test_what_a_protocol_makes_is_its_connections_doing() -> None:
    """SEMANTICS 1.7, 6.16."""

    class Making(Noting):
        def data_received(self, data: bytes) -> None:
            loop = asyncio.get_running_loop()
            loop.call_soon(int)
            loop.call_later(0, int)
            self.task = loop.create_task(asyncio.sleep(0))

    async def main() -> None:
        server, made, address = await served(Making)
        _, client = await asyncio.get_running_loop().create_connection(Noting, *address)
        client.transport.write(b"x")
        await until(lambda: made and hasattr(made[0], "task"))
        client.transport.close()
        await made[0].lost
        server.close()

    events = run_recorded(main)
    accepted = next(
        i for i in transports_of(events) if events.type_of(events.trigger_of(i)) == "Server"
    )
    caused = [e[2] for e in events if e[0] == "init" and e[3] == accepted]
    assert caused[:3] == ["Handle", "TimerHandle", "Task"]


def test_a_protocol_that_is_put_in_the_place_of_another_runs_as_the_same_connection() -> None:
    async def main() -> tuple[Noting, Noting]:
        loop = asyncio.get_running_loop()
        server, made, address = await served()
        _, first = await loop.create_connection(Noting, *address)
        await until(lambda: made and made[0].transport)
        second = type("Second", (Noting,), {})()
        first.transport.set_protocol(second)
        assert first.transport.get_protocol() is second
        assert id(first) not in connections
        made[0].transport.write(b"x")
        await until(lambda: second.seen)
        first.note("called by the program")
        first.transport.close()
        await second.lost
        server.close()
        await made[0].lost
        return first, second

    with record() as events:
        first, second = asyncio.run(main())
    assert [seen[0] for seen in first.seen] == ["connection_made", "called by the program"]
    assert [seen[0] for seen in second.seen] == ["data_received", "connection_lost"]
    made, called = first.seen
    assert {seen[1] for seen in second.seen} == {made[1]}
    assert called[1] == events.ids("Task")[0]


def test_a_connection_over_a_unix_socket_and_one_over_a_given_socket(tmp_path: Path) -> None:
    """SEMANTICS 6.16."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(serve, tmp_path / "socket")
        reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
        writer.write(b"x")
        assert await reader.read() == b"x"
        writer.close()
        await writer.wait_closed()
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        theirs.close()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.sleep(0.01)

    events = run_recorded(main)
    found = [events.type_of(events.trigger_of(i)) for i in transports_of(events)]
    assert sorted(found) == ["Server", "Task", "Task"]
    assert {events.names(i)[-1] for i in transports_of(events)} == {"destroy"}


class Datagrams(asyncio.DatagramProtocol):
    """Notes what executes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def connection_made(self, transport: Any) -> None:
        self.seen.append(("connection_made", whence.execution_async_id()))

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.seen.append((data.decode(), whence.execution_async_id()))

    def connection_lost(self, error: Exception | None) -> None:
        self.seen.append(("connection_lost", whence.execution_async_id()))


def test_a_datagram_socket_runs_its_protocol_as_itself() -> None:
    """SEMANTICS 6, the row of DatagramTransport."""

    async def main() -> Datagrams:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            Datagrams, local_addr=("127.0.0.1", 0)
        )
        address = transport.get_extra_info("sockname")
        sender, _ = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
        sender.sendto(b"one")
        sender.sendto(b"two")
        await until(lambda: len(protocol.seen) == 3)
        transport.close()
        sender.close()
        await until(lambda: len(protocol.seen) == 4)
        return protocol

    with record() as events:
        protocol = asyncio.run(main())
    (async_id,) = {seen[1] for seen in protocol.seen}
    assert [seen[0] for seen in protocol.seen] == [
        *("connection_made", "one", "two", "connection_lost"),
    ]
    assert async_id == events.ids("DatagramTransport")[0]
    assert events.type_of(events.trigger_of(async_id)) == "Task"
    assert events.names(async_id) == ["init", *["before", "after"] * 4, "destroy"]


def test_pipes_run_their_protocols_as_themselves() -> None:
    """SEMANTICS 6, the row of pipes."""

    async def main() -> tuple[Noting, Noting]:
        loop = asyncio.get_running_loop()
        ends = zip(os.pipe(), ("rb", "wb"), strict=True)
        reading, writing = (os.fdopen(fd, mode, 0) for fd, mode in ends)
        _, reader = await loop.connect_read_pipe(Noting, reading)
        transport, writer = await loop.connect_write_pipe(Noting, writing)
        transport.write(b"x")
        await until(lambda: len(reader.seen) == 2)
        transport.close()
        await reader.lost
        await writer.lost
        await asyncio.sleep(0)
        return reader, writer

    with record() as events:
        reader, writer = asyncio.run(main())
    ids = transports_of(events)
    assert {seen[1] for seen in reader.seen} == {ids[0]}
    assert {seen[1] for seen in writer.seen} == {ids[1]}
    assert [seen[0] for seen in reader.seen] == [
        *("connection_made", "data_received", "eof_received", "connection_lost"),
    ]
    assert [events.names(i)[-1] for i in ids] == ["destroy", "destroy"]


def test_a_pipe_that_is_refused_is_none(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file, record() as events:

        async def main() -> None:
            with pytest.raises(ValueError, match="for pipes"):
                await asyncio.get_running_loop().connect_read_pipe(Noting, file)

        asyncio.run(main())
    assert transports_of(events) == []


def test_a_refused_connection_is_none() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    assert transports_of(run_recorded(main)) == []


def test_a_connection_older_than_the_hook_goes_on_unseen() -> None:
    async def main() -> None:
        server, made, address = await served()
        _, client = await asyncio.get_running_loop().create_connection(Noting, *address)
        await until(lambda: made and made[0].transport)
        with record() as events:
            client.transport.write(b"x")
            await until(lambda: len(made[0].seen) == 2)
            client.transport.close()
            await made[0].lost
            await client.lost
        server.close()
        assert transports_of(events) == []

    asyncio.run(main())


def test_a_connection_that_is_dropped_with_its_loop_does_not_stay_open() -> None:
    class Silent(asyncio.Protocol):
        def data_received(self, data: bytes) -> None: ...

    ours, theirs = socket.socketpair()
    with recorded(), ours, theirs:
        loop = asyncio.new_event_loop()
        transport, protocol = loop.run_until_complete(loop.create_connection(Silent, sock=ours))
        assert id(protocol) in connections
        loop.close()
        transport._sock = None  # type: ignore[attr-defined]  # says nothing of being unclosed
        del transport, protocol, loop
        gc.collect()
        assert connections == {}
        asyncio.run(asyncio.sleep(0))
        assert [x for x in open_lifetimes.values() if x.type is TRANSPORT] == []


def test_the_agents_own_connections_are_told_to_nobody() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            local.state.muted = True
            try:
                transport, _ = await asyncio.get_running_loop().create_connection(Noting, sock=ours)
            finally:
                local.state.muted = False
            transport.close()
            await asyncio.sleep(0)

    events = run_recorded(main)
    assert transports_of(events) == []


def spans() -> list[Any]:
    return [lifetime for lifetime in ring.drain(10_000) if lifetime.type.name == "Transport"]


def test_the_span_of_connecting_begins_with_the_call_and_not_before_its_task() -> None:
    async def slow_to_come(address: Any) -> None:
        loop = asyncio.get_running_loop()
        coroutine = loop.create_connection(Noting, *address)
        await asyncio.sleep(0.005)  # made, and not awaited yet
        task = loop.create_task(coroutine)
        transport, _ = await task
        began.append(task._whence.lifetime.created)  # type: ignore[attr-defined]
        transport.close()
        await asyncio.sleep(0.001)

    async def main() -> None:
        server, _, address = await served()
        await slow_to_come(address)
        await asyncio.sleep(0.005)
        server.close()

    began: list[int] = []
    with recorded():
        from whence.engine import recorder

        before, recorder.min_duration = recorder.min_duration, 0
        try:
            asyncio.run(main())
        finally:
            recorder.min_duration = before
        names = {lifetime.name: lifetime for lifetime in spans()}
    assert sorted(names) == ["accept", "connect"]
    assert names["connect"].created == began[0]
    assert names["connect"].attributes == {"kind": "client"}
    assert transports._connecting == {}


def test_connecting_many_times_over_leaves_nothing_behind() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, made, address = await served()
        for _ in range(20):
            _, client = await loop.create_connection(Noting, *address)
            client.transport.close()
            await client.lost
        await asyncio.sleep(0.01)
        coroutine = loop.create_connection(Noting, *address)
        assert len(transports._connecting) == 1
        coroutine.close()
        del coroutine
        assert transports._connecting == {}
        server.close()
        await asyncio.wait([protocol.lost for protocol in made])

    with record():
        asyncio.run(main())
        assert connections == {}


def test_the_methods_of_transports_are_put_back() -> None:
    loop = asyncio.base_events.BaseEventLoop
    places: list[tuple[Any, str]] = [
        (selector_events._SelectorTransport, "__init__"),  # type: ignore[attr-defined]
        (selector_events._SelectorTransport, "set_protocol"),  # type: ignore[attr-defined]
        (selector_events._SelectorTransport, "_call_connection_lost"),  # type: ignore[attr-defined]
        (unix_events._UnixReadPipeTransport, "__init__"),  # type: ignore[attr-defined]
        (unix_events._UnixWritePipeTransport, "_call_connection_lost"),  # type: ignore[attr-defined]
        (unix_events._UnixSelectorEventLoop, "create_unix_connection"),
        (loop, "create_connection"),
    ]
    before = [vars(owner)[name] for owner, name in places]
    with record():
        during = [vars(owner)[name] for owner, name in places]
        assert not any(a is b for a, b in zip(before, during, strict=True))
    after = [vars(owner)[name] for owner, name in places]
    assert all(a is b for a, b in zip(before, after, strict=True))
