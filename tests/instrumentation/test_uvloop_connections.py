"""Connections on uvloop: streams, protocols of every kind, datagram sockets, pipes."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stories import Executing, story, until
from uvloops import run_on_uvloop

import whence
from telling import told, turns
from whence.testing import Events, record

uvloop = pytest.importorskip("uvloop")

ON_LOOPBACK = ("127.0.0.1", 0)


class Told(asyncio.Protocol):
    """Notes what executes in each of its callbacks; sends back what comes."""

    def __init__(self, on_data: Callable[[bytes], object] | None = None) -> None:
        self.seen: dict[str, Executing] = {}
        self.transport: Any = None
        self.lost = False
        self.on_data = on_data or self.send

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def note(self, name: str) -> None:
        self.seen.setdefault(name, Executing())()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("connection_made")

    def data_received(self, data: bytes) -> None:
        self.note("data_received")
        self.on_data(data)

    def eof_received(self) -> None:
        self.note("eof_received")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.note("connection_lost")
        self.lost = True

    @property
    def ids(self) -> set[int]:
        return {async_id for notes in self.seen.values() for async_id in notes.ids}

    @property
    def resources(self) -> set[object]:
        return {resource for notes in self.seen.values() for resource in notes.resources}


async def listen(loop: asyncio.AbstractEventLoop, factory: Any) -> tuple[Any, int]:
    server = await loop.create_server(factory, *ON_LOOPBACK)
    return server, server.sockets[0].getsockname()[1]


def lives(events: Events, *types: str) -> list[list[str]]:
    return [events.names(async_id) for type_ in types for async_id in events.ids(type_)]


def test_what_serves_a_stream_leads_back_to_its_connection_and_its_server() -> None:
    served: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(whence.execution_async_id())
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(serve, *ON_LOOPBACK)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    events = run_on_uvloop(main)
    assert [events.type_of(i) for i in events.chain(served[0])[:-1]] == [
        "Task",
        "Transport",
        "Server",
        "Task",
    ]
    accepted, opened = sorted(events.ids("Transport"), key=lambda i: events.trigger_of(i) == 2)
    (server,) = events.ids("Server")
    main_task = events.ids("Task")[0]
    names = {"accepted": accepted, "opened": opened, "server": server, "main": main_task}
    inits = [line for line in told(events.of(accepted, opened), **names) if "init" in line]
    assert sorted(inits) == ["init accepted Transport by server", "init opened Transport by main"]
    for async_id in (accepted, opened):
        assert set(events.names(async_id)[1:-1]) == {"before", "after"}
        assert events.names(async_id)[-1] == "destroy"


@pytest.mark.parametrize("family", ["tcp", "unix", "accepted elsewhere"])
def test_every_callback_of_a_protocol_executes_as_its_transport(
    family: str, tmp_path: Path
) -> None:
    ours, theirs = Told(), Told()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server: Any = None
        if family == "tcp":
            server, port = await listen(loop, lambda: theirs)
            await loop.create_connection(lambda: ours, "127.0.0.1", port)
        elif family == "unix":
            path = str(tmp_path / "socket")
            server = await loop.create_unix_server(lambda: theirs, path)
            await loop.create_unix_connection(lambda: ours, path)
        else:
            one, other = socket.socketpair()
            await loop.connect_accepted_socket(lambda: theirs, one)
            await loop.create_unix_connection(lambda: ours, sock=other)
        await until(lambda: theirs.transport)
        ours.transport.get_protocol()
        theirs.transport.write(b"ping")
        await until(lambda: "data_received" in ours.seen and "data_received" in theirs.seen)
        theirs.transport.pause_reading()
        ours.transport.write_eof()
        theirs.transport.resume_reading()
        await until(lambda: ours.lost and theirs.lost)
        if server is not None:
            server.close()
            await server.wait_closed()
        resources.extend(p.resources == {p.transport} for p in (ours, theirs))

    resources: list[bool] = []
    events = run_on_uvloop(main)
    assert set(theirs.seen) == {
        *("connection_made", "data_received", "eof_received", "connection_lost")
    }
    for protocol in (ours, theirs):
        (async_id,) = protocol.ids
        assert events.type_of(async_id) == "Transport"
        names = events.names(async_id)
        assert (names[0], names[-1], names.count("destroy")) == ("init", "destroy", 1)
        assert (
            names.count("before")
            == names.count("after")
            == sum(len(notes.ids) for notes in protocol.seen.values())
        )
    assert resources == [True, True]
    trigger = events.type_of(events.trigger_of(next(iter(theirs.ids))))
    assert trigger == ("Task" if family == "accepted elsewhere" else "Server")


def test_a_protocol_that_does_not_say_what_it_does_when_has_a_transport_too() -> None:
    class Quiet(asyncio.Protocol):
        """Leaves everything to asyncio's own."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, port = await listen(loop, Quiet)
        transport, _ = await loop.create_connection(Quiet, "127.0.0.1", port)
        transport.close()
        await until(lambda: all(n[-1] == "destroy" for n in lives(events, "Transport")))
        server.close()

    with record() as events:
        uvloop.run(main())
    assert (
        lives(events, "Transport")
        == [["init", "before", "after", "before", "after", "destroy"]] * 2
    )


def test_a_buffered_protocol_executes_as_its_transport() -> None:
    seen: dict[str, Executing] = {}

    class Buffered(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint: int) -> bytearray:
            seen.setdefault("get_buffer", Executing())()
            self.buffer = bytearray(100)
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            seen.setdefault("buffer_updated", Executing())()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, port = await listen(loop, Buffered)
        transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
        transport.write(b"x")
        await until(lambda: "buffer_updated" in seen)
        transport.close()
        server.close()

    events = run_on_uvloop(main)
    (async_id,) = {i for notes in seen.values() for i in notes.ids}
    assert events.type_of(async_id) == "Transport"
    assert set(seen) == {"get_buffer", "buffer_updated"}


def test_pausing_and_resuming_a_writer_execute_as_its_transport() -> None:
    paused, resumed = Executing(), Executing()

    class Writing(asyncio.Protocol):
        def pause_writing(self) -> None:
            paused()

        def resume_writing(self) -> None:
            resumed()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, port = await listen(loop, asyncio.Protocol)
        transport, _ = await loop.create_connection(Writing, "127.0.0.1", port)
        transport.write(b"x" * 10_000_000)
        await until(lambda: resumed.ids)
        transport.close()
        server.close()

    events = run_on_uvloop(main)
    assert paused.ids == resumed.ids
    assert {events.type_of(i) for i in paused.ids} == {"Transport"}


def test_a_datagram_socket_lives_until_its_protocol_knows_it_is_closed() -> None:
    class Datagrams(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.received, self.errors, self.lost = Executing(), Executing(), Executing()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.received()

        def error_received(self, exc: Exception) -> None:
            self.errors()

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, receiver = await loop.create_datagram_endpoint(Datagrams, local_addr=ON_LOOPBACK)
        other, sender = await loop.create_datagram_endpoint(
            Datagrams, remote_addr=one.get_extra_info("sockname")
        )
        other.sendto(b"x")
        await until(lambda: receiver.received.ids)
        one.close()
        await until(lambda: receiver.lost.ids)
        other.sendto(b"to nobody")
        other.sendto(b"refused")
        await until(lambda: sender.errors.ids)
        other.close()
        await until(lambda: sender.lost.ids)
        protocols.extend([receiver, sender])

    protocols: list[Any] = []
    events = run_on_uvloop(main)
    assert [events.type_of(i) for i in events.ids() if "Transport" in events.type_of(i)] == [
        "DatagramTransport"
    ] * 2
    receiver, sender = protocols
    assert receiver.received.ids == receiver.lost.ids == [events.ids("DatagramTransport")[0]]
    assert set(sender.errors.ids) == set(sender.lost.ids) == {events.ids("DatagramTransport")[1]}
    for async_id in events.ids("DatagramTransport"):
        assert events.trigger_of(async_id) == events.ids("Task")[0]
        assert events.names(async_id)[-1] == "destroy"
        assert events.names(async_id).count("destroy") == 1


def test_pipes_are_transports() -> None:
    reading = Told(on_data=lambda data: None)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        with os.fdopen(read_end, "rb", 0) as source, os.fdopen(write_end, "wb", 0) as sink:
            await loop.connect_read_pipe(lambda: reading, source)
            transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sink)
            transport.write(b"x")  # type: ignore[attr-defined]
            transport.close()
            await until(lambda: reading.lost)
            await turns()

    events = run_on_uvloop(main)
    assert len(events.ids("Transport")) == 2
    for async_id in events.ids("Transport"):
        assert events.trigger_of(async_id) == events.ids("Task")[0]
        assert events.names(async_id)[-1] == "destroy"


def test_a_connection_that_fails_leaves_nothing() -> None:
    from whence.instrumentation.protocols import arriving, connections

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, port = await listen(loop, asyncio.Protocol)
        server.close()
        await server.wait_closed()
        anything: Any = loop
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Told, "127.0.0.1", port)
        with pytest.raises(TypeError):
            await anything.create_connection(None, "127.0.0.1", port)
        with pytest.raises(ValueError, match="host and port was not specified"):
            await anything.create_connection(protocol_factory=Told)
        connecting = asyncio.create_task(anything.create_connection(Told, "127.0.0.1", port))
        await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait([connecting])
        assert (dict(arriving), dict(connections)) == ({}, {})

    assert lives(run_on_uvloop(main), "Transport") == []


def test_another_protocol_goes_on_where_the_first_one_stopped() -> None:
    class Second(Told):
        """Of a class that nobody has seen before the switch."""

    def switch(data: bytes) -> None:
        # As a server does that has been asked for a websocket.
        second.connection_made(first.transport)
        second.data_received(data)
        first.transport.set_protocol(second)

    first, second = Told(switch), Second()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, port = await listen(loop, lambda: first)
        client, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
        await until(lambda: first.transport)
        client.write(b"upgrade")
        await until(lambda: second.transport)
        client.write(b"more")
        await until(lambda: len(second.seen["data_received"].ids) == 2)
        client.close()
        await until(lambda: second.lost)
        server.close()

    events = run_on_uvloop(main)
    (async_id,) = first.ids
    assert second.ids == {async_id}
    assert set(second.seen) == {
        "connection_made",
        "data_received",
        "eof_received",
        "connection_lost",
    }
    assert not first.lost
    assert len(events.ids("Transport")) == 2
    assert events.names(async_id).count("init") == events.names(async_id).count("destroy") == 1


def test_a_class_that_takes_the_place_of_asyncios_needs_nothing_of_it() -> None:
    class Slotted:
        __slots__ = ("transport",)

        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            made()

        def data_received(self, data: bytes) -> None:
            received()
            self.transport.write(data)

        def eof_received(self) -> None:
            pass

        def connection_lost(self, exc: BaseException | None) -> None:
            lost()

    made, received, lost = Executing(), Executing(), Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, port = await listen(loop, Slotted)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        await reader.readexactly(1)
        writer.close()
        await until(lambda: lost.ids)
        server.close()

    events = run_on_uvloop(main)
    assert made.ids == received.ids == lost.ids
    assert events.type_of(made.ids[0]) == "Transport"


def test_a_hook_that_comes_late_hears_of_connections_made_from_then_on() -> None:
    early, late = Told(), Told()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def open_early() -> tuple[Any, int, Any]:
            protocols = iter([early, late])
            server, port = await listen(asyncio.get_running_loop(), lambda: next(protocols))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await until(lambda: early.transport)
            return server, port, (reader, writer)

        server, port, (reader, writer) = runner.run(open_early())

        async def talk() -> None:
            writer.write(b"x")
            await reader.readexactly(1)
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
            other_writer.write(b"x")
            await other_reader.readexactly(1)
            for each in (writer, other_writer):
                each.close()
            await until(lambda: early.lost and late.lost)
            server.close()

        with record() as events:
            runner.run(talk())
    # The one that was there keeps the callbacks that it has; its server makes unmarked ones.
    assert [events.type_of(i) for i in events.ids("Transport")] == ["Transport"]
    assert early.ids.isdisjoint(events.ids("Transport"))
    assert late.ids.isdisjoint(events.ids("Transport"))


def test_protocols_are_as_they_were_when_the_last_hook_goes() -> None:
    from whence.instrumentation.protocols import arriving, connections

    class Mine(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            got.append(data)

    before = dict(vars(Mine)), dict(vars(asyncio.BaseProtocol))
    got: list[bytes] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def start() -> tuple[Any, asyncio.StreamWriter]:
            server, port = await listen(asyncio.get_running_loop(), Mine)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"one")
            await until(lambda: got)
            return server, writer

        async def go_on() -> None:
            writer.write(b"two")
            await until(lambda: len(got) == 2)
            writer.close()
            await writer.wait_closed()
            server.close()

        with record() as events:
            server, writer = runner.run(start())
            assert (dict(vars(Mine)), dict(vars(asyncio.BaseProtocol))) != before
        assert (dict(vars(Mine)), dict(vars(asyncio.BaseProtocol))) == before
        assert (dict(arriving), dict(connections)) == ({}, {})
        heard = len(events)
        runner.run(go_on())
    assert got == [b"one", b"two"]
    assert len(events) == heard


def test_an_error_in_a_protocol_is_told_without_us(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            raise ValueError("on purpose")

    contexts: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: contexts.append(context))
        server, port = await listen(loop, Failing)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        await reader.read()
        writer.close()
        server.close()

    events = run_on_uvloop(main)
    (context,) = contexts
    traceback, files = context["exception"].__traceback__, []
    while traceback is not None:
        files.append(Path(traceback.tb_frame.f_code.co_filename).name)
        traceback = traceback.tb_next
    assert files[-1] == "test_uvloop_connections.py"
    assert "protocols.py" not in files
    assert all(names.count("destroy") == 1 for names in lives(events, "Transport"))


def test_the_story_of_an_accepted_connection() -> None:
    protocol = Told()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, port = await listen(loop, lambda: protocol)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.send(b"x")
            await until(lambda: "data_received" in protocol.seen)
            assert client.recv(1) == b"x"
        await until(lambda: protocol.lost)
        server.close()

    assert story(run_on_uvloop(main), "Server", "Transport") == [
        "init Server1 Server by Task1",
        "before Server1",
        "after Server1",
        "init Transport1 Transport by Server1",
        "before Transport1",
        "after Transport1",
        "before Transport1",
        "after Transport1",
        "before Transport1",
        "after Transport1",
        "before Transport1",
        "after Transport1",
        "destroy Transport1",
        "destroy Server1",
    ]
