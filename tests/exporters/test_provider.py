"""What OpenTelemetry's SDK says about this process."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.id_generator import IdGenerator

from configured import settings
from launching import Launcher
from whence.exporters import provider
from whence.exporters.provider import OwnIdGenerator, Provider, Providers


def current(**config: Any) -> Provider:
    return Providers(settings(**config)).current()


def attributes(made: Provider) -> dict[str, Any]:
    return dict(made.resource.attributes or {})


def description(made: Provider) -> str:
    return made.sampler.get_description()


@pytest.fixture
def set_by_application(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[TracerProvider], TracerProvider]:
    """Sets a provider as an application does, for this test."""

    def set_provider(theirs: TracerProvider) -> TracerProvider:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", theirs)
        return theirs

    return set_provider


# From the environment


def test_the_resource_says_which_service_which_instance_and_which_process() -> None:
    said = attributes(current(service="shop"))
    assert said["service.name"] == "shop"
    assert said["process.pid"] == os.getpid()
    assert len(said["service.instance.id"]) == 36
    assert said["telemetry.sdk.language"] == "python"
    assert said["telemetry.distro.name"] == "whence"


def test_the_resource_has_the_attributes_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES",
        "deployment.environment=a%20b,service.name=ignored,service.instance.id=mine",
    )
    said = attributes(current(service="shop"))
    assert said["deployment.environment"] == "a b"
    assert said["service.name"] == "shop"
    assert said["service.instance.id"] == "mine"


def test_the_service_name_of_the_environment_holds_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "by otel")
    assert attributes(current(service=None))["service.name"] == "by otel"
    assert attributes(current(service="by keyword"))["service.name"] == "by keyword"


def test_resource_detectors_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process,otel,os")
    said = attributes(current())
    assert said["process.runtime.name"] == "cpython"
    assert "os.type" in said


def test_a_detector_that_is_not_there_is_left_out_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "nowhere,process")
    assert attributes(current())["process.runtime.name"] == "cpython"
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("whence: OTEL_EXPERIMENTAL_RESOURCE_DETECTORS: nowhere is left out")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "ParentBased{root:AlwaysOnSampler"),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "AlwaysOffSampler"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
            "TraceIdRatioBased{0.25}",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
            "ParentBased{root:TraceIdRatioBased{0.5}",
        ),
    ],
)
def test_the_sampler_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert description(current()).startswith(expected)


def test_a_ratio_told_to_whence_comes_before_the_environments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert description(current()) == "AlwaysOffSampler"
    assert "TraceIdRatioBased{0.5}" in description(current(sample=0.5))


class EntryPoint:
    def __init__(self, name: str, loaded: Any) -> None:
        self.name = name
        self._loaded = loaded

    def load(self) -> Any:
        return self._loaded


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Any]:
    """Entry points by group and name, as if other distributions had brought them."""
    from whence.exporters import entry_points

    found: dict[tuple[str, str], Any] = {}
    monkeypatch.setattr(
        entry_points,
        "entry_points",
        lambda group: [EntryPoint(name, it) for (of, name), it in found.items() if of == group],
    )
    return found


def test_a_sampler_of_another_distribution_is_made_with_its_argument(
    monkeypatch: pytest.MonkeyPatch, installed: dict[tuple[str, str], Any]
) -> None:
    def factory(argument: str) -> sampling.Sampler:
        return sampling.TraceIdRatioBased(float(argument))

    installed["opentelemetry_traces_sampler", "theirs"] = factory
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "theirs")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.125")
    assert description(current()) == "TraceIdRatioBased{0.125}"


def test_a_sampler_that_is_nowhere_keeps_every_trace_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "nowhere")
    assert "TraceIdRatioBased{1.0}" in description(current())
    (line,) = capfd.readouterr().err.splitlines()
    assert line == (
        "whence: OTEL_TRACES_SAMPLER: expected an installed sampler, not 'nowhere'; "
        "every trace is kept"
    )


# From the application


class TheirIds(IdGenerator):
    def generate_span_id(self) -> int:
        return 1

    def generate_trace_id(self) -> int:
        return 2


def test_the_applications_provider_gives_resource_sampler_and_ids(set_by_application: Any) -> None:
    theirs = set_by_application(
        TracerProvider(
            resource=Resource({"service.name": "theirs", "team": "a"}),
            sampler=sampling.ALWAYS_OFF,
            id_generator=TheirIds(),
            shutdown_on_exit=False,
        )
    )
    made = current(service=None)
    assert attributes(made) == {"service.name": "theirs", "team": "a", "process.pid": os.getpid()}
    assert made.sampler is theirs.sampler
    assert made.id_generator is theirs.id_generator


def test_a_service_told_to_whence_comes_before_the_applications(set_by_application: Any) -> None:
    set_by_application(
        TracerProvider(resource=Resource({"service.name": "theirs"}), shutdown_on_exit=False)
    )
    assert attributes(current(service="ours"))["service.name"] == "ours"


def test_the_programs_random_generator_is_not_used_for_their_ids(set_by_application: Any) -> None:
    set_by_application(TracerProvider(shutdown_on_exit=False))
    assert isinstance(current().id_generator, OwnIdGenerator)


def test_a_provider_that_is_set_later_is_found(set_by_application: Any) -> None:
    providers = Providers(settings(service=None))
    before = providers.current()
    assert providers.current() is before
    set_by_application(
        TracerProvider(resource=Resource({"service.name": "theirs"}), shutdown_on_exit=False)
    )
    assert attributes(providers.current())["service.name"] == "theirs"


def test_a_resource_that_the_provider_replaces_is_found(set_by_application: Any) -> None:
    """As the SDK does in a forked child."""
    theirs = set_by_application(
        TracerProvider(resource=Resource({"service.name": "theirs"}), shutdown_on_exit=False)
    )
    providers = Providers(settings(service=None))
    providers.current()
    theirs._resource = Resource({"service.name": "theirs", "service.instance.id": "another"})
    assert attributes(providers.current())["service.instance.id"] == "another"


def test_asking_makes_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """With this variable OpenTelemetry's API makes one when it is first asked, and then the
    application cannot set its own any more."""
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    assert provider.application_provider() is None
    assert trace._TRACER_PROVIDER is None


def test_no_thread_is_started_to_find_the_resource(launch: Launcher) -> None:
    """Resource.create() would; at the end of a process there are none to be had."""
    launch.write(
        "app.py",
        """
        import _thread, atexit, json, sys, threading
        started = []
        original = _thread.start_new_thread

        def noting(function, *rest):
            started.append(repr(function))
            return original(function, *rest)

        _thread.start_new_thread = threading._start_new_thread = noting

        @atexit.register
        def late():
            from whence.settings.config import resolve
            from whence.exporters.provider import Providers
            resource = Providers(resolve(environ={})).current().resource
            print(json.dumps([started, resource.attributes["telemetry.sdk.name"]]))
        """,
    )
    assert launch(launch.python, "app.py").json == [[], "opentelemetry"]


def test_trace_ids_are_of_the_process_that_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are drawn many at once; a forked child must not have those that its parent has left."""
    generator = OwnIdGenerator()
    made = {generator.generate_trace_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(0 < trace_id < 1 << 128 for trace_id in made)
    left = set(generator._trace_ids)
    assert left
    monkeypatch.setattr(os, "getpid", lambda: -1)
    child = {generator.generate_trace_id() for _ in range(len(left) + 1)}
    assert not child & left
