"""Sockets read and written in C: what the program sees is what it sees with asyncio alone.

Each story runs with asyncio alone and then with the engine, on real sockets, and tells the same."""

import asyncio
import contextlib
import inspect
import socket
import sys
import threading
from asyncio import selector_events
from collections.abc import Callable
from typing import Any

import pytest
from socket_stories import STORIES, Story, Telling, connected, pattern, seen_of

from whence.engine import twin
from whence.engine.stream_transports import STREAM_METHODS
from whence.testing import record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

TRANSPORT: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
STOCK = {name: vars(TRANSPORT)[name] for name in STREAM_METHODS}


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
