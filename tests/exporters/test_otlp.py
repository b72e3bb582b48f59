"""OTLP to real receivers, and to what is none."""

import _thread
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from configured import settings
from lives import Lives
from receivers import GrpcReceiver, HttpReceiver, answering, attributes_of, black_hole, free_port
from whence.engine import SpanLifetime
from whence.exporters import otlp, otlp_waiting
from whence.exporters.otlp import OtlpExporter
from whence.exporting import CannotExport, ExportError, SpansRejected, Taken

Receiver = HttpReceiver | GrpcReceiver


def exhausted(seconds: float) -> bytes:
    """The details of an error that is over in so many seconds."""
    delay = Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    status = Status(code=8)
    status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status.SerializeToString()


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


def fail_at_first(receiver: Receiver) -> Callable[[], None]:
    """Have a receiver refuse for a while; gives what ends that."""
    if isinstance(receiver, GrpcReceiver):
        receiver.code = grpc.StatusCode.UNAVAILABLE
        return partial(setattr, receiver, "code", None)
    receiver.status = 503
    return partial(setattr, receiver, "status", 200)


def test_a_receiver_that_comes_back_gets_what_waited_first(
    lives: Lives, receiver: Receiver, started: Any
) -> None:
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    come_back = fail_at_first(receiver)
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives, 2, "first"), None)
    assert (caught.value.taken.sent, caught.value.taken.waiting) == (0, 2)
    assert exporter.keep(batch_of(lives, 1, "kept")).waiting == 3
    come_back()
    taken = exporter.export(batch_of(lives, 1, "next"), None)
    assert (taken.sent, taken.waiting) == (4, 0)
    assert receiver.received.names == ["task first", "task first", "task kept", "task next"]


def test_what_waited_goes_also_without_anything_new(
    lives: Lives, receiver: Receiver, started: Any
) -> None:
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    come_back = fail_at_first(receiver)
    failure(lambda: exporter.export(batch_of(lives), None))
    come_back()
    assert exporter.export([], None).sent == 1
    assert receiver.received.names == ["task main"]


def test_many_small_batches_that_waited_go_in_few_requests(
    lives: Lives, receiver: Receiver, started: Any
) -> None:
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    for number in range(50):
        exporter.keep(batch_of(lives, 1, f"nr {number}"))
    assert exporter.export([], None).sent == 50
    assert receiver.received.names == [f"task nr {number}" for number in range(50)]
    assert len(receiver.received.requests) == 1


def test_many_that_waited_go_in_requests_of_their_usual_size(
    lives: Lives, http_receiver: HttpReceiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "MOST_BYTES", 4000)
    exporter = started(endpoint=http_receiver.url)
    exporter.keep(batch_of(lives, 100))
    assert exporter.export([], None).sent == 100
    assert len(http_receiver.received.spans) == 100
    assert len(http_receiver.received.requests) > 8


def test_what_waits_is_bounded_and_the_oldest_go(
    lives: Lives, http_receiver: HttpReceiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = started(endpoint=http_receiver.url)
    (size,) = [len(parcel.content) for parcel in exporter._parcels(batch_of(lives), Taken(0))]
    monkeypatch.setattr(otlp_waiting, "MOST_WAITING", size * 5 + size // 2)
    waiting = [exporter.keep(batch_of(lives, 1, f"{number:04}")).waiting for number in range(20)]
    assert waiting == [1, 2, 3, 4, *[5] * 16]
    assert exporter.export([], None).sent == 5
    assert http_receiver.received.names == [f"task {number:04}" for number in range(15, 20)]


def test_in_json_what_waited_goes_as_it_was(
    lives: Lives, http_receiver: HttpReceiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    exporter = started(endpoint=http_receiver.url)
    for name in ("a", "b"):
        exporter.keep(batch_of(lives, 2, name))
    assert exporter.export([], None).sent == 4
    assert http_receiver.received.names == ["task a", "task a", "task b", "task b"]


@pytest.mark.parametrize(
    ("status", "waits"),
    [(400, 0), (401, 0), (404, 0), (413, 0), (500, 0), (429, 1), (502, 1), (503, 1), (504, 1)],
)
def test_what_may_be_tried_again_over_http_waits(
    lives: Lives, http_receiver: HttpReceiver, started: Any, status: int, waits: int
) -> None:
    http_receiver.status = status
    exporter = started(endpoint=http_receiver.url)
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.taken.waiting == waits
    http_receiver.status = 200
    assert exporter.export([], None).sent == waits


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        ("CANCELLED", 1),
        ("DEADLINE_EXCEEDED", 1),
        ("ABORTED", 1),
        ("OUT_OF_RANGE", 1),
        ("UNAVAILABLE", 1),
        ("DATA_LOSS", 1),
        ("RESOURCE_EXHAUSTED", 0),
        ("INVALID_ARGUMENT", 0),
        ("UNIMPLEMENTED", 0),
        ("INTERNAL", 0),
        ("UNAUTHENTICATED", 0),
    ],
)
def test_what_may_be_tried_again_over_grpc_waits(
    lives: Lives, grpc_receiver: GrpcReceiver, started: Any, code: str, waits: int
) -> None:
    grpc_receiver.code = grpc.StatusCode[code]
    exporter = started(endpoint=grpc_receiver.url, protocol="grpc")
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.taken.waiting == waits


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3000, 3600),
        (format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True), 0, 0),
    ],
)
def test_the_receiver_may_say_when_to_come_again(
    lives: Lives, http_receiver: HttpReceiver, started: Any, header: str, least: int, most: int
) -> None:
    http_receiver.status, http_receiver.more_headers = 429, {"Retry-After": header}
    exporter = started(endpoint=http_receiver.url)
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most


@pytest.mark.parametrize("header", ["soon", "-1", "1e400", "", "Wed, 99 Foo 2026"])
def test_nonsense_about_when_to_come_again_is_nothing(
    lives: Lives, http_receiver: HttpReceiver, started: Any, header: str
) -> None:
    http_receiver.status, http_receiver.more_headers = 429, {"Retry-After": header}
    exporter = started(endpoint=http_receiver.url)
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("details", "after"),
    [(b"\xff\xff", None), (Status(code=8).SerializeToString(), None), (exhausted(4.5), 4.5)],
)
def test_a_grpc_receiver_that_is_exhausted_may_say_until_when(
    lives: Lives, grpc_receiver: GrpcReceiver, started: Any, details: bytes, after: float | None
) -> None:
    grpc_receiver.code = grpc.StatusCode.RESOURCE_EXHAUSTED
    grpc_receiver.trailers = (("grpc-status-details-bin", details),)
    exporter = started(endpoint=grpc_receiver.url, protocol="grpc")
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.retry_after == after
    assert caught.value.taken.waiting == (0 if after is None else 1)


def test_a_grpc_receiver_that_starts_later_is_found_at_once(lives: Lives, started: Any) -> None:
    """A channel that failed would by itself wait longer and longer before it tries again."""
    port = free_port()
    exporter = started(endpoint=f"http://127.0.0.1:{port}", protocol="grpc")
    for _ in range(8):
        failure(lambda: exporter.export(batch_of(lives), None))
    receiver = GrpcReceiver(port)
    try:
        assert exporter.export(batch_of(lives), None).sent == 9
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
