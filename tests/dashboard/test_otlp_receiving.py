"""OTLP into a real dashboard: taken from any program, or refused with the right status."""

import gzip
import shutil
import socket
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpExporter,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from dashboard_server import DashboardServer
from otlp_requests import span, traces
from whence.dashboard.receiving.decoding import MAX_BODY, TRACES

PROTOBUF = {"Content-Type": "application/x-protobuf"}
BODY = traces(span(1, 1)).SerializeToString()


@pytest.fixture
def channel(dashboard: DashboardServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"localhost:{dashboard.grpc_port}") as opened:
        yield opened


def export(channel: grpc.Channel, data: bytes, **how: Any) -> bytes:
    answer: bytes = channel.unary_unary(TRACES.grpc_method)(data, timeout=30, **how)
    return answer


def kept(dashboard: DashboardServer) -> int:
    spans: int = dashboard.get("/api/about")["received"]["spans"]
    return spans


def test_what_is_taken_is_there_when_it_is_answered(dashboard: DashboardServer) -> None:
    answer = dashboard.send(BODY)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    (found,) = dashboard.get("/api/traces")["traces"]
    assert found["name"] == "task work"


def test_json_is_answered_in_json(dashboard: DashboardServer) -> None:
    answer = dashboard.send(b'{"resourceSpans": []}', {"Content-Type": "application/json"})
    assert (answer.status, answer.json) == (200, {})
    refused = dashboard.send(b"{", {"Content-Type": "application/json"})
    assert refused.status == 400
    assert refused.json["message"].startswith("expected ExportTraceServiceRequest as JSON: ")


def test_spans_that_make_no_sense_are_told_and_the_others_kept(
    dashboard: DashboardServer, channel: grpc.Channel
) -> None:
    bad = span(1, 1)
    bad.span_id = b""
    body = traces(bad, span(2, 2)).SerializeToString()
    for answer in (dashboard.send(body).body, export(channel, body)):
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
        assert partial.rejected_spans == 1
        assert "a span id of 8" in partial.error_message
    assert kept(dashboard) == 2


BOMB = zlib.compressobj(9, wbits=31)
BOMB_BODY = b"".join(BOMB.compress(bytes(1 << 20)) for _ in range(512)) + BOMB.flush()


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (b"garbage", {}, 400, "expected ExportTraceServiceRequest as protobuf"),
        (BODY[:-3], {}, 400, "expected ExportTraceServiceRequest as protobuf"),
        (BODY, {"Content-Type": "text/plain"}, 415, "expected Content-Type application/x-"),
        (BODY, {"Content-Encoding": "br"}, 415, "expected Content-Encoding gzip, deflate or"),
        (gzip.compress(BODY)[:-4], {"Content-Encoding": "gzip"}, 400, "but it is cut off"),
        (BOMB_BODY, {"Content-Encoding": "gzip"}, 413, f"at most {MAX_BODY} bytes, unpacked"),
        (bytes(MAX_BODY + 1), {}, 413, f"expected at most {MAX_BODY} bytes"),
    ],
    ids=["garbage", "truncated", "type", "encoding", "half gzip", "gzip bomb", "oversized"],
)
def test_what_is_no_otlp_is_refused_and_nothing_else_is_lost(
    dashboard: DashboardServer, body: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    answer = dashboard.send(body, {**PROTOBUF, **headers})
    assert answer.status == status
    assert told in Status.FromString(answer.body).message
    assert dashboard.send(BODY).status == 200
    about = dashboard.get("/api/about")
    assert (about["received"]["spans"], about["received"]["refused"]) == (1, 1)


def test_a_gzip_bomb_takes_no_memory(dashboard: DashboardServer) -> None:
    def peak() -> int:
        status = Path(f"/proc/{dashboard.process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell how much memory a process has had")
    assert dashboard.send(BODY).status == 200
    before = peak()
    assert dashboard.send(BOMB_BODY, {**PROTOBUF, "Content-Encoding": "gzip"}).status == 413
    # Of the 512 MB that are packed in it.
    assert peak() - before < 4 * MAX_BODY


def test_a_sender_that_goes_away_in_the_middle_disturbs_nobody(
    dashboard: DashboardServer,
) -> None:
    with socket.create_connection(("127.0.0.1", dashboard.http_port)) as connection:
        head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost:{dashboard.http_port}\r\n"
        head += f"Content-Type: application/x-protobuf\r\nContent-Length: {len(BODY)}\r\n\r\n"
        connection.sendall(head.encode() + BODY[:10])
    assert dashboard.send(BODY).status == 200
    assert kept(dashboard) == 1


@pytest.mark.parametrize(
    ("data", "code", "told"),
    [
        (b"garbage", grpc.StatusCode.INVALID_ARGUMENT, "expected ExportTraceServiceRequest as"),
        (BODY[:-3], grpc.StatusCode.INVALID_ARGUMENT, "expected ExportTraceServiceRequest as"),
        (bytes(MAX_BODY + 1), grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    ],
    ids=["garbage", "truncated", "oversized"],
)
def test_over_grpc_as_well(
    dashboard: DashboardServer,
    channel: grpc.Channel,
    data: bytes,
    code: grpc.StatusCode,
    told: str,
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        export(channel, data)
    assert error.value.code() is code
    assert told in error.value.details()
    assert export(channel, BODY, compression=grpc.Compression.Gzip) == b""
    assert kept(dashboard) == 1


def test_a_gzip_bomb_over_grpc_is_refused(
    dashboard: DashboardServer, channel: grpc.Channel
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        export(channel, bytes(8 * MAX_BODY), compression=grpc.Compression.Gzip)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert kept(dashboard) == 0


def test_logs_are_taken_and_let_go(dashboard: DashboardServer) -> None:
    assert dashboard.send(b"", path="/v1/logs").status == 200
    assert dashboard.send(b"", path="/v1/else").status == 404


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_opentelemetrys_sdk_for_python_shows_up_rightly(
    dashboard: DashboardServer, protocol: str
) -> None:
    if protocol == "http":
        exporter: SpanExporter = HttpExporter(f"{dashboard.endpoint}/v1/traces")
    else:
        exporter = GrpcExporter(f"localhost:{dashboard.grpc_port}", insecure=True)
    provider = TracerProvider(resource=Resource({"service.name": "python"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("library", "2")
    with tracer.start_as_current_span("outer") as outer:
        tracer.start_span("inner", attributes={"a": (1, 2)}).end()
    provider.shutdown()
    (found,) = dashboard.get("/api/traces?service=python")["traces"]
    assert found["trace_id"] == f"{outer.get_span_context().trace_id:032x}"
    shown = dashboard.get(f"/api/traces/{found['trace_id']}")["spans"]
    assert [one["name"] for one in shown] == ["outer", "inner"]
    assert shown[1]["parent_id"] == shown[0]["span_id"]
    assert shown[1]["attributes"] == {"a": [1, 2]}
    assert shown[1]["scope"] == {"name": "library", "version": "2"}


def test_metrics_of_opentelemetrys_sdk_show_up_rightly(dashboard: DashboardServer) -> None:
    exporter = OTLPMetricExporter(f"{dashboard.endpoint}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, 60_000)
    provider = MeterProvider([reader], Resource({"service.name": "python"}))
    meter = provider.get_meter("library")
    meter.create_counter("jobs").add(3, {"queue": "a"})
    meter.create_histogram("duration", "s").record(0.2)
    provider.force_flush()
    provider.shutdown()
    (process,) = dashboard.get("/api/processes?service=python")["processes"]
    listed = dashboard.get(f"/api/metrics?process={process['id']}")["metrics"]
    assert [(row["name"], row["kind"]) for row in listed if "otel" not in row["name"]] == [
        ("duration", "histogram"),
        ("jobs", "sum"),
    ]


NODE = r"""
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { trace, SpanStatusCode } = require("@opentelemetry/api");
const { OTLPTraceExporter } = require(process.argv[2]);
const sdk = new NodeSDK({
  resource: resourceFromAttributes({ "service.name": "node" }),
  traceExporter: new OTLPTraceExporter({ url: process.argv[3] }),
  instrumentations: [],
});
sdk.start();
const tracer = trace.getTracer("library", "3");
tracer.startActiveSpan("outer", (outer) => {
  const inner = tracer.startSpan("inner", { attributes: { list: ["a", "b"], n: 7 } });
  inner.addEvent("happened", { why: "so" });
  inner.setStatus({ code: SpanStatusCode.ERROR, message: "broken" });
  inner.end();
  outer.end();
});
sdk.shutdown();
"""
PACKAGES = (
    "@opentelemetry/api",
    "@opentelemetry/sdk-node",
    "@opentelemetry/resources",
    "@opentelemetry/exporter-trace-otlp-http",
    "@opentelemetry/exporter-trace-otlp-proto",
    "@opentelemetry/exporter-trace-otlp-grpc",
)


@pytest.fixture(scope="module")
def node_sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with OpenTelemetry's SDK for Node."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.fail("expected node and npm: OTLP of another SDK is not tested without them")
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.fail(f"expected npm to install {', '.join(PACKAGES)}: {done.stderr}")
    (folder / "app.js").write_text(NODE, encoding="utf-8")
    return folder


@pytest.mark.timeout(360)
@pytest.mark.parametrize("exporter", ["http", "proto", "grpc"])
def test_opentelemetrys_sdk_for_node_shows_up_rightly(
    dashboard: DashboardServer, node_sdk: Path, exporter: str
) -> None:
    url = f"{dashboard.endpoint}/v1/traces"
    if exporter == "grpc":
        url = f"http://localhost:{dashboard.grpc_port}"
    module = f"@opentelemetry/exporter-trace-otlp-{exporter}"
    done = subprocess.run(
        ["node", "app.js", module, url], cwd=node_sdk, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    (found,) = dashboard.get("/api/traces?service=node&error=1")["traces"]
    assert (found["name"], found["spans"], found["errors"]) == ("outer", 2, 1)
    shown = dashboard.get(f"/api/traces/{found['trace_id']}")
    (inner,) = [one for one in shown["spans"] if one["name"] == "inner"]
    assert inner["attributes"] == {"list": ["a", "b"], "n": 7}
    assert (inner["status"], inner["message"]) == ("error", "broken")
    assert [(event["name"], event["attributes"]) for event in inner["events"]] == [
        ("happened", {"why": "so"})
    ]
    assert inner["parent_id"] == next(
        one["span_id"] for one in shown["spans"] if one["name"] == "outer"
    )
    (process,) = shown["processes"].values()
    assert (process["service"], process["whence"]) == ("node", False)
