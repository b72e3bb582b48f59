"""What is set for OpenTelemetry, by variables or by the application itself, holds for our spans."""

from collections.abc import Callable, Mapping

import pytest

from launching import Launcher
from receivers import GrpcReceiver, HttpReceiver
from rules import check_spans
from seen import SeenSpan, spans_of
from tracing import PROGRAMS

Run = Callable[..., list[SeenSpan]]

NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing that is sent there arrives here."""


@pytest.fixture
def run(launch: Launcher, http_receiver: HttpReceiver) -> Run:
    """Runs a program with variables; the spans that arrived, over HTTP."""

    def run(*options: str, program: str = "ending", **variables: str) -> list[SeenSpan]:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": http_receiver.url} | variables
        words = ["-q", "--min-duration", "0", *options, str(PROGRAMS / f"{program}.py"), "return"]
        ran = launch.run(*words, env=env)
        assert (ran.code, ran.err) == (0, "")
        spans = spans_of(http_receiver.received.requests)
        check_spans(spans)
        return spans

    return run


def names(spans: list[SeenSpan]) -> list[str]:
    return sorted(span.name for span in spans)


def resource_of(spans: list[SeenSpan]) -> Mapping[str, object]:
    """The resource of all of them."""
    resources = [span.resource for span in spans]
    assert resources
    assert all(resource == resources[0] for resource in resources)
    return resources[0]


ALL = ["task main", "task work", "timer sleep"]


class TestResource:
    """Who the spans are said to be of."""

    def test_without_variables_it_is_the_command_and_this_process(self, run: Run) -> None:
        resource = resource_of(run())
        assert resource["service.name"] == "ending"
        assert resource["telemetry.sdk.name"] == "opentelemetry"
        assert resource["telemetry.sdk.language"] == "python"
        assert resource["telemetry.distro.name"] == "whence"
        assert {"service.instance.id", "process.pid"} <= resource.keys()

    def test_the_service_and_the_attributes_are_those_of_the_variables(self, run: Run) -> None:
        attributes = "deployment.environment.name=test,team=a%20b,service.name=not-this"
        resource = resource_of(run(OTEL_SERVICE_NAME="shop", OTEL_RESOURCE_ATTRIBUTES=attributes))
        assert resource["service.name"] == "shop"
        assert resource["deployment.environment.name"] == "test"
        assert resource["team"] == "a b"

    def test_the_attributes_may_name_the_service(self, run: Run) -> None:
        resource = resource_of(run(OTEL_RESOURCE_ATTRIBUTES="service.name=shop"))
        assert resource["service.name"] == "shop"

    def test_an_option_comes_before_a_variable(self, run: Run) -> None:
        resource = resource_of(run("--service", "by-option", OTEL_SERVICE_NAME="by-variable"))
        assert resource["service.name"] == "by-option"


@pytest.mark.parametrize(
    ("sampler", "argument", "expected"),
    [
        ("always_on", "", ALL),
        ("always_off", "", []),
        ("traceidratio", "0", []),
        ("traceidratio", "1", ALL),
        ("parentbased_always_off", "", []),
        ("parentbased_traceidratio", "1", ALL),
    ],
)
def test_the_sampler_of_the_variables_decides(
    sampler: str, argument: str, expected: list[str], run: Run
) -> None:
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    assert names(run(**variables)) == expected


def test_a_ratio_given_to_whence_comes_before_the_sampler(run: Run) -> None:
    assert names(run("--sample", "1", OTEL_TRACES_SAMPLER="always_off")) == ALL


class TestDestination:
    """Where spans go, by which protocol, and what goes with them."""

    def test_a_base_endpoint_gets_the_path_of_traces(
        self, run: Run, http_receiver: HttpReceiver
    ) -> None:
        run(OTEL_EXPORTER_OTLP_ENDPOINT=f"{http_receiver.url}/base/")
        assert set(http_receiver.received.paths) == {"/base/v1/traces"}

    def test_an_endpoint_of_traces_is_taken_as_it_is_and_comes_first(
        self, run: Run, http_receiver: HttpReceiver
    ) -> None:
        run(
            OTEL_EXPORTER_OTLP_ENDPOINT=NOBODY,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{http_receiver.url}/own",
        )
        assert set(http_receiver.received.paths) == {"/own"}

    def test_an_option_comes_before_the_variables(
        self, run: Run, http_receiver: HttpReceiver
    ) -> None:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": NOBODY,
        }
        assert names(run("--endpoint", http_receiver.url, **variables)) == ALL

    def test_headers_go_with_every_request(self, run: Run, http_receiver: HttpReceiver) -> None:
        run(OTEL_EXPORTER_OTLP_HEADERS="x-team=a%20b,authorization=Bearer%20secret")
        for headers in http_receiver.received.headers:
            assert (headers["x-team"], headers["authorization"]) == ("a b", "Bearer secret")

    def test_headers_of_traces_come_first(self, run: Run, http_receiver: HttpReceiver) -> None:
        run(OTEL_EXPORTER_OTLP_HEADERS="x-team=all", OTEL_EXPORTER_OTLP_TRACES_HEADERS="x-team=own")
        assert {headers["x-team"] for headers in http_receiver.received.headers} == {"own"}

    def test_a_protocol_of_traces_comes_first(
        self, run: Run, http_receiver: HttpReceiver, grpc_receiver: GrpcReceiver
    ) -> None:
        there = run(
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=grpc_receiver.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-team=tea",
        )
        assert there == []
        assert names(spans_of(grpc_receiver.received.requests)) == ALL
        assert {headers["x-team"] for headers in grpc_receiver.received.headers} == {"tea"}

    def test_compression_is_as_asked_for(self, run: Run, http_receiver: HttpReceiver) -> None:
        assert names(run(OTEL_EXPORTER_OTLP_COMPRESSION="gzip")) == ALL
        assert {h["content-encoding"] for h in http_receiver.received.headers} == {"gzip"}

    def test_no_exporter_is_no_request(self, run: Run) -> None:
        assert run(OTEL_TRACES_EXPORTER="none") == []

    def test_switched_off_there_is_no_request(self, run: Run) -> None:
        assert run(OTEL_SDK_DISABLED="true") == []


class TestOwnProvider:
    """An application that has set a TracerProvider of its own."""

    def test_its_resource_sampler_and_ids_are_used(
        self, launch: Launcher, http_receiver: HttpReceiver
    ) -> None:
        program = str(PROGRAMS / "own_provider.py")
        options = ["-q", "--min-duration", "0", "--endpoint", http_receiver.url]
        ran = launch.run(*options, program)
        assert (ran.code, ran.out, ran.err) == (0, "a span of their own", "")
        spans = spans_of(http_receiver.received.requests)
        check_spans(spans)
        assert names(spans) == ["task wanted", "timer sleep"]
        resource = resource_of(spans)
        assert (resource["service.name"], resource["shop.branch"]) == ("theirs", "Lisbon")
        assert "process.pid" in resource
        (root,) = (span for span in spans if not span.parent_id)
        assert root.attributes["sampled.by"] == "the application"
        assert root.name == "task wanted"
        assert {span.trace_id[:8] for span in spans} == {"00000abc"}

    def test_what_it_does_with_its_own_spans_stays_as_it_was(self, launch: Launcher) -> None:
        program = str(PROGRAMS / "own_provider.py")
        plain = launch(launch.python, program)
        traced = launch.run("-q", "--export", "none", program)
        assert (traced.code, traced.out, traced.err) == (plain.code, plain.out, plain.err)

    def test_a_service_named_to_whence_comes_before_its_resource(
        self, launch: Launcher, http_receiver: HttpReceiver
    ) -> None:
        options = ["-q", "--service", "ours", "--endpoint", http_receiver.url]
        launch.run(*options, str(PROGRAMS / "own_provider.py"))
        resource = resource_of(spans_of(http_receiver.received.requests))
        assert (resource["service.name"], resource["shop.branch"]) == ("ours", "Lisbon")
