"""OTLP/HTTP receivers that fail in the ways in which receivers do."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Answer = Callable[[socket.socket], None]


class BadReceiver:
    """Takes whole requests, does to each connection what `answer` does, and keeps what it was
    sent."""

    def __init__(self, answer: Answer, *, reads: bool = True, port: int = 0) -> None:
        self.answer = answer
        self._reads = reads
        self.requests: list[ExportTraceServiceRequest] = []
        self._listening = socket.create_server(("127.0.0.1", port), backlog=100)
        self.port = int(self._listening.getsockname()[1])
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Let everybody go."""
        # close() alone does not wake the accept() of another thread.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                """It is gone already."""
        for thread in self._threads:
            thread.join()

    @property
    def span_ids(self) -> list[bytes]:
        """The ids of all spans that came, also of those whose sender was never told."""
        return [
            span.span_id
            for request in self.requests
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while not self._reads or self._read(connection):
                    self.answer(connection)
            except OSError:
                """Somebody has closed it: the sender, the answer, or the end of the test."""

    def _read(self, connection: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            head += (more := connection.recv(65536))
            if not more:
                return False
        head, _, body = head.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            body += (more := connection.recv(1 << 20))
            if not more:
                return False
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return True


def text(status: str, *more: str) -> bytes:
    """A whole answer without a body."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *more, "", ""]).encode()


def answers(content: bytes) -> Answer:
    """Says this to every request."""
    return lambda connection: connection.sendall(content)


def takes_all(connection: socket.socket) -> None:
    """As a good one."""
    connection.sendall(text("200 OK"))


def resets(connection: socket.socket) -> None:
    """Dies: what it was sent, and what it had to say, is lost on the way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def resets_in_the_request(connection: socket.socket) -> None:
    """Dies while it is being sent something."""
    connection.recv(100)
    resets(connection)


def dies_in_the_answer(connection: socket.socket) -> None:
    """Begins to say that it took everything."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    connection.close()


class AtFirst:
    """Does something to the first requests, then to all others something else."""

    def __init__(self, number: int, first: Answer, then: Answer = takes_all) -> None:
        self._left = number
        self._first, self._then = first, then

    def __call__(self, connection: socket.socket) -> None:
        self._left -= 1
        (self._first if self._left >= 0 else self._then)(connection)


class Slow:
    """Takes everything, each time after so many seconds, until it is let go."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self._over.wait(self._seconds)
        takes_all(connection)

    def let_go(self) -> None:
        self._over.set()


@contextmanager
def receiving(answer: Answer, *, reads: bool = True) -> Iterator[BadReceiver]:
    """A receiver for as long as the block."""
    receiver = BadReceiver(answer, reads=reads)
    try:
        yield receiver
    finally:
        if isinstance(answer, Slow):
            answer.let_go()
        receiver.close()
