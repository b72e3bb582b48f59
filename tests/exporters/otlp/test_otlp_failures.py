"""OTLP to what is no receiver, or refuses."""

import time
from typing import Any

import grpc
import pytest
from exporting_spans import Receiver, batch_of, failure, protocol_of
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from lives import Lives
from receivers import GrpcReceiver, HttpReceiver, answering, black_hole, free_port
from whence.exporters.otlp import exporter as otlp
from whence.sending.exporting import ExportError, SpansRejected


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_listens(lives: Lives, started: Any, protocol: str) -> None:
    url = f"http://localhost:{free_port()}"
    exporter = started(endpoint=url, protocol=protocol)
    assert failure(lambda: exporter.export(batch_of(lives), None)) == (
        f"no OTLP receiver at {url} (connection refused); the latest spans wait until one answers; "
        "docker compose up -d starts Jaeger, --export console prints the trees"
    )


def test_no_hint_at_jaeger_where_it_would_not_help(lives: Lives, started: Any) -> None:
    exporter = started(endpoint="http://collector.invalid:4318")
    text = failure(lambda: exporter.export(batch_of(lives), None))
    assert text.startswith("no OTLP receiver at http://collector.invalid:4318 (")
    assert "docker" not in text


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_answers(lives: Lives, started: Any, protocol: str) -> None:
    with black_hole() as port:
        exporter = started(endpoint=f"http://127.0.0.1:{port}", protocol=protocol)
        before = time.monotonic()
        text = failure(lambda: exporter.export(batch_of(lives), 0.3))
        assert time.monotonic() - before < 1.5
        if protocol == "grpc":
            assert text.startswith(f"no OTLP receiver at http://127.0.0.1:{port} (")
        else:
            assert "(no answer within 0.3 s)" in text


def test_the_timeout_is_as_the_variables_say(
    lives: Lives, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0.2")
    with black_hole() as port:
        exporter = started(endpoint=f"http://127.0.0.1:{port}")
        assert "within 0.2 s" in failure(lambda: exporter.export(batch_of(lives), None))


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"\x00\xff" * 500, b"HTTP/1.1 oops\r\n\r\n"]
)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_what_answers_is_something_else(
    lives: Lives, started: Any, garbage: bytes, protocol: str
) -> None:
    with answering(garbage) as port:
        exporter = started(endpoint=f"http://127.0.0.1:{port}", protocol=protocol)
        text = failure(lambda: exporter.export(batch_of(lives), 2))
        assert text.startswith(f"no OTLP receiver at http://127.0.0.1:{port} (")
        assert "\n" not in text


def test_a_web_page_is_no_receiver(lives: Lives, http_receiver: HttpReceiver, started: Any) -> None:
    http_receiver.answer, http_receiver.content_type = b"<html>", "text/html; charset=utf-8"
    exporter = started(endpoint=http_receiver.url)
    assert "(what answers there is a web page)" in failure(
        lambda: exporter.export(batch_of(lives), None)
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "(401 Unauthorized); they are dropped; OTEL_EXPORTER_OTLP_HEADERS carries"),
        (404, "(404 Not Found); they are dropped; the endpoint is the part before /v1/traces"),
        (400, "(400 Bad Request); they are dropped"),
        (429, "(429 Too Many Requests); they are tried again"),
        (503, "(503 Service Unavailable); they are tried again"),
        (302, "(302 Found, to nowhere); they are dropped"),
    ],
)
def test_a_receiver_that_refuses_says_why(
    lives: Lives, http_receiver: HttpReceiver, started: Any, status: int, expected: str
) -> None:
    http_receiver.status = status
    exporter = started(endpoint=http_receiver.url)
    text = failure(lambda: exporter.export(batch_of(lives), None))
    assert text.startswith(f"the OTLP receiver at {http_receiver.url} refused spans {expected}")


def test_a_grpc_receiver_that_refuses_says_why(
    lives: Lives, grpc_receiver: GrpcReceiver, started: Any
) -> None:
    grpc_receiver.code = grpc.StatusCode.UNAUTHENTICATED
    exporter = started(endpoint=grpc_receiver.url, protocol="grpc")
    text = failure(lambda: exporter.export(batch_of(lives), None))
    assert "refused spans (UNAUTHENTICATED told so by the test)" in text
    assert "OTEL_EXPORTER_OTLP_HEADERS" in text


def test_a_receiver_may_reject_some(lives: Lives, receiver: Receiver, started: Any) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    answer.partial_success.error_message = "too old"
    if isinstance(receiver, GrpcReceiver):
        receiver.answer = answer
    else:
        receiver.answer = answer.SerializeToString()
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    with pytest.raises(SpansRejected, match=r"rejected 2 spans \(too old\)") as caught:
        exporter.export(batch_of(lives, 3), None)
    assert caught.value.taken.sent == 1


def test_what_arrived_before_a_failure_counts_as_sent(
    lives: Lives, http_receiver: HttpReceiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "MOST_BYTES", 1)
    exporter = started(endpoint=http_receiver.url)
    batch = batch_of(lives, 5)
    original = exporter._transport.send

    def send_two(data: bytes, timeout: float, left: float) -> bytes:
        if len(http_receiver.received.spans) == 2:
            http_receiver.status = 500
        answer: bytes = original(data, timeout, left)
        return answer

    exporter._transport.send = send_two
    with pytest.raises(ExportError) as caught:
        exporter.export(batch, None)
    assert caught.value.taken.sent == 2


def test_no_time_left_is_no_request(
    lives: Lives, http_receiver: HttpReceiver, started: Any
) -> None:
    exporter = started(endpoint=http_receiver.url)
    assert "was too slow" in failure(lambda: exporter.export(batch_of(lives), 0.0))
    assert http_receiver.received.paths == []
