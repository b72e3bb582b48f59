"""Stories of connections on real sockets, each of which tells what its program has seen."""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from traceback import walk_tb
from typing import Any

Story = Callable[[], Coroutine[Any, Any, Any]]

SIZES = (1, 100, 65_536, 262_143, 262_144, 262_145, 900_000)


class Telling(asyncio.Protocol):
    """Notes what it is told."""

    transport: Any

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.received = b""
        self.over = asyncio.get_running_loop().create_future()
        self.expected: int | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.received += data
        if len(self.received) == self.expected:
            self.over.set_result(None)

    def eof_received(self) -> bool | None:
        self.told.append("eof")
        return None

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.told.append(("lost", seen_of(exc)))
        if not self.over.done():
            self.over.set_result(None)


def seen_of(error: BaseException | None) -> Any:
    """What a program can see of an error, from asyncio's reading and writing on."""
    if error is None:
        return None
    lines = [(f.f_code.co_name, line) for f, line in walk_tb(error.__traceback__)]
    while lines and lines[0][0] not in ("_read_ready", "_read_ready__data_received", "write"):
        del lines[0]
    return type(error).__name__, str(error), lines, seen_of(error.__context__)


@contextlib.asynccontextmanager
async def connected(make: Callable[[], Any] = Telling) -> Any:
    """A protocol over one end of a pair of sockets, and the other end."""
    loop = asyncio.get_running_loop()
    ours, peer = socket.socketpair()
    peer.setblocking(False)
    _, protocol = await loop.create_connection(make, sock=ours)
    try:
        yield protocol, peer
    finally:
        protocol.transport.abort()
        peer.close()
        await protocol.over
        await asyncio.sleep(0)


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


async def all_sizes_arrive_in_order() -> Any:
    loop = asyncio.get_running_loop()
    sent = b"".join(map(pattern, SIZES))
    async with connected() as (protocol, peer):
        protocol.expected = len(sent)
        for size in SIZES:
            await loop.sock_sendall(peer, pattern(size))
        await protocol.over
        return protocol.received == sent, protocol.told


async def a_slow_reader_pauses_the_writer() -> Any:
    loop = asyncio.get_running_loop()
    data = pattern(3_000_000)
    async with connected() as (protocol, peer):
        protocol.transport.write(data)
        kinds = type(protocol.transport._buffer).__name__
        told, waits = list(protocol.told), protocol.transport.get_write_buffer_size() > 0
        protocol.transport.write(b"and the rest")
        received = b""
        while len(received) < len(data) + 12:
            received += await loop.sock_recv(peer, 100_000)
        protocol.transport.write(b"once more")
        last = await loop.sock_recv(peer, 100)
        return kinds, told, waits, received == data + b"and the rest", last, protocol.told


async def a_full_socket_takes_nothing_at_first() -> Any:
    loop = asyncio.get_running_loop()
    async with connected() as (protocol, peer):
        own = protocol.transport._sock
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += own.send(b"x" * 4096)
        protocol.transport.write(b"late")
        waiting = protocol.transport.get_write_buffer_size()
        received = b""
        while len(received) < filled + 4:
            received += await loop.sock_recv(peer, 100_000)
        return waiting, received[-4:], protocol.told


async def the_peer_ends() -> Any:
    async with connected() as (protocol, peer):
        peer.send(b"last")
        peer.close()
        await protocol.over
        return protocol.received, protocol.told, protocol.transport.is_closing()


class Staying(Telling):
    """Still writes when the peer does not any more."""

    def eof_received(self) -> bool:
        super().eof_received()
        self.transport.write(b"I am still here")
        return True


async def the_peer_ends_half() -> Any:
    loop = asyncio.get_running_loop()
    async with connected(Staying) as (protocol, peer):
        peer.shutdown(socket.SHUT_WR)
        return await loop.sock_recv(peer, 100), protocol.told, protocol.transport.is_closing()


class FailingAtTheEnd(Telling):
    def eof_received(self) -> None:
        raise LookupError("on purpose")


async def the_peer_ends_and_the_protocol_fails() -> Any:
    reported = note_reports()
    async with connected(FailingAtTheEnd) as (protocol, peer):
        peer.close()
        await protocol.over
    return reported, protocol.told


def note_reports() -> list[Any]:
    """What the loop's exception handler is given, from now on."""
    reported: list[Any] = []

    def note(_: object, context: dict[str, Any]) -> None:
        kinds = {name: type(value).__name__ for name, value in context.items()}
        current = sys.exc_info()[1] is context["exception"]
        reported.append((context["message"], kinds, seen_of(context["exception"]), current))

    asyncio.get_running_loop().set_exception_handler(note)
    return reported


@contextlib.asynccontextmanager
async def connected_by_tcp() -> Any:
    """Both ends, of which the other one can be reset."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        _, protocol = await loop.create_connection(Telling, *address)
        peer, _ = listening.accept()
    try:
        yield protocol, peer
    finally:
        protocol.transport.abort()
        peer.close()
        await protocol.over
        await asyncio.sleep(0)


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


async def the_peer_resets() -> Any:
    reported = note_reports()
    async with connected_by_tcp() as (protocol, peer):
        reset(peer)
        await protocol.over
    return reported, protocol.told


async def the_peer_has_reset_when_we_write() -> Any:
    reported = note_reports()
    async with connected_by_tcp() as (protocol, peer):
        protocol.transport.pause_reading()
        reset(peer)
        for _ in range(3):
            protocol.transport.write(b"some")
        await protocol.over
        return reported, protocol.told, protocol.transport._conn_lost


class Failing(Telling):
    error: type[BaseException] = LookupError

    def data_received(self, data: bytes) -> None:
        raise self.error("on purpose")


async def data_received_fails() -> Any:
    reported = note_reports()
    async with connected(Failing) as (protocol, peer):
        peer.send(b"some")
        await protocol.over
    return reported, protocol.told


class Unable(Telling):
    data_received = None  # type: ignore[assignment]


async def data_received_cannot_be_called() -> Any:
    reported = note_reports()
    async with connected(Unable) as (protocol, peer):
        peer.send(b"some")
        await protocol.over
    return reported, protocol.told


async def it_closes_while_it_is_told() -> Any:
    async with connected() as (protocol, peer):
        protocol.data_received = lambda data: protocol.transport.close()
        peer.send(b"some")
        await protocol.over
        protocol.transport.write(b"late")
        return protocol.told, protocol.transport._conn_lost


async def it_aborts_while_it_is_told() -> Any:
    async with connected() as (protocol, peer):
        protocol.data_received = lambda data: protocol.transport.abort()
        peer.send(b"some")
        await protocol.over
        return protocol.told


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, into: Telling) -> None:
        self.into, self.room = into, bytearray(10)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        self.into.data_received(bytes(self.room[:nbytes]))

    def connection_lost(self, exc: BaseException | None) -> None:
        self.into.connection_lost(exc)


async def the_protocol_changes_while_it_is_told() -> Any:
    async with connected() as (protocol, peer):
        seen: list[bytes] = []

        def told(data: bytes) -> None:
            seen.append(data)
            protocol.transport.set_protocol(Buffered(protocol))
            peer.send(b"twenty bytes of data")
            del protocol.data_received

        protocol.data_received = told
        protocol.expected = 20
        peer.send(b"first")
        await protocol.over
        return seen, protocol.received


async def what_cannot_be_written_is_refused() -> Any:
    outcomes: list[Any] = []

    def attempt(transport: Any, *data: Any, **named: Any) -> None:
        try:
            outcomes.append(transport.write(*data, **named))
        except Exception as error:
            outcomes.append(seen_of(error))

    async with connected() as (protocol, peer):
        for data in ("text", None, 1, b"", bytearray(), memoryview(b""), [b"x"]):
            attempt(protocol.transport, data)
        attempt(protocol.transport)
        attempt(protocol.transport, b"x", b"y")
        attempt(protocol.transport, data=b"by name")
        attempt(protocol.transport, bytearray(b" an array"))
        attempt(protocol.transport, memoryview(b" a view"))
        outcomes.append(peer.recv(100))
        protocol.transport.write_eof()
        attempt(protocol.transport, b"after the end")
        outcomes.append(peer.recv(100))
        return outcomes


class Measuring(Telling):
    def data_received(self, data: bytes) -> None:
        self.told.append(len(data))
        super().data_received(data)


async def it_receives_no_more_than_its_own_size() -> Any:
    async with connected(Measuring) as (protocol, peer):
        protocol.transport.max_size = 3
        protocol.expected = 8
        peer.send(b"8 bytes.")
        await protocol.over
        return list(protocol.told)


async def nothing_is_read_while_reading_is_paused() -> Any:
    async with connected() as (protocol, peer):
        protocol.transport.pause_reading()
        peer.send(b"some")
        await asyncio.sleep(0)
        before = protocol.received
        protocol.expected = 4
        protocol.transport.resume_reading()
        await protocol.over
        return before, protocol.received


async def asked_to_read_where_there_is_nothing() -> Any:
    async with connected() as (protocol, _):
        return protocol.transport._read_ready(), protocol.received, protocol.told


async def asked_to_read_when_all_is_over() -> Any:
    async with connected() as (protocol, _):
        transport = protocol.transport
        read = transport._read_ready
        transport.abort()
        seen = [read()]
        await protocol.over
        return seen, protocol.told


async def with_a_socket_of_anothers() -> Any:
    class Own(socket.socket):
        def recv(self, *args: Any) -> bytes:
            return super().recv(*args).upper()

        def send(self, data: Any, *args: Any) -> int:
            return super().send(bytes(data).upper(), *args)

    async with connected() as (protocol, peer):
        stock = protocol.transport._sock
        protocol.transport._sock = own = Own(fileno=stock.fileno())
        protocol.expected = 4
        peer.send(b"some")
        await protocol.over
        protocol.transport.write(b"more")
        protocol.transport._sock = stock
        own.detach()
        return protocol.received, peer.recv(100)


STORIES: tuple[Story, ...] = (
    all_sizes_arrive_in_order,
    a_slow_reader_pauses_the_writer,
    a_full_socket_takes_nothing_at_first,
    the_peer_ends,
    the_peer_ends_half,
    the_peer_ends_and_the_protocol_fails,
    the_peer_resets,
    the_peer_has_reset_when_we_write,
    data_received_fails,
    data_received_cannot_be_called,
    it_closes_while_it_is_told,
    it_aborts_while_it_is_told,
    the_protocol_changes_while_it_is_told,
    what_cannot_be_written_is_refused,
    it_receives_no_more_than_its_own_size,
    nothing_is_read_while_reading_is_paused,
    asked_to_read_where_there_is_nothing,
    asked_to_read_when_all_is_over,
    with_a_socket_of_anothers,
)
