"""Sockets read and written in C: what the program sees is what it sees with asyncio alone.

Each story runs with asyncio alone and then with the engine, on real sockets, and tells the same."""

import asyncio
import contextlib
import inspect
import socket
import struct
import sys
import threading
from asyncio import selector_events
from collections.abc import Callable, Coroutine
from traceback import walk_tb
from typing import Any

import pytest

from whence.engine import twin
from whence.engine.stream_transports import STREAM_METHODS
from whence.testing import record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

TRANSPORT: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
STOCK = {name: vars(TRANSPORT)[name] for name in STREAM_METHODS}
SIZES = (1, 100, 65_536, 262_143, 262_144, 262_145, 900_000)

Story = Callable[[], Coroutine[Any, Any, Any]]


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


# ---- stories


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


async def it_receives_no_more_than_its_own_size() -> Any:
    async with connected() as (protocol, peer):
        sizes: list[int] = []
        protocol.transport.max_size = 3
        protocol.data_received = lambda data: (
            sizes.append(len(data)) or Telling.data_received(protocol, data)
        )
        protocol.expected = 8
        peer.send(b"8 bytes.")
        await protocol.over
        return sizes


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


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_it_is_as_with_asyncio_alone(story: Story) -> None:
    alone = asyncio.run(story())
    with record():
        assert vars(TRANSPORT)["write"] is not STOCK["write"]
        assert asyncio.run(story()) == alone


# ---- the end of the loop


def left_by(fail: Callable[[], Any], handle: Callable[..., Any]) -> Any:
    """What leaves `run_forever` when data_received is `fail`, and failures are handled so."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(handle)
    ours, peer = socket.socketpair()
    with peer, contextlib.closing(loop):
        transport, protocol = loop.run_until_complete(loop.create_connection(Telling, sock=ours))
        protocol.data_received = lambda data: fail()  # type: ignore[method-assign]
        peer.send(b"some")
        with pytest.raises((KeyboardInterrupt, SystemExit)) as left:
            loop.run_forever()
        transport.abort()
        loop.run_until_complete(protocol.over)
        return seen_of(left.value)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt("on purpose")


def leave(*_: object) -> None:
    raise SystemExit("on purpose")


def fail(*_: object) -> None:
    raise LookupError("on purpose")


@pytest.mark.parametrize(
    ("failing", "handling", "through"),
    [
        (interrupt, fail, ["<lambda>", "interrupt"]),
        (leave, fail, ["<lambda>", "leave"]),
        (fail, interrupt, ["_fatal_error", "call_exception_handler", "interrupt"]),
    ],
)
def test_what_ends_the_loop_comes_through_the_same_lines(
    failing: Callable[..., Any], handling: Callable[..., Any], through: list[str]
) -> None:
    alone = left_by(failing, handling)
    with record():
        assert left_by(failing, handling) == alone
    names = [name for name, _ in alone[2]]
    assert names == ["_read_ready", "_read_ready__data_received", *through]


# ---- which way it goes


def frames_of_asyncio() -> set[str]:
    names = {info.function for info in inspect.stack()}
    return names & {"_read_ready", "_read_ready__data_received"}


class Looking(Telling):
    def data_received(self, data: bytes) -> None:
        self.told.append(frames_of_asyncio())
        super().data_received(data)


async def look() -> Any:
    async with connected(Looking) as (protocol, peer):
        protocol.expected = 4
        peer.send(b"some")
        await protocol.over
        return protocol.told[0]


BOTH = {"_read_ready", "_read_ready__data_received"}


def test_what_is_regular_is_read_without_asyncios_frames() -> None:
    assert asyncio.run(look()) == BOTH
    with record():
        assert asyncio.run(look()) == set()


def test_in_debug_mode_asyncio_reads() -> None:
    with record():
        assert asyncio.run(look(), debug=True) == BOTH


def test_a_replaced_recv_is_called_and_ours_is_used_again_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[Any] = []
    stock = socket.socket.recv

    def recv(self: Any, *args: Any) -> bytes:
        calls.append(args)
        return stock(self, *args)

    with record():
        assert asyncio.run(look()) == set()
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "recv", recv, raising=False)
            assert asyncio.run(look()) == BOTH
        assert calls == [(262_144,)]
        assert asyncio.run(look()) == set()


def test_a_replaced_send_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    stock = socket.socket.send

    def send(self: Any, data: Any, *args: Any) -> int:
        sent.append(bytes(data))
        return stock(self, data, *args)

    async def write() -> Any:
        async with connected() as (protocol, peer):
            protocol.transport.write(b"some")
            return peer.recv(100)

    with record():
        monkeypatch.setattr(socket.socket, "send", send, raising=False)
        assert asyncio.run(write()) == b"some"
    assert sent == [b"some"]


def test_a_replaced_way_of_receiving_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    stock = TRANSPORT._read_ready__data_received

    def receive(self: Any) -> None:
        calls.append(self)
        stock(self)

    with record():
        monkeypatch.setattr(TRANSPORT, "_read_ready__data_received", receive)
        asyncio.run(look())
    assert calls


def test_a_class_that_receives_less_at_once_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRANSPORT, "max_size", 3)

    async def sizes() -> Any:
        async with connected(Looking) as (protocol, peer):
            protocol.expected = 8
            peer.send(b"8 bytes.")
            await protocol.over
            return len(protocol.told)

    with record():
        assert asyncio.run(sizes()) == 3


def test_who_profiles_sees_asyncios_functions_called() -> None:
    called: set[str] = set()

    async def echo() -> None:
        async with connected() as (protocol, peer):
            sys.setprofile(lambda frame, what, _: called.add(frame.f_code.co_name))
            try:
                protocol.expected = 4
                protocol.transport.write(b"some")
                peer.send(b"some")
                await protocol.over
            finally:
                sys.setprofile(None)

    with record():
        asyncio.run(echo())
    assert called >= {"write", *BOTH}


# ---- patches


def test_they_look_like_asyncios_and_the_very_same_come_back() -> None:
    with record():
        for name, stock in STOCK.items():
            method = vars(TRANSPORT)[name]
            assert method is not stock
            assert inspect.isfunction(method)
            assert inspect.signature(method) == inspect.signature(stock)
            assert repr(method) == repr(stock)
            for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
                assert getattr(method, attribute) == getattr(stock, attribute)
    assert {name: vars(TRANSPORT)[name] for name in STOCK} == STOCK


def _counting(calls: list[str], name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    def count(self: Any, *args: Any) -> Any:
        calls.append(name)
        return inner(self, *args)

    return count


@pytest.fixture
def echo() -> Story:
    async def echo() -> Any:
        async with connected() as (protocol, peer):
            protocol.expected = 4
            peer.send(b"some")
            await protocol.over
            protocol.transport.write(protocol.received)
            return peer.recv(100)

    return echo


def test_what_somebody_puts_on_top_calls_ours(monkeypatch: pytest.MonkeyPatch, echo: Story) -> None:
    calls: list[str] = []
    with record():
        with monkeypatch.context() as patch:
            for name in STOCK:
                patch.setattr(TRANSPORT, name, _counting(calls, name, vars(TRANSPORT)[name]))
            assert asyncio.run(echo()) == b"some"
        assert sorted(calls) == sorted(STOCK)
    assert {name: vars(TRANSPORT)[name] for name in STOCK} == STOCK


def test_what_somebody_had_put_there_stays(monkeypatch: pytest.MonkeyPatch, echo: Story) -> None:
    calls: list[str] = []
    for name, stock in STOCK.items():
        monkeypatch.setattr(TRANSPORT, name, _counting(calls, name, stock))
    with record():
        assert asyncio.run(echo()) == b"some"
    assert sorted(calls) == sorted(STOCK)


def test_a_connection_outlives_the_hook_and_may_be_older_than_it(echo: Story) -> None:
    async def story() -> Any:
        async with connected() as (protocol, peer):
            received = []
            for number in range(6):
                protocol.over = asyncio.get_running_loop().create_future()
                protocol.received, protocol.expected = b"", 1
                with record() if number % 2 else contextlib.nullcontext():
                    peer.send(b"%d" % number)
                    await protocol.over
                    protocol.transport.write(protocol.received)
                received.append(peer.recv(100))
            return b"".join(received)

    assert asyncio.run(story()) == b"012345"


# ---- threads and memory


def test_loops_in_several_threads_do_not_mix_what_they_receive() -> None:
    outcomes: list[Any] = []

    async def story(letter: bytes) -> Any:
        loop = asyncio.get_running_loop()
        async with connected() as (protocol, peer):
            protocol.expected = 50 * 20_000
            for _ in range(50):
                await loop.sock_sendall(peer, letter * 20_000)
            await protocol.over
            return set(protocol.received) == set(letter)

    with record():
        threads = [
            threading.Thread(target=lambda one=one: outcomes.append(asyncio.run(story(one))))
            for one in (b"a", b"b", b"c")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == [True, True, True]


def test_no_reference_is_left() -> None:
    data = pattern(1000)

    async def story() -> None:
        async with connected() as (protocol, peer):
            kept = protocol, protocol.transport, protocol.transport._sock, data
            before = [sys.getrefcount(thing) for thing in kept]
            for _ in range(100):
                protocol.transport.write(data)
                peer.recv(1000)
                peer.send(b"some")
                protocol.transport._read_ready()
                protocol.transport._read_ready()
            assert [sys.getrefcount(thing) for thing in kept] == before
            assert protocol.received == b"some" * 100

    with record():
        asyncio.run(story())
