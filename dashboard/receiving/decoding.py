"""Bytes to messages.  What is wrong with them is told with the status that OTLP has for it.

A request is read whole or not at all: a span that cannot be is left out and counted, but bytes that
are no OTLP keep nothing of what stands before them.
"""

import zlib
from base64 import b64encode
from typing import Any

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MAX_BODY = 16 << 20
"""Bytes of a request, unpacked; as much as whence's largest batch would be with room to spare."""

_WBITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Refused(Exception):
    """What came is not taken: the HTTP status, and one line for who sent it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Signal:
    """One kind of telemetry: what its requests and answers are."""

    def __init__(self, path: str, service: str, request: type[Any], response: type[Any]) -> None:
        self.path = path
        self.grpc_method = f"/opentelemetry.proto.collector.{service}/Export"
        self.request = request
        self.response = response


TRACES = Signal(
    "/v1/traces", "trace.v1.TraceService", ExportTraceServiceRequest, ExportTraceServiceResponse
)
METRICS = Signal(
    "/v1/metrics",
    "metrics.v1.MetricsService",
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
LOGS = Signal(
    "/v1/logs", "logs.v1.LogsService", ExportLogsServiceRequest, ExportLogsServiceResponse
)
"""Taken, so that SDKs that send all three do not complain, and not kept."""

SIGNALS = (TRACES, METRICS, LOGS)


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding.  Raises Refused; never makes more than MAX_BODY."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WBITS:
        raise Refused(415, f"expected Content-Encoding gzip, deflate or none, not {encoding!r:.40}")
    unpacker = zlib.decompressobj(_WBITS[encoding])
    try:
        plain = unpacker.decompress(body, MAX_BODY + 1)
    except zlib.error as error:
        raise Refused(400, f"expected {encoding}: {error}") from None
    if len(plain) > MAX_BODY:
        raise Refused(413, f"expected at most {MAX_BODY} bytes, unpacked")
    if not unpacker.eof:
        raise Refused(400, f"expected {encoding}, but it is cut off")
    return plain


def message_of(signal: Signal, body: bytes, content_type: str) -> Any:
    """The request in the body.  Raises Refused."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == PROTOBUF:
        return from_protobuf(signal, body)
    if kind == JSON:
        return _from_json(signal, body)
    raise Refused(415, f"expected Content-Type {PROTOBUF} or {JSON}, not {kind!r:.60}")


def from_protobuf(signal: Signal, body: bytes) -> Any:
    """The request in protobuf.  Raises Refused."""
    message = signal.request()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise Refused(400, f"expected {signal.request.__name__} as protobuf: {error}") from None
    return message


def _from_json(signal: Signal, body: bytes) -> Any:
    message = signal.request()
    if not body.lstrip().startswith(b"{"):
        # The parser takes a list for an object without anything in it.
        raise Refused(400, f"expected {signal.request.__name__} as JSON: an object")
    try:
        Parse(body, message, ignore_unknown_fields=True)
    except (ParseError, ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise Refused(400, f"expected {signal.request.__name__} as JSON: {reason}") from None
    if signal is TRACES:
        _mend_ids(message)
    return message


def _mend_ids(message: Any) -> None:
    """OTLP has its ids in hex, where JSON of protobuf has base64: every hex digit is one of base64,
    so what was read as such is turned back."""
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                for one in (span, *span.links):
                    one.trace_id = _from_hex(one.trace_id, 16)
                    one.span_id = _from_hex(one.span_id, 8)
                span.parent_span_id = _from_hex(span.parent_span_id, 8)


def _from_hex(read: bytes, length: int) -> bytes:
    if len(read) != length * 3 // 2:
        return read
    try:
        return bytes.fromhex(b64encode(read).decode())
    except ValueError:
        return b""
