"""When our spans and the application's may be in one tree."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpExporter,
)
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import NoOpTracerProvider

from configured import settings
from lives import Lives
from whence.engine import place_now
from whence.exporters.identity import identities
from whence.exporters.spans import SpanMaker
from whence.exporters.splicing import Splicing

OURS = "http://127.0.0.1:4318"

Make = Callable[..., TracerProvider]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes an application's provider."""
    made: list[TracerProvider] = []

    def make(*exporters: SpanExporter, sampler: Sampler | None = None) -> TracerProvider:
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        made.append(provider)
        for exporter in exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        return provider

    yield make
    for provider in made:
        provider.shutdown()


def agrees(provider: object, **config: Any) -> bool:
    return Splicing(settings(**{"endpoint": OURS, **config})).agrees(provider)


@pytest.mark.parametrize(
    "endpoint",
    [f"{OURS}/v1/traces", "http://localhost:4318/v1/traces", "http://127.0.0.1:4318/custom"],
)
def test_spans_that_go_to_our_receiver_go_with_ours(make: Make, endpoint: str) -> None:
    assert agrees(make(HttpExporter(endpoint=endpoint)))


@pytest.mark.parametrize("endpoint", ["localhost:4317", "http://127.0.0.1:4317"])
def test_a_receiver_has_a_port_for_each_protocol(make: Make, endpoint: str) -> None:
    assert agrees(make(GrpcExporter(endpoint=endpoint, insecure=True)))


def test_where_nothing_is_said_both_go_to_the_same(make: Make) -> None:
    assert agrees(make(HttpExporter()), endpoint=None)


def test_the_environment_says_it_to_both(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:9999")
    assert agrees(make(HttpExporter()), endpoint=None)


def test_what_is_wrong_with_other_variables_is_the_exporters_to_tell(
    make: Make, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    exporter = HttpExporter(endpoint=f"{OURS}/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "pigeon")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon")
    assert agrees(make(exporter))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://elsewhere:4318/v1/traces",
        "http://127.0.0.1:9999/v1/traces",
        "https://127.0.0.1/v1/traces",
        "http://127.0.0.1:no-port/v1/traces",
    ],
)
def test_spans_that_go_elsewhere_do_not(make: Make, endpoint: str) -> None:
    assert not agrees(make(HttpExporter(endpoint=endpoint)))


def test_one_exporter_that_sends_them_elsewhere_is_enough(make: Make) -> None:
    ours = HttpExporter(endpoint=f"{OURS}/v1/traces")
    assert not agrees(make(ours, HttpExporter(endpoint="http://elsewhere/v1/traces")))
    assert not agrees(make(ours, ConsoleSpanExporter()))


def test_of_a_processor_that_nobody_knows_it_is_not_known_where_it_sends(make: Make) -> None:
    provider = make()
    provider.add_span_processor(SpanProcessor())
    assert not agrees(provider)


def test_a_processor_of_opentelemetrys_that_only_adds_to_spans_sends_nothing(make: Make) -> None:
    class Adding(SpanProcessor):
        __module__ = "opentelemetry.processor.baggage.processor"

    provider = make(HttpExporter(endpoint=f"{OURS}/v1/traces"))
    provider.add_span_processor(Adding())
    assert agrees(provider)


def test_who_exports_nothing_loses_nothing(make: Make) -> None:
    assert agrees(make())


def test_an_exporter_that_is_added_later_is_seen(make: Make) -> None:
    provider = make()
    asked = Splicing(settings(endpoint=OURS))
    assert asked.agrees(provider)
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    assert not asked.agrees(provider)


def test_without_otlp_there_is_no_common_receiver(make: Make) -> None:
    assert not agrees(make(HttpExporter(endpoint=f"{OURS}/v1/traces")), export=["console"])


def test_only_the_sdks_provider_is_known_to_keep_to_the_rules() -> None:
    assert not agrees(NoOpTracerProvider())


class Odd(Sampler):
    """Samples as it likes."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "odd"


class OddRatio(sampling.TraceIdRatioBased):
    """Looks like one of the SDK's."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.DROP)


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (sampling.ALWAYS_ON, True),
        (sampling.ALWAYS_OFF, True),
        (sampling.DEFAULT_ON, True),
        (sampling.DEFAULT_OFF, True),
        (sampling.TraceIdRatioBased(0.5), True),
        (sampling.ParentBasedTraceIdRatio(0.5), True),
        (Odd(), False),
        (OddRatio(0.5), False),
        (sampling.ParentBased(Odd()), False),
        (sampling.ParentBased(sampling.ALWAYS_ON, local_parent_sampled=Odd()), False),
        (
            sampling.ParentBased(sampling.ALWAYS_ON, local_parent_not_sampled=sampling.ALWAYS_ON),
            False,
        ),
    ],
    ids=lambda value: value.get_description() if isinstance(value, Sampler) else str(value),
)
def test_its_sampler_must_decide_by_the_trace_alone(
    make: Make, sampler: Sampler, expected: bool
) -> None:
    assert agrees(make(sampler=sampler)) is expected


def test_a_share_that_the_user_gave_to_us_is_not_the_applications(make: Make) -> None:
    assert not agrees(make(), sample=0.5)


def test_a_span_has_the_ids_that_it_is_exported_with(lives: Lives) -> None:
    task = lives.begin("task")
    place = place_now(task)
    assert place is not None
    context = Splicing(settings()).context_of(place)
    assert context.is_valid
    lives.end(task)
    (record,) = lives.come_out()
    assert record.span is place
    (span,) = SpanMaker(settings()).spans_of([record])
    assert span.context == context


def test_everybody_in_a_process_asks_the_same_identities() -> None:
    assert identities() is identities()
