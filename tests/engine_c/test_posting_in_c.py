"""Requests sent from C: whole, in time, and nothing but an error if that cannot be."""

import gc
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from configured import settings
from lives import Lives
from whence.engine import SpanLifetime, twin
from whence.engine.packing import post
from whence.exporters.otlp.packing import PackingEncoder
from whence.exporters.spans import SpanMaker

if not twin.IN_C or post is None:
    pytest.skip("the engine in C is not in use, or does not send", allow_module_level=True)

YES = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LARGE = bytes(range(256)) * (1 << 15)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def run_of(lives: Lives, encoder: PackingEncoder) -> Any:
    for _ in range(100):
        lives.live(2, "main")
    return encoder.packer.run(lives.come_out(), 0)[2]


@pytest.fixture
def encoder(lives: Lives) -> PackingEncoder:
    return PackingEncoder(SpanMaker(settings()), 1 << 20)


def test_all_parts_arrive_and_the_answer_is_waited_for(
    lives: Lives, encoder: PackingEncoder, ends: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = ends
    expected = bytes(run_of(lives, encoder))
    # The same spans again have the same bytes.
    parts: list[Any] = [b"head", b"", memoryview(LARGE), bytearray(b"x"), expected]
    came: list[bytes] = []

    def read() -> None:
        left = sum(map(len, parts))
        while left:
            came.append(theirs.recv(left))
            left -= len(came[-1])
        theirs.sendall(YES)

    reading = threading.Thread(target=read)
    reading.start()
    assert post(ours.fileno(), parts, 20.0) == YES
    reading.join()
    assert b"".join(came) == b"".join(parts)


def test_a_run_is_written_on_its_way(
    lives: Lives, encoder: PackingEncoder, ends: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = ends
    run = run_of(lives, encoder)
    theirs.sendall(YES)
    came: list[bytes] = []

    def read() -> None:
        while sum(map(len, came)) < len(run):
            came.append(theirs.recv(1 << 20))

    reading = threading.Thread(target=read)
    reading.start()
    post(ours.fileno(), [run], 20.0)
    reading.join()
    assert b"".join(came) == bytes(run)
    assert len(came) > 0
    # And its packer can go on.
    assert len(bytes(run_of(lives, encoder))) >= len(run)


def many(lives: Lives, number: int, longest: int) -> list[SpanLifetime]:
    """Lifetimes, of which each hundredth has a name of that length."""
    for nth in range(number):
        lives.live(2, "x" * longest if nth % 100 == 1 else f"some name {nth % 7}")
    return lives.come_out()


@pytest.mark.parametrize("longest", [1, 400_000], ids=["pieces", "one that is a piece of its own"])
def test_a_run_of_many_pieces_arrives_as_it_is(
    lives: Lives, longest: int, ends: tuple[socket.socket, socket.socket]
) -> None:
    encoder = PackingEncoder(SpanMaker(settings()), 4 << 20)
    run = encoder.packer.run(many(lives, 2000, longest), 0)[2]
    assert len(run) > 512 << 10
    ours, theirs = ends
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        # Pieces are sent in several goes.
        ours.setsockopt(socket.SOL_SOCKET, option, 20_000)
    came = bytearray()

    def read() -> None:
        while len(came) < len(run) + 8:
            came.extend(theirs.recv(50_000))
        theirs.sendall(YES)

    reading = threading.Thread(target=read)
    reading.start()
    assert post(ours.fileno(), [b"head", run, b"tail"], 30.0) == YES
    reading.join()
    # It can be asked for whole as well, and sent again.
    assert came == b"head" + bytes(run) + b"tail"
    theirs.sendall(YES)
    with pytest.raises(TimeoutError):
        post(ours.fileno(), [run], 0.0)
    assert bytes(run) == came[4:-4]


@pytest.mark.parametrize("goes", [1, 2, 5, 1000], ids=lambda goes: f"{goes} bytes at a time")
def test_the_head_of_the_answer_is_waited_for(
    ends: tuple[socket.socket, socket.socket], goes: int
) -> None:
    ours, theirs = ends
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def answer() -> None:
        for at in range(0, len(YES), goes):
            theirs.sendall(YES[at : at + goes])

    answering = threading.Thread(target=answer)
    answering.start()
    came = post(ours.fileno(), [b"x"], 20.0)
    answering.join()
    assert came == YES


def test_of_a_long_answer_the_rest_is_the_readers(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    head = b"HTTP/1.1 500 No\r\n\r\n"
    theirs.sendall(head + LARGE[:10_000])
    came = post(ours.fileno(), [b"x"], 20.0)
    assert came.startswith(head)
    assert came + ours.recv(20_000) == head + LARGE[:10_000]
    theirs.sendall(LARGE[:10_000])  # no head at all
    came = post(ours.fileno(), [b"x"], 20.0)
    assert came + ours.recv(20_000) == LARGE[:10_000]


def test_what_is_no_http_is_not_waited_for(ends: tuple[socket.socket, socket.socket]) -> None:
    """Another protocol's greeting, whose server waits for what we say next."""
    ours, theirs = ends
    theirs.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    assert post(ours.fileno(), [b"x"], 20.0) == b"SSH-2.0-OpenSSH_9.2\r\n"


def test_half_an_answer_costs_the_time_and_no_more(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    theirs.sendall(YES[:-1])
    before = time.monotonic()
    with pytest.raises(TimeoutError):
        post(ours.fileno(), [b"x"], 0.2)
    assert 0.19 < time.monotonic() - before < 5


def test_others_run_meanwhile(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    turns: list[int] = []
    over = threading.Event()

    def others() -> None:
        while not over.is_set():
            turns.append(1)
            if len(turns) == 1000:
                theirs.sendall(YES)

    thread = threading.Thread(target=others)
    thread.start()
    post(ours.fileno(), [b"x"], 30.0)
    over.set()
    thread.join()
    assert len(turns) >= 1000


@pytest.mark.parametrize("parts", [[LARGE], [b"small"], []], ids=["large", "small", "nothing"])
def test_whoever_does_not_read_or_answer_costs_the_time_and_no_more(
    ends: tuple[socket.socket, socket.socket], parts: list[bytes]
) -> None:
    before = time.monotonic()
    with pytest.raises(TimeoutError):
        post(ends[0].fileno(), parts, 0.2)
    assert 0.19 < time.monotonic() - before < 5


@pytest.mark.parametrize("seconds", [0.0, -1.0, -1e300, float("-inf")])
def test_no_time_is_an_error_at_once(
    ends: tuple[socket.socket, socket.socket], seconds: float
) -> None:
    with pytest.raises(TimeoutError):
        post(ends[0].fileno(), [b"x"], seconds)


def test_whoever_has_gone_is_an_error(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(ConnectionError):
        post(ours.fileno(), [LARGE], 20.0)


def test_an_end_without_an_answer_is_the_readers_to_see(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    theirs.shutdown(socket.SHUT_WR)
    assert post(ours.fileno(), [b"x"], 20.0) == b""
    assert ours.recv(10) == b""


def test_what_is_no_socket_is_an_error() -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError, match="socket"):
            post(writing, [b"x"], 1.0)
    finally:
        os.close(reading)
        os.close(writing)
    with pytest.raises(OSError, match="descriptor"):
        post(writing, [b"x"], 1.0)
    with pytest.raises(OSError, match="descriptor"):
        post(-1, [], 1.0)


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((b"x",), TypeError),
        (["x"], TypeError),
        ([b"x", 7], TypeError),
        ([b"x"] * 9, ValueError),
        ([memoryview(b"abcd")[::2]], BufferError),
    ],
)
def test_what_are_no_parts_is_refused(
    ends: tuple[socket.socket, socket.socket], parts: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        post(ends[0].fileno(), parts, 1.0)


def test_a_run_that_is_over_is_refused_and_nothing_is_held(
    lives: Lives, encoder: PackingEncoder, ends: tuple[socket.socket, socket.socket]
) -> None:
    over = run_of(lives, encoder)
    run = run_of(lives, encoder)
    released = bytearray(b"x")
    with pytest.raises(BufferError, match="this run is over"):
        post(ends[0].fileno(), [released, run, over], 1.0)
    released.append(1)
    assert len(bytes(run)) == len(run)
    with pytest.raises(TimeoutError):
        post(ends[0].fileno(), [released, run], 0.0)
    released.append(1)
    assert len(run_of(lives, encoder)) > 0
    gc.collect()
