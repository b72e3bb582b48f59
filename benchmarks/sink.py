"""A receiver of OTLP that costs next to nothing: it takes requests, says yes, and looks into them
when all is over.

A process of its own.  It prints its port; at the end of its input it prints how many spans came,
and when the last request did, by the clock that all processes of a machine share.
"""

import argparse
import json
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

YES = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
PATH = b" /v1/traces "
"""Metrics come as well, and are not counted."""
_LENGTH = b"content-length: "
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Sink:
    """What came."""

    def __init__(self, room: int) -> None:
        """`room` bytes are there from the beginning: the system need not find them one by one while
        everything waits for it."""
        self._bodies: list[bytes | memoryview] = []
        self._room = memoryview(bytearray(b"\1") * room)
        self._last = 0.0

    def space(self, size: int) -> memoryview:
        """Where a request can be put."""
        if size > len(self._room):
            return memoryview(bytearray(size))
        space, self._room = self._room[:size], self._room[size:]
        return space

    def take(self, body: bytes | memoryview) -> None:
        """Keep a request."""
        self._last = monotonic()
        self._bodies.append(body)

    def look(self) -> dict[str, float]:
        """What was in them."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        spans = sum(
            len(scope_spans.spans)
            for body in self._bodies
            for resource_spans in ExportTraceServiceRequest.FromString(bytes(body)).resource_spans
            for scope_spans in resource_spans.scope_spans
        )
        size = sum(map(len, self._bodies))
        return {"spans": spans, "bytes": size, "last": self._last}


def serve_http(sink: Sink) -> int:
    """Take requests over HTTP, and give the port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_converse, args=(connection, sink), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listening.getsockname()[1])


def _converse(connection: socket.socket, sink: Sink) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(65536)
                if not more:
                    return
                head += more
            head, _, begun = head.partition(b"\r\n\r\n")
            length = int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0])
            body = sink.space(length)
            body[: len(begun)] = begun
            rest = body[len(begun) :]
            while rest:
                rest = rest[connection.recv_into(rest, flags=socket.MSG_WAITALL) :]
            if PATH in head.partition(b"\r\n")[0]:
                sink.take(body)
            connection.sendall(YES)


def serve_grpc(sink: Sink) -> int:
    """Take requests over gRPC, and give the port."""
    import grpc

    def take(body: bytes, _: object) -> bytes:
        sink.take(body)
        return b""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            return grpc.unary_unary_rpc_method_handler(take) if details.method == METHOD else None

    options = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(2), (Handler(),), options=options)
    port = int(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    _servers.append(server)
    return port


_servers: list[object] = []
"""A server ends when nobody refers to it."""


def main() -> None:
    """Serve until there is nothing more to read, then say what came."""
    parser = argparse.ArgumentParser(prog="benchmarks.sink")
    parser.add_argument("protocol", choices=("http", "grpc"))
    parser.add_argument("--room", type=int, default=0, help="bytes that are surely to come")
    options = parser.parse_args()
    sink = Sink(options.room)
    serve = serve_grpc if options.protocol == "grpc" else serve_http
    print(serve(sink), flush=True)
    sys.stdin.read()
    print(json.dumps(sink.look()), flush=True)


if __name__ == "__main__":
    main()
