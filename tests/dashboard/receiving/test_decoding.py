import gzip
import json
import zlib

import pytest
from google.protobuf.json_format import MessageToDict

from otlp_requests import Metrics, span, span_id, trace_id, traces
from whence.dashboard.receiving.decoding import (
    JSON,
    MAX_BODY,
    METRICS,
    PROTOBUF,
    TRACES,
    Refused,
    message_of,
    unpacked,
)

BODY = traces(span(1, 2), span(1, 3, 2)).SerializeToString()


def json_of(*spans: object) -> bytes:
    """As OTLP has it: ids in hex."""
    message = MessageToDict(traces(*spans))  # type: ignore[arg-type]
    for one in message["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        one["traceId"] = trace_id(1).hex().upper()
        one["spanId"] = span_id(2).hex()
        one["parentSpanId"] = ""
        for link in one.get("links", ()):
            link["traceId"], link["spanId"] = trace_id(9).hex(), span_id(8).hex()
    return json.dumps(message).encode()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("", bytes), ("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)],
)
def test_a_body_is_unpacked_as_its_encoding_says(encoding: str, pack: type[bytes]) -> None:
    assert unpacked(pack(BODY), encoding) == BODY


def test_protobuf_is_read_whole() -> None:
    message = message_of(TRACES, BODY, f"{PROTOBUF}; charset=utf-8")
    assert message.SerializeToString() == BODY


def test_json_has_its_ids_in_hex() -> None:
    message = message_of(TRACES, json_of(span(1, 2, links=[(9, 8, "trigger")])), JSON)
    (found,) = message.resource_spans[0].scope_spans[0].spans
    assert found.trace_id == trace_id(1)
    assert found.span_id == span_id(2)
    assert found.parent_span_id == b""
    assert (found.links[0].trace_id, found.links[0].span_id) == (trace_id(9), span_id(8))


def test_json_of_metrics_is_read() -> None:
    body = json.dumps(MessageToDict(Metrics().gauge("delay", 0.5, 1).request)).encode()
    message = message_of(METRICS, body, JSON)
    (metric,) = message.resource_metrics[0].scope_metrics[0].metrics
    assert metric.gauge.data_points[0].as_double == 0.5


def test_what_json_has_beside_otlp_is_passed_over() -> None:
    assert message_of(TRACES, b'{"resourceSpans": [], "new": 1}', JSON) is not None


DEEP = b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":' + (
    b'{"arrayValue":{"values":[' * 5_000
)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "told"),
    [
        (b"garbage", PROTOBUF, 400, "expected ExportTraceServiceRequest as protobuf: "),
        (BODY[:-1], PROTOBUF, 400, "expected ExportTraceServiceRequest as protobuf: "),
        (b"{", JSON, 400, "expected ExportTraceServiceRequest as JSON: "),
        (b"[]", JSON, 400, "expected ExportTraceServiceRequest as JSON: "),
        (b"\xff\xfe", JSON, 400, "expected ExportTraceServiceRequest as JSON: "),
        (DEEP, JSON, 400, "expected ExportTraceServiceRequest as JSON: "),
        (b'{"resourceSpans": 7}', JSON, 400, "expected ExportTraceServiceRequest as JSON: "),
        (BODY, "text/plain", 415, "expected Content-Type application/x-protobuf or application/"),
        (BODY, "", 415, "expected Content-Type application/x-protobuf or application/"),
    ],
)
def test_what_is_no_otlp_is_refused_with_its_status(
    body: bytes, content_type: str, status: int, told: str
) -> None:
    with pytest.raises(Refused) as error:
        message_of(TRACES, body, content_type)
    assert error.value.status == status
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "told"),
    [
        (b"no gzip", "gzip", 400, "expected gzip: "),
        (gzip.compress(BODY)[:-9], "gzip", 400, "expected gzip, but it is cut off"),
        (BODY, "br", 415, "expected Content-Encoding gzip, deflate or none, not 'br'"),
        (gzip.compress(bytes(MAX_BODY + 1)), "gzip", 413, f"expected at most {MAX_BODY} bytes"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(
    body: bytes, encoding: str, status: int, told: str
) -> None:
    with pytest.raises(Refused) as error:
        unpacked(body, encoding)
    assert error.value.status == status
    assert str(error.value).startswith(told)


def test_a_body_of_just_the_limit_is_taken() -> None:
    assert len(unpacked(gzip.compress(bytes(MAX_BODY)), "gzip")) == MAX_BODY
