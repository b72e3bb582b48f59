"""What OpenTelemetry's SDK says about this process: resource, sampler, ids, limits.

From the application's own TracerProvider if it has set one, else from the environment as a provider
would read it, so that every OTEL_* variable holds.  What the user told whence itself comes first.

The sender thread calls this, and threads of the program that have set a provider.
"""

import os
from typing import Any
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPERIMENTAL_RESOURCE_DETECTORS,
    OTEL_TRACES_SAMPLER,
    OTEL_TRACES_SAMPLER_ARG,
)
from opentelemetry.sdk.resources import (
    PROCESS_PID,
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    TELEMETRY_SDK_LANGUAGE,
    TELEMETRY_SDK_NAME,
    TELEMETRY_SDK_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    DEFAULT_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.sdk.version import __version__ as SDK_VERSION

from whence.report import warn
from whence.settings.config import DEFAULT, Settings
from whence.version import VERSION

from .entry_points import load, names
from .limits import limits_of_environment

_STANDARD_SAMPLERS = frozenset(
    {
        "always_on",
        "always_off",
        "parentbased_always_on",
        "parentbased_always_off",
        "traceidratio",
        "parentbased_traceidratio",
    }
)


_AT_ONCE = 1024

_DETECTORS = "opentelemetry_resource_detector"


class OwnIdGenerator(IdGenerator):
    """Random ids from the operating system.

    OpenTelemetry's generator takes them from the module `random`.  A program that seeds it would
    find another sequence than without us, and its traces the same ids in every run."""

    def __init__(self) -> None:
        self._trace_ids: list[int] = []
        self._process = os.getpid()

    def generate_span_id(self) -> int:
        """A number of 64 bits, not 0."""
        return int.from_bytes(os.urandom(8)) or 1

    def generate_trace_id(self) -> int:
        """A number of 128 bits, not 0.  Any thread."""
        process = os.getpid()
        if process != self._process:
            # In a forked child: the rest is the parent's.
            self._process, self._trace_ids = process, []
        try:
            return self._trace_ids.pop()
        except IndexError:
            random = self.trace_ids()
            starts = range(0, len(random), 16)
            self._trace_ids += [int.from_bytes(random[at : at + 16]) or 1 for at in starts]
            return self.generate_trace_id()

    def trace_ids(self) -> bytes:
        """Many at once, of 16 bytes each: asking the system takes longer than all else about a new
        trace."""
        return os.urandom(_AT_ONCE * 16)

    def is_trace_id_random(self) -> bool:
        """Yes."""
        return True


class Provider:
    """Resource, sampler, ids and limits of this process."""

    __slots__ = ("id_generator", "keeps_all", "limits", "resource", "sampler")

    def __init__(
        self, resource: Resource, sampler: Sampler, id_generator: IdGenerator, limits: SpanLimits
    ) -> None:
        self.resource = resource
        self.sampler = sampler
        self.keeps_all = sampler is DEFAULT_ON or sampler is ALWAYS_ON
        """Whether it is known, without asking, that the sampler keeps a trace without a parent."""
        self.id_generator = id_generator
        self.limits = limits


class Providers:
    """Gives the provider that holds at the moment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made_of: tuple[object, object] | None = None
        self._provider: Provider | None = None

    def current(self) -> Provider:
        """The application may set its provider, and change its resource, at any time."""
        theirs = application_provider()
        made_of = (theirs, None if theirs is None else theirs.resource)
        if self._provider is None or made_of != self._made_of:
            self._made_of = made_of
            if theirs is None:
                self._provider = _provider_of_environment(self._settings)
            else:
                self._provider = _provider_of_application(theirs, self._settings)
        return self._provider


def application_provider() -> TracerProvider | None:
    """The SDK's provider that the application has set.

    Not asked for if asking would make one: the application could set none of its own any more."""
    if os.environ.get(OTEL_PYTHON_TRACER_PROVIDER) and _global_provider() is None:
        return None
    found = trace.get_tracer_provider()
    return found if isinstance(found, TracerProvider) else None


def _global_provider() -> object:
    return getattr(trace, "_TRACER_PROVIDER", None)


def _provider_of_application(theirs: TracerProvider, settings: Settings) -> Provider:
    resource = Resource({PROCESS_PID: os.getpid()}).merge(theirs.resource)
    if is_explicit(settings, "service"):
        resource = resource.merge(Resource({SERVICE_NAME: settings.service}))
    generator = theirs.id_generator
    return Provider(
        resource,
        _sampler_of_settings(settings) or theirs.sampler,
        OwnIdGenerator() if type(generator) is RandomIdGenerator else generator,
        limits_of_environment(),
    )


def _provider_of_environment(settings: Settings) -> Provider:
    resource = _resource_of_environment().merge(Resource({SERVICE_NAME: settings.service}))
    sampler = _sampler_of_settings(settings) or _sampler_by_entry_point()
    # A provider reads the samplers' variables.  It is let go at once: it would start threads in a
    # forked child to find its resource again.
    limits = limits_of_environment()
    made = TracerProvider(
        sampler=sampler, resource=resource, shutdown_on_exit=False, span_limits=limits
    )
    return Provider(resource, made.sampler, OwnIdGenerator(), limits)


def is_explicit(settings: Settings, name: str) -> bool:
    """Whether the user told whence, and not the SDK, whose variables the application has read."""
    origin = settings.origin(name)
    return origin != DEFAULT and not origin.startswith("OTEL_")


def _sampler_of_settings(settings: Settings) -> Sampler | None:
    if settings.sample is None or not is_explicit(settings, "sample"):
        return None
    return ParentBased(TraceIdRatioBased(settings.sample))


def _sampler_by_entry_point() -> Sampler | None:
    """OTEL_TRACES_SAMPLER may name a sampler of another distribution."""
    name = os.environ.get(OTEL_TRACES_SAMPLER, "").strip()
    if not name or name.lower() in _STANDARD_SAMPLERS:
        return None
    try:
        factory = load("opentelemetry_traces_sampler", name)
        made = None if factory is None else factory(os.environ.get(OTEL_TRACES_SAMPLER_ARG, ""))
    except Exception as error:
        warn(f"{OTEL_TRACES_SAMPLER}: {name} cannot be loaded ({error!r}); every trace is kept")
        return ParentBased(TraceIdRatioBased(1.0))
    if isinstance(made, Sampler):
        return made
    warn(f"{OTEL_TRACES_SAMPLER}: expected an installed sampler, not {name!r}; every trace is kept")
    return ParentBased(TraceIdRatioBased(1.0))


def _resource_of_environment() -> Resource:
    """As `Resource.create()`, which runs its detectors in threads: there are none to be had when
    the process ends, and the program would see them start."""
    resource = Resource(
        {
            TELEMETRY_SDK_LANGUAGE: "python",
            TELEMETRY_SDK_NAME: "opentelemetry",
            TELEMETRY_SDK_VERSION: SDK_VERSION,
            "telemetry.distro.name": "whence",
            "telemetry.distro.version": VERSION,
            SERVICE_INSTANCE_ID: _instance_id(),
            PROCESS_PID: os.getpid(),
        }
    )
    for detector in _detectors():
        try:
            resource = resource.merge(detector.detect())
        except Exception as error:
            warn(f"{type(detector).__name__} found no resource ({error!r})")
    return resource.merge(OTELResourceDetector().detect())


_instance_ids: dict[int, str] = {}


def _instance_id() -> str:
    """One for each process, whoever asks first: spans and metrics are of the same instance."""
    return _instance_ids.setdefault(os.getpid(), str(uuid4()))


def _detectors() -> list[Any]:
    found = []
    for name in _detector_names():
        try:
            detector = load(_DETECTORS, name)
            if detector is None:
                raise LookupError("no such resource detector is installed")
            found.append(detector())
        except Exception as error:
            warn(f"{OTEL_EXPERIMENTAL_RESOURCE_DETECTORS}: {name} is left out ({error})")
    return found


def _detector_names() -> list[str]:
    """Those asked for; `*` is all that are installed.  `otel` always comes last."""
    asked = [n.strip() for n in os.environ.get(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS, "").split(",")]
    if "*" in asked:
        asked += sorted(names(_DETECTORS))
    return [name for name in dict.fromkeys(asked) if name not in ("", "*", "otel")]
