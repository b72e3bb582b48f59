"""Metrics to an OTLP receiver: what arrives, by which variables, and what is said of failures."""

import json
from typing import Any

import pytest

from configured import settings
from receivers import GrpcReceiver, HttpReceiver, answering, attributes_of, free_port
from whence.engine.resource_types import EXECUTOR_JOB
from whence.exporters.metrics.otlp import OtlpMetrics
from whence.sending.exporting import CannotExport, ExportError

PROTOCOLS = ("http/protobuf", "http/json", "grpc")
Patch = pytest.MonkeyPatch


def started(**config: object) -> OtlpMetrics:
    exporter = OtlpMetrics()
    exporter.start(settings(**config))
    return exporter


def once(**config: object) -> None:
    exporter = started(**config)
    try:
        exporter.export(20)
    finally:
        exporter.stop(1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_all_metrics_arrive_by_each_protocol(
    protocol: str,
    compression: str,
    http_receiver: HttpReceiver,
    grpc_receiver: GrpcReceiver,
    monkeypatch: Patch,
) -> None:
    chosen: HttpReceiver | GrpcReceiver = grpc_receiver if protocol == "grpc" else http_receiver
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", chosen.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    EXECUTOR_JOB.created += 7
    once()
    EXECUTOR_JOB.restart()
    (request,) = chosen.received.metrics
    (of_resource,) = request.resource_metrics
    assert attributes_of(of_resource.resource)["service.name"] == "tests"
    (of_scope,) = of_resource.scope_metrics
    found: dict[str, Any] = {metric.name: metric for metric in of_scope.metrics}
    (point,) = [
        point
        for point in found["whence.resource.created"].sum.data_points
        if attributes_of(point) == {"whence.type": "ExecutorJob"}
    ]
    assert point.as_int == 7
    assert found["whence.executor.queue_time.distribution"].histogram.data_points
    assert found["process.uptime"].gauge.data_points[0].as_double > 0


@pytest.mark.parametrize(
    ("config", "environ"),
    [
        ({"endpoint": "{url}"}, {}),
        ({"endpoint": "{url}/v1/traces"}, {}),
        ({"endpoint": "{url}"}, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://nowhere.invalid"}),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "{url}"}),
        ({}, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "{url}/v1/metrics"}),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://nowhere.invalid",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "{url}",
            },
        ),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://nowhere.invalid",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "{url}/v1/metrics",
            },
        ),
    ],
)
def test_the_settings_come_first_then_the_variables_of_metrics_then_those_of_all(
    config: dict[str, str],
    environ: dict[str, str],
    http_receiver: HttpReceiver,
    monkeypatch: Patch,
) -> None:
    for name, text in environ.items():
        monkeypatch.setenv(name, text.format(url=http_receiver.url))
    once(**{name: text.format(url=http_receiver.url) for name, text in config.items()})
    assert len(http_receiver.received.metrics) == 1


def test_the_protocol_of_traces_alone_is_not_that_of_metrics(
    http_receiver: HttpReceiver, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", http_receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
    once()
    assert len(http_receiver.received.metrics) == 1


def test_headers_of_metrics_stand_before_those_of_all(
    http_receiver: HttpReceiver, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=all,x-more=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-team=metrics")
    once(endpoint=http_receiver.url)
    (headers,) = http_receiver.received.metrics_headers
    assert headers["x-team"] == "metrics"
    assert "x-more" not in headers


@pytest.mark.parametrize(
    ("text", "temporality"), [("", 2), ("cumulative", 2), ("Delta", 1), ("lowmemory", 2)]
)
def test_the_temporality_is_the_preferred_one(
    text: str, temporality: int, http_receiver: HttpReceiver, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", text)
    once(endpoint=http_receiver.url)
    (request,) = http_receiver.received.metrics
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        if metric.name == "process.cpu.time":
            assert metric.sum.aggregation_temporality == temporality
        if metric.name == "process.memory.usage":
            assert metric.sum.aggregation_temporality == 2
        if metric.name.endswith(".distribution"):
            assert metric.histogram.aggregation_temporality == temporality


def test_a_temporality_that_is_none_is_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: Patch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes")
    started()
    assert capfd.readouterr().err == (
        "whence: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: expected one of cumulative, "
        "delta, lowmemory, not 'sometimes'; cumulative is used\n"
    )


def test_what_is_wrong_for_all_signals_is_told_by_the_spans(
    capfd: pytest.CaptureFixture[str], monkeypatch: Patch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    started()
    assert capfd.readouterr().err == ""
    started(export="console")
    assert "OTEL_EXPORTER_OTLP_TIMEOUT: expected seconds" in capfd.readouterr().err
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "later")
    started()
    assert "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: expected seconds" in capfd.readouterr().err


# Failures


def test_where_spans_go_too_nobody_is_there_and_they_say_so() -> None:
    with pytest.raises(ExportError) as raised:
        once(endpoint=f"http://127.0.0.1:{free_port()}")
    assert str(raised.value) == ""


@pytest.mark.parametrize("own", [False, True])
def test_a_certificate_that_is_none_is_told_by_the_spans_unless_it_is_ours(
    own: bool, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "no_such.pem")
    if own:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "nor_such.pem")
    with pytest.raises(CannotExport) as raised:
        started(endpoint="https://127.0.0.1:1")
    assert ("no metrics are sent" in str(raised.value)) == own
    assert bool(str(raised.value)) == own


def test_a_receiver_of_metrics_alone_that_is_none_is_told(monkeypatch: Patch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{url}/v1/metrics")
    with pytest.raises(ExportError) as raised:
        once()
    assert str(raised.value).startswith(
        f"no OTLP receiver at {url} (connection refused); metrics are dropped until one answers"
    )


def test_a_refusal_is_told(http_receiver: HttpReceiver) -> None:
    http_receiver.metrics_status = 401
    with pytest.raises(ExportError) as raised:
        once(endpoint=http_receiver.url)
    assert str(raised.value) == (
        f"the OTLP receiver at {http_receiver.url} refused metrics (401 Unauthorized); "
        "they are dropped; OTEL_EXPORTER_OTLP_HEADERS carries credentials"
    )


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("asked", [False, True])
def test_one_that_takes_spans_alone_is_left_alone_and_told_to_who_asked(
    protocol: str, asked: bool, http_receiver: HttpReceiver, monkeypatch: Patch
) -> None:
    """Jaeger, say."""
    if asked:
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    http_receiver.metrics_status = 404
    receiver = GrpcReceiver(takes_metrics=False)
    url = receiver.url if protocol == "grpc" else http_receiver.url
    try:
        with pytest.raises(CannotExport) as raised:
            once(endpoint=url, protocol=protocol)
    finally:
        receiver.close()
    told = f"the OTLP receiver at {url} takes no metrics ("
    assert str(raised.value).startswith(told) if asked else str(raised.value) == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_rejected_points_are_told_once(
    as_json: bool,
    http_receiver: HttpReceiver,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: Patch,
) -> None:
    partial = {"rejectedDataPoints": "3", "errorMessage": "too old"}
    if as_json:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        http_receiver.metrics_answer = json.dumps({"partialSuccess": partial}).encode()
    else:
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as pb2

        answer = pb2.ExportMetricsServiceResponse(
            partial_success=pb2.ExportMetricsPartialSuccess(
                rejected_data_points=3, error_message="too old"
            )
        )
        http_receiver.metrics_answer = answer.SerializeToString()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", http_receiver.url)
    exporter = started()
    for _ in range(3):
        exporter.export(20)
    exporter.stop(1)
    assert capfd.readouterr().err == (
        f"whence: the OTLP receiver at {http_receiver.url} rejected 3 data points of metrics "
        "(too old)\n"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_an_answer_that_is_none_is_taken_for_yes(answer: bytes) -> None:
    with answering(answer) as port:
        once(endpoint=f"http://127.0.0.1:{port}")


def test_without_time_nothing_is_sent(http_receiver: HttpReceiver) -> None:
    exporter = started(endpoint=http_receiver.url)
    with pytest.raises(ExportError):
        exporter.export(0.0)
    assert http_receiver.received.metrics == []
