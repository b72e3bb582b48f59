"""Real OTLP receivers, and what is none: each listens on a port of its own."""

import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_UNPACK: dict[str | None, Callable[[bytes], bytes]] = {
    None: lambda body: body,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


class Received:
    """What a receiver was sent."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.connections: set[tuple[str, int]] = set()
        self.metrics: list[ExportMetricsServiceRequest] = []
        """What came beside the spans; the rest here is of spans alone."""
        self.metrics_headers: list[dict[str, str]] = []
        self._arrived = threading.Condition()

    def add(self, request: ExportTraceServiceRequest, headers: Iterable[tuple[str, str]]) -> None:
        with self._arrived:
            self.requests.append(request)
            self.headers.append({key.lower(): value for key, value in headers})
            self._arrived.notify_all()

    def add_metrics(
        self, request: ExportMetricsServiceRequest, headers: Iterable[tuple[str, str]]
    ) -> None:
        with self._arrived:
            self.metrics.append(request)
            self.metrics_headers.append({key.lower(): value for key, value in headers})
            self._arrived.notify_all()

    def wait_for_metrics(self, collections: int, timeout: float = 30) -> None:
        """Until metrics have come so often."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.metrics) >= collections, timeout)
            assert arrived, f"metrics came {len(self.metrics)} times, not {collections}"

    def wait_for(self, spans: int, timeout: float = 20) -> list[Any]:
        """Until so many spans have arrived."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.spans) >= spans, timeout)
            assert arrived, f"{len(self.spans)} spans of {spans} arrived"
        return self.spans

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The attributes of each request's resource."""
        return [
            attributes_of(resource_spans.resource)
            for request in self.requests
            for resource_spans in request.resource_spans
        ]


def attributes_of(message: Any) -> dict[str, Any]:
    """The attributes of a protobuf message, as Python values."""
    return {item.key: _value(item.value) for item in message.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    content = getattr(value, kind)
    return [_value(item) for item in content.values] if kind == "array_value" else content


class HttpReceiver:
    """An OTLP/HTTP receiver that answers as it is told."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received = Received()
        self.status = self.metrics_status = 200
        self.answer: bytes = ExportTraceServiceResponse().SerializeToString()
        self.metrics_answer: bytes = ExportMetricsServiceResponse().SerializeToString()
        self.content_type = "application/x-protobuf"
        self.keeps_alive = True
        self.more_headers: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            # In the thread of each connection, so that one that fails stops nobody.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = _UNPACK[self.headers.get("Content-Encoding")](body)
                self.close_connection = not receiver.keeps_alive
                if self.path.endswith("/v1/metrics"):
                    self._take_metrics(body)
                else:
                    self._take_spans(body)

            def _take_spans(self, body: bytes) -> None:
                if self.headers["Content-Type"] == "application/json":
                    request = request_of_json(body.decode())
                else:
                    request = ExportTraceServiceRequest.FromString(body)
                receiver.received.connections.add(self.client_address)
                receiver.received.paths.append(self.path)
                if receiver.status == 200:
                    receiver.received.add(request, self.headers.items())
                self._answer(receiver.status, receiver.answer)

            def _take_metrics(self, body: bytes) -> None:
                request = ExportMetricsServiceRequest()
                if self.headers["Content-Type"] == "application/json":
                    json_format.Parse(body, request)
                else:
                    request.ParseFromString(body)
                if receiver.metrics_status == 200:
                    receiver.received.add_metrics(request, self.headers.items())
                self._answer(receiver.metrics_status, receiver.metrics_answer)

            def _answer(self, status: int, answer: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", receiver.content_type)
                for name, text in receiver.more_headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing to say."""

        return Handler


def request_of_json(line: str) -> ExportTraceServiceRequest:
    """A request in OTLP's JSON, where ids are hex and not base64 as in protobuf's own."""
    import json
    from base64 import b64encode

    content = json.loads(line)
    for resource_spans in content["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                for message in (span, *span.get("links", ())):
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if key in message:
                            raw = bytes.fromhex(message[key])
                            message[key] = b64encode(raw).decode()
    request: ExportTraceServiceRequest = json_format.ParseDict(content, ExportTraceServiceRequest())
    return request


class _MetricsService(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, received: Received) -> None:
        self._received = received

    def Export(
        self, request: ExportMetricsServiceRequest, context: Any
    ) -> ExportMetricsServiceResponse:
        self._received.add_metrics(request, context.invocation_metadata())
        return ExportMetricsServiceResponse()


class GrpcReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """An OTLP/gRPC receiver that answers as it is told."""

    def __init__(
        self,
        port: int = 0,
        tls: grpc.ServerCredentials | None = None,
        takes_metrics: bool = True,
    ) -> None:
        self.received = Received()
        self.code: grpc.StatusCode | None = None
        self.trailers: tuple[tuple[str, bytes], ...] = ()
        self.answer = ExportTraceServiceResponse()
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_to_server: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        add_to_server(self, self._server)
        if takes_metrics:
            add_metrics: Any = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server
            add_metrics(_MetricsService(self.received), self._server)
        if tls is None:
            self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            self.port = self._server.add_secure_port(f"127.0.0.1:{port}", tls)
        self._server.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def Export(
        self, request: ExportTraceServiceRequest, context: Any
    ) -> ExportTraceServiceResponse:
        if self.code is not None:
            context.set_trailing_metadata(self.trailers)
            context.abort(self.code, "told so by the test")
        self.received.add(request, context.invocation_metadata())
        return self.answer

    def close(self) -> None:
        self._server.stop(None).wait()


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield int(listening.getsockname()[1])


@contextmanager
def answering(text: bytes) -> Iterator[int]:
    """A port that answers anything with these bytes and closes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        connection.recv(65536)
                        connection.sendall(text)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            # close() alone does not wake the accept() of another thread.
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
