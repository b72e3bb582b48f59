"""OTLP to real receivers: what arrives, where, how; and what is not disturbed."""

import _thread
import threading
from typing import Any

import pytest
from exporting_spans import Receiver, batch_of, failure, protocol_of

from lives import Lives
from receivers import GrpcReceiver, HttpReceiver, attributes_of, free_port
from whence.engine import SpanLifetime
from whence.exporters.otlp import exporter as otlp
from whence.sending.exporting import CannotExport, ExportError

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


# Whatever a program is full of


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


ODD_TEXTS = [
    "two\nlines",
    "x" * 10_000,
    "lone \udce9 surrogate",
    "nul \x00",
    "",
    "\N{SNAKE}",
    "\r\x1b[31m",
]
ODD_VALUES: list[Any] = [
    *ODD_TEXTS,
    *(float(word) for word in ("nan", "inf", "-inf", "-0.0", "5e-324")),
    *(0, -1, 2**63 - 1, -(2**63), 2**63, -(2**70), True),
    *(b"\xff\x00", ["a", "\udcff"], [1, 2**70], (), None, {"a": 1}, object, Unprintable()),
]


def odd_lives(lives: Lives) -> list[SpanLifetime]:
    for text in ODD_TEXTS:
        lives.live(2, text)
        lives.fail(lives.begin(text), ValueError(text), after=2)
    for number, value in enumerate(ODD_VALUES):
        lifetime = lives.live(2, "main")
        lifetime.attributes = {"odd": value}
        if number % 2:
            lifetime.attributes["\udcff"] = value
        lifetime = lives.live(2, "eventful")
        lifetime.events = [("odd", lives.now, {"odd": value})]
    backwards = lives.live(2, "backwards")
    backwards.created, backwards.ended = backwards.ended, backwards.created
    overdone = lives.live(2, "overdone")
    overdone.run = overdone.ready = 10**18
    return lives.come_out()


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_no_text_and_no_value_costs_a_span(
    lives: Lives,
    http_receiver: HttpReceiver,
    grpc_receiver: GrpcReceiver,
    started: Any,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    receiver: Receiver = grpc_receiver if protocol == "grpc" else http_receiver
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    exporter = started()
    sent = 0
    # More than once: what has been met before takes another way.
    for _ in range(3):
        batch = odd_lives(lives)
        assert exporter.export(batch, None).sent == len(batch)
        sent += len(batch)
    assert len(receiver.received.spans) == sent
    assert all(
        span.start_time_unix_nano <= span.end_time_unix_nano for span in receiver.received.spans
    )
    assert "task two\nlines" in receiver.received.names


def test_long_texts_are_cut_as_the_sdk_would(
    lives: Lives, receiver: Receiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100")
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    for _ in range(3):
        lifetime = lives.live(2, "main")
        lifetime.attributes = {"long": "x" * 10_000, "number": 5}
        exporter.export(lives.come_out(), None)
        attributes = attributes_of(receiver.received.spans[-1])
        assert attributes["long"] == "x" * 100
        assert attributes["number"] == 5


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
