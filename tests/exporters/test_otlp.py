"""OTLP to real receivers, and to what is none."""

import _thread
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from configured import settings
from lives import Lives
from receivers import GrpcReceiver, HttpReceiver, answering, attributes_of, black_hole, free_port
from whence.engine import SpanLifetime
from whence.exporters import otlp
from whence.exporters.otlp import OtlpExporter
from whence.exporting import CannotExport, ExportError, SpansRejected

Receiver = HttpReceiver | GrpcReceiver


@pytest.fixture(params=["http/protobuf", "grpc"])
def receiver(request: pytest.FixtureRequest) -> Receiver:
    name = "grpc_receiver" if request.param == "grpc" else "http_receiver"
    found: Receiver = request.getfixturevalue(name)
    return found


def protocol_of(receiver: Receiver) -> str:
    return "grpc" if isinstance(receiver, GrpcReceiver) else "http/protobuf"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts exporters and stops them after the test."""
    running: list[OtlpExporter] = []

    def start(**config: Any) -> OtlpExporter:
        exporter = OtlpExporter()
        exporter.start(settings(**config))
        running.append(exporter)
        return exporter

    yield start
    for exporter in running:
        exporter.stop(1)


def batch_of(lives: Lives, number: int = 1, name: str = "main") -> list[SpanLifetime]:
    for _ in range(number):
        lives.live(2, name)
    return lives.come_out()


def failure(export: Callable[[], object]) -> str:
    with pytest.raises(ExportError) as caught:
        export()
    return str(caught.value)


# What arrives


def test_spans_arrive(lives: Lives, receiver: Receiver, started: Any) -> None:
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver), service="shop")
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    lives.end(main)
    taken = exporter.export(lives.come_out(), None)
    assert (taken.sent, taken.unsampled) == (2, 0)
    child, root = receiver.received.spans
    assert [child.name, root.name] == ["task child", "task main"]
    assert child.parent_span_id == root.span_id
    assert child.trace_id == root.trace_id
    assert attributes_of(root)["whence.async_id"] == main.async_id
    (resource,) = receiver.received.resources
    assert resource["service.name"] == "shop"


def test_one_connection_serves_all_batches(
    lives: Lives, http_receiver: HttpReceiver, started: Any
) -> None:
    exporter = started(endpoint=http_receiver.url)
    for _ in range(5):
        exporter.export(batch_of(lives), None)
    assert len(http_receiver.received.spans) == 5
    assert len(http_receiver.received.connections) == 1


def test_a_server_that_closes_connections_gets_every_batch(
    lives: Lives, http_receiver: HttpReceiver, started: Any
) -> None:
    http_receiver.keeps_alive = False
    exporter = started(endpoint=http_receiver.url)
    for _ in range(5):
        assert exporter.export(batch_of(lives), None).sent == 1
    assert len(http_receiver.received.spans) == 5


def test_a_large_batch_goes_in_several_requests(
    lives: Lives, receiver: Receiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "MOST_BYTES", 4000)
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    assert exporter.export(batch_of(lives, 50), None).sent == 50
    assert len(receiver.received.spans) == 50
    assert len(receiver.received.requests) > 4


def test_an_empty_batch_is_no_request(
    lives: Lives, http_receiver: HttpReceiver, started: Any
) -> None:
    assert started(endpoint=http_receiver.url).export([], None).sent == 0
    assert http_receiver.received.paths == []


def test_what_no_sampler_wants_is_not_sent_but_counted(
    lives: Lives, http_receiver: HttpReceiver, started: Any
) -> None:
    taken = started(endpoint=http_receiver.url, sample=0).export(batch_of(lives, 3), None)
    assert (taken.sent, taken.unsampled) == (0, 3)
    assert http_receiver.received.paths == []


# Where to and how


@pytest.mark.parametrize(
    ("config", "variables", "path"),
    [
        ({"endpoint": "{url}"}, {}, "/v1/traces"),
        ({"endpoint": "{url}/"}, {}, "/v1/traces"),
        ({"endpoint": "{url}/v1/traces"}, {}, "/v1/traces"),
        ({"endpoint": "{url}/otlp"}, {}, "/otlp/v1/traces"),
        ({}, {"WHENCE_ENDPOINT": "{url}/w"}, "/w/v1/traces"),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "{url}/base"}, "/base/v1/traces"),
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{url}/exact"}, "/exact"),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://nowhere.invalid",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{url}/traces",
            },
            "/traces",
        ),
        (
            {},
            {
                "WHENCE_ENDPOINT": "{url}/whence",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://nowhere.invalid",
            },
            "/whence/v1/traces",
        ),
        (
            {"endpoint": "{url}/keyword"},
            {"WHENCE_ENDPOINT": "http://nowhere.invalid"},
            "/keyword/v1/traces",
        ),
    ],
)
def test_the_endpoint_is_the_settings_then_the_variables(
    lives: Lives,
    http_receiver: HttpReceiver,
    started: Any,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, str],
    variables: dict[str, str],
    path: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(url=http_receiver.url))
    chosen = {name: value.format(url=http_receiver.url) for name, value in config.items()}
    started(**chosen).export(batch_of(lives), None)
    assert http_receiver.received.paths == [path]


@pytest.mark.parametrize(
    ("variable", "protocol"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ],
)
def test_the_protocol_may_come_from_the_variables(
    lives: Lives,
    http_receiver: HttpReceiver,
    grpc_receiver: GrpcReceiver,
    started: Any,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    protocol: str,
) -> None:
    receiver: Receiver = grpc_receiver if protocol == "grpc" else http_receiver
    monkeypatch.setenv(variable, protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    started().export(batch_of(lives), None)
    assert receiver.received.names == ["task main"]
    if protocol == "http/json":
        assert receiver.received.headers[0]["content-type"] == "application/json"


def test_a_protocol_that_is_none_is_one_line_and_http(
    lives: Lives,
    http_receiver: HttpReceiver,
    started: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "smoke")
    started(endpoint=http_receiver.url).export(batch_of(lives), None)
    assert http_receiver.received.names == ["task main"]
    assert capfd.readouterr().err == (
        "whence: OTEL_EXPORTER_OTLP_PROTOCOL: expected one of http/protobuf, grpc, http/json, "
        "not 'smoke'; http/protobuf is used\n"
    )


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compression_is_as_the_variables_say(
    lives: Lives,
    receiver: Receiver,
    started: Any,
    monkeypatch: pytest.MonkeyPatch,
    compression: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    started(endpoint=receiver.url, protocol=protocol_of(receiver)).export(batch_of(lives, 9), None)
    assert len(receiver.received.spans) == 9
    if isinstance(receiver, HttpReceiver):
        assert receiver.received.headers[0]["content-encoding"] == compression


def test_headers_are_as_the_variables_say(
    lives: Lives, receiver: Receiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=a%20b, x-other = 1")
    started(endpoint=receiver.url, protocol=protocol_of(receiver)).export(batch_of(lives), None)
    (headers,) = receiver.received.headers
    assert headers["x-key"] == "a b"
    assert headers["x-other"] == "1"
    assert "whence/" in headers["user-agent"]


def test_credentials_in_the_url_are_sent_and_never_shown(
    lives: Lives, http_receiver: HttpReceiver, started: Any
) -> None:
    url = f"http://me:s%40crt@127.0.0.1:{http_receiver.port}"
    exporter = started(endpoint=url)
    exporter.export(batch_of(lives), None)
    assert http_receiver.received.headers[0]["authorization"] == "Basic bWU6c0BjcnQ="
    assert exporter.label == f"the OTLP receiver at {http_receiver.url}"


def test_a_proxy_is_used_but_not_on_the_way_to_this_machine(
    lives: Lives,
    http_receiver: HttpReceiver,
    started: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:pass@127.0.0.1:{http_receiver.port}")
    started(endpoint="http://collector.invalid:4318").export(batch_of(lives), None)
    assert http_receiver.received.paths == ["http://collector.invalid:4318/v1/traces"]
    assert http_receiver.received.headers[0]["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    started(endpoint=http_receiver.url).export(batch_of(lives), None)
    assert http_receiver.received.paths[1:] == ["/v1/traces"]


def test_a_certificate_that_cannot_be_read_is_one_line(
    started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem")
    for protocol in ("http/protobuf", "grpc"):
        with pytest.raises(CannotExport, match="CERTIFICATE"):
            started(endpoint="https://localhost:1", protocol=protocol)


# What goes wrong


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_listens(lives: Lives, started: Any, protocol: str) -> None:
    url = f"http://localhost:{free_port()}"
    exporter = started(endpoint=url, protocol=protocol)
    assert failure(lambda: exporter.export(batch_of(lives), None)) == (
        f"no OTLP receiver at {url} (connection refused); spans are dropped until one answers; "
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
        (503, "(503 Service Unavailable); they are dropped"),
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


def test_a_receiver_that_comes_back_gets_the_next_batch(
    lives: Lives, receiver: Receiver, started: Any
) -> None:
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    if isinstance(receiver, GrpcReceiver):
        receiver.code = grpc.StatusCode.UNAVAILABLE
    else:
        receiver.status = 503
    failure(lambda: exporter.export(batch_of(lives, 1, "lost"), None))
    if isinstance(receiver, GrpcReceiver):
        receiver.code = None
    else:
        receiver.status = 200
    assert exporter.export(batch_of(lives, 1, "next"), None).sent == 1
    assert receiver.received.names == ["task next"]


def test_a_grpc_receiver_that_starts_later_is_found_at_once(lives: Lives, started: Any) -> None:
    """A channel that failed would by itself wait longer and longer before it tries again."""
    port = free_port()
    exporter = started(endpoint=f"http://127.0.0.1:{port}", protocol="grpc")
    for _ in range(8):
        failure(lambda: exporter.export(batch_of(lives), None))
    receiver = GrpcReceiver(port)
    try:
        assert exporter.export(batch_of(lives), None).sent == 1
    finally:
        receiver.close()


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

    def send_two(data: bytes, timeout: float) -> bytes:
        if len(http_receiver.received.spans) == 2:
            http_receiver.status = 500
        answer: bytes = original(data, timeout)
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


# What is not disturbed


def test_http_leaves_the_sending_thread_unknown_to_threading(
    lives: Lives, http_receiver: HttpReceiver, started: Any
) -> None:
    """A log record or a look at the current thread would make a dummy for it."""
    exporter = started(endpoint=http_receiver.url)
    nobody = started(endpoint=f"http://127.0.0.1:{free_port()}")
    batch = batch_of(lives)
    seen: list[int] = []
    done = threading.Event()

    def send() -> None:
        exporter.export(batch, None)
        try:
            nobody.export(batch, None)
        except ExportError:
            seen.append(_thread.get_ident())
        done.set()
        looked.wait(10)

    looked = threading.Event()
    _thread.start_new_thread(send, ())
    assert done.wait(10)
    known = {thread.ident for thread in threading.enumerate()}
    looked.set()
    assert http_receiver.received.names == ["task main"]
    assert len(seen) == 1
    assert seen[0] not in known


def test_nothing_is_logged(
    lives: Lives, receiver: Receiver, started: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    exporter.export(batch_of(lives), None)
    nobody = started(endpoint=f"http://127.0.0.1:{free_port()}", protocol=protocol_of(receiver))
    failure(lambda: nobody.export(batch_of(lives), 1))
    assert caplog.records == []
