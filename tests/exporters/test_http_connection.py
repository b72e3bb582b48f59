"""Requests that are sent in as few calls as can be, and within their time."""

import socket
import threading
import time
from collections.abc import Iterator
from http.client import RemoteDisconnected

import pytest

from whence.engine import packing
from whence.exporters import http_connection
from whence.exporters.http_connection import Content, PlainConnection, left, whole

LARGE = bytes(8 << 20)
"""More than the buffers of a connection hold."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
"""Some way of sending waits until it begins."""


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture(params=["engine", "system", "python"])
def connection(
    request: pytest.FixtureRequest, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PlainConnection]:
    """Waits in the engine, in the system, or in Python."""
    way = request.param
    if way == "engine" and packing.post is None:
        pytest.skip("the engine does not send")
    if way == "system" and not http_connection._WAITS_IN_THE_SYSTEM:
        pytest.skip("this system has other limits")
    if way != "engine":
        monkeypatch.setattr(http_connection, "post", None)
    monkeypatch.setattr(http_connection, "_WAITS_IN_THE_SYSTEM", way == "system")
    host, port = listening.getsockname()
    made = PlainConnection(host, port, timeout=5)
    made.connect()
    yield made
    made.close()


def post(connection: PlainConnection, data: Content, seconds: float = 20) -> None:
    connection.post("/v1/traces", data, {"Content-Type": "x"}, time.monotonic() + seconds)


IN_PARTS: Content = [b"small", b"", memoryview(LARGE), b"end"]
BODIES = {"nothing": b"", "small": b"small", "large": LARGE, "parts": IN_PARTS, "no parts": []}


@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES)
def test_head_and_body_arrive_whole(
    connection: PlainConnection, listening: socket.socket, data: Content
) -> None:
    body = whole(data)
    theirs, _ = listening.accept()
    with theirs:
        sending = threading.Thread(target=post, args=(connection, data))
        sending.start()
        came = b""
        while b"\r\n\r\n" not in came:
            came += theirs.recv(1000)
        head, _, begun = came.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /v1/traces HTTP/1.1\r\n")
        assert f"content-length: {len(body)}".encode() in head.lower()
        parts = [begun]
        while sum(map(len, parts)) < len(body):
            parts.append(theirs.recv(1 << 20))
        theirs.sendall(ANSWER)
        sending.join()
        assert b"".join(parts) == body


def test_a_small_request_is_one_call(
    connection: PlainConnection, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    send_all = PlainConnection._send_all

    def counted(self: PlainConnection, parts: list[bytes], deadline: float) -> None:
        calls.append(sum(map(len, parts)))
        send_all(self, parts, deadline)

    monkeypatch.setattr(PlainConnection, "_send_all", counted)
    theirs, _ = listening.accept()
    with theirs:
        theirs.sendall(ANSWER)
        post(connection, [b"bo", b"dy"])
        assert len(calls) == 1
        assert len(theirs.recv(10_000)) == calls[0]


def test_one_that_does_not_read_costs_no_more_than_the_time(
    connection: PlainConnection, listening: socket.socket
) -> None:
    theirs, _ = listening.accept()
    with theirs:
        before = time.monotonic()
        with pytest.raises(TimeoutError):
            post(connection, LARGE, 0.3)
        assert 0.2 < time.monotonic() - before < 2


def test_one_that_is_gone_is_an_error_at_once(
    connection: PlainConnection, listening: socket.socket
) -> None:
    theirs, _ = listening.accept()
    theirs.close()
    with pytest.raises(ConnectionError):
        post(connection, LARGE)


ANSWERS = {
    "nothing": ([ANSWER], 200, b""),
    "at once": ([b"HTTP/1.1 429 No\r\nContent-Length: 3\r\n\r\nnot"], 429, b"not"),
    "a body by itself": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"y", b"es"],
        200,
        b"yes",
    ),
    "in chunks": (
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nye",
            b"\r\n1\r\ns\r\n0\r\n\r\n",
        ],
        200,
        b"yes",
    ),
    "after a hint": ([b"HTTP/1.1 100 Continue\r\n\r\n", ANSWER], 200, b""),
    "longer than a head": (
        [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\nContent-Length: 1\r\n\r\n", b"y"],
        200,
        b"y",
    ),
}


@pytest.mark.parametrize(("parts", "status", "body"), ANSWERS.values(), ids=ANSWERS)
def test_the_answer_is_read_whole_and_the_connection_goes_on(
    connection: PlainConnection,
    listening: socket.socket,
    parts: list[bytes],
    status: int,
    body: bytes,
) -> None:
    theirs, _ = listening.accept()
    deadline = time.monotonic() + 20

    def converse() -> None:
        for _ in range(2):
            asked = b""
            while not asked.endswith(b"body"):
                asked += theirs.recv(1000)
            for part in parts:
                theirs.sendall(part)

    with theirs:
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conversing = threading.Thread(target=converse)
        conversing.start()
        for _ in range(2):
            post(connection, [b"body"])
            response = connection.answer(deadline)
            assert (response.status, response.read(), response.isclosed()) == (status, body, True)
            assert not response.will_close
        conversing.join()


def test_half_an_answer_costs_no_more_than_the_time(
    connection: PlainConnection, listening: socket.socket
) -> None:
    theirs, _ = listening.accept()
    with theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ny")
        before = time.monotonic()
        post(connection, b"body", 0.3)
        with pytest.raises(TimeoutError):
            connection.answer(before + 0.3).read()
        assert 0.2 < time.monotonic() - before < 2


def test_an_end_without_an_answer_is_one(
    connection: PlainConnection, listening: socket.socket
) -> None:
    theirs, _ = listening.accept()
    with theirs:
        theirs.shutdown(socket.SHUT_WR)
        post(connection, b"body")
        with pytest.raises(RemoteDisconnected):
            connection.answer(time.monotonic() + 20)


def test_no_time_is_an_error() -> None:
    with pytest.raises(TimeoutError):
        left(time.monotonic())
