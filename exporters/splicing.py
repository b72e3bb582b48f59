"""Whether our spans and the application's may be in one tree, and what of ours it is shown.

They may where it changes nothing of what the application exports but the parents of its spans:

- Its spans go where ours go, all of them; or a viewer there would look for parents in vain.
- Whether a trace is sampled does not depend on who asks first: its sampler keeps all, none, or a
  part by the trace's id, and we use the same.

Threads of the program call this.
"""

import os
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanContext

from whence.engine import Span
from whence.settings.config import Settings

from .identity import identities
from .otlp.settings import OtlpSettings
from .provider import Providers, is_explicit

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OTLP_PORTS = frozenset((4317, 4318))
"""Of one and the same receiver, for gRPC and for HTTP."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_EXPORTS_NOTHING = ("opentelemetry.processor.",)
"""Packages of processors that only add to spans, such as baggage."""


class Splicing:
    """What holds with these settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._providers = Providers(settings)
        self._known: tuple[object, object, bool] | None = None

    def agrees(self, provider: object) -> bool:
        """Whether the application's spans and ours may be in one tree."""
        if not isinstance(provider, TracerProvider):
            return False
        processors = _processors(provider)
        known = self._known
        # Processors are added later, too; then it is another tuple.
        if known is None or known[0] is not provider or known[1] is not processors:
            agrees = self._samples_alike(provider) and self._ends_alike(processors)
            known = self._known = (provider, processors, agrees)
        return known[2]

    def context_of(self, place: Span) -> SpanContext:
        """The context that a span of ours has, from now on, if it had none so far."""
        ids = identities()
        if place.trace.identity is None:
            ids.of_trace(place.trace, self._providers.current())
        return ids.known_context_of(place)

    def _samples_alike(self, provider: TracerProvider) -> bool:
        return not is_explicit(self._settings, "sample") and _is_plain(provider.sampler)

    def _ends_alike(self, processors: Any) -> bool:
        """Whether every exporter of the application's is one of ours."""
        if not isinstance(processors, tuple):
            return False
        ours = self._destinations()
        for processor in processors:
            exporter = getattr(processor, "span_exporter", None)
            if exporter is None:
                if not type(processor).__module__.startswith(_EXPORTS_NOTHING):
                    return False
            elif _receiver(getattr(exporter, "_endpoint", None)) not in ours:
                return False
        return True

    def _destinations(self) -> set[tuple[str, int]]:
        if "otlp" not in self._settings.export:
            return set()
        # Of what else is set the exporter tells the user what is wrong.
        endpoints = {name: text for name, text in os.environ.items() if name.endswith("_ENDPOINT")}
        receiver = _receiver(OtlpSettings(self._settings, endpoints).endpoint)
        return set() if receiver is None else {receiver}


def _processors(provider: TracerProvider) -> object:
    return getattr(getattr(provider, "_active_span_processor", None), "_span_processors", None)


def _is_plain(sampler: Sampler) -> bool:
    if type(sampler).should_sample is ParentBased.should_sample:
        children = (
            getattr(sampler, "_local_parent_sampled", None),
            getattr(sampler, "_local_parent_not_sampled", None),
        )
        root = getattr(sampler, "_root", None)
        return children == (ALWAYS_ON, ALWAYS_OFF) and root is not None and _is_plain(root)
    plain = (StaticSampler.should_sample, TraceIdRatioBased.should_sample)
    return type(sampler).should_sample in plain


def _receiver(endpoint: object) -> tuple[str, int] | None:
    """Host and port of an endpoint, the same for each way to name the same receiver."""
    if not isinstance(endpoint, str) or not endpoint:
        return None
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if host in _LOOPBACK:
        host = "localhost"
    return host, 4318 if port in _OTLP_PORTS else port
