"""From a lifetime to a span: what it is called, whose child it is, what it says.

`SpanMaker` makes plain records, `Span`, and every exporter writes them in its own way; the ones for
exporters of OpenTelemetry's SDK are made in `readable.py`.

Only the sender thread calls this.
"""

import os
from collections.abc import Sequence
from types import CodeType
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.trace import SpanContext, SpanKind

from whence.engine import Span as Place
from whence.engine import SpanLifetime, Trace, TraceIdentity, site
from whence.engine.sites import Site
from whence.naming import span_name
from whence.settings.config import Settings

from .identity import identities
from .kinds import KIND, kind_of
from .limits import latest, limited, limited_of_event
from .provider import Provider, Providers

PRIVATE = (KIND, "carrier")
"""What instrumentations leave among the attributes for us, not for the user."""
_MAX_KNOWN = 10_000

Attributes = dict[str, Any]


class Span:
    """A finished span, as every exporter needs it.  Times are nanoseconds since 1970."""

    __slots__ = (
        "attributes",
        "context",
        "dropped_attributes",
        "end",
        "error",
        "events",
        "kind",
        "lifetime",
        "links",
        "name",
        "parent",
        "start",
    )

    context: SpanContext
    parent: SpanContext | None
    name: str
    kind: SpanKind
    start: int
    end: int
    attributes: Attributes
    dropped_attributes: int
    error: tuple[str, str] | None
    """Exception type and message of a failure; None is no failure."""
    events: list[tuple[str, int, Attributes]]
    """Name, time, attributes; in the order of their times."""
    links: list[tuple[SpanContext, Attributes]]
    lifetime: SpanLifetime

    @property
    def status_text(self) -> str:
        """What the failure was, in one text; empty without a failure."""
        return "" if self.error is None else ": ".join(part for part in self.error if part)


class SpanMaker:
    """Makes the spans of this process."""

    def __init__(self, settings: Settings) -> None:
        self._providers = Providers(settings)
        self._provider: Provider = self._providers.current()
        self.identities = identities()
        self._sites: dict[tuple[int, int], tuple[CodeType | None, Site | None]] = {}
        self._names: dict[tuple[str, str | None], str] = {}

    @property
    def resource(self) -> Resource:
        """What made the spans of the last batch: this process."""
        return self._provider.resource

    @property
    def provider(self) -> Provider:
        """Which the spans of the last batch were made for."""
        return self._provider

    @property
    def limits(self) -> SpanLimits:
        """What the spans of the last batch may hold."""
        return self._provider.limits

    def refresh(self) -> None:
        """A new batch begins: the application may have set its provider meanwhile."""
        self._provider = self._providers.current()

    def resource_now(self) -> Resource:
        """This process, as the application has described it by now.  For any thread."""
        return self._providers.current().resource

    def spans_of(self, batch: Sequence[SpanLifetime]) -> list[Span]:
        """The spans of those whose traces are sampled."""
        self.refresh()
        return [self.span(lifetime) for lifetime in batch if self._identity(lifetime).sampled]

    def identity_of(self, trace: Trace) -> TraceIdentity:
        """Who a trace is, and whether it is sampled."""
        return self.identities.of_trace(trace, self._provider)

    def _identity(self, lifetime: SpanLifetime) -> TraceIdentity:
        assert lifetime.span is not None, "a lifetime comes out of the pipeline with its place"
        return self.identity_of(lifetime.span.trace)

    def span(self, lifetime: SpanLifetime) -> Span:
        """The span of one whose trace has its identity already."""
        place = lifetime.span
        assert place is not None
        provider = self._provider
        identity = place.trace.identity
        assert identity is not None
        span = Span()
        span.lifetime = lifetime
        span.name = self._name(lifetime)
        span.kind = kind_of(lifetime)
        span.context = self.identities.context_of(place, provider)
        span.parent = self.identities.parent_of(place, provider)
        span.start = identity.epoch + lifetime.created
        span.end = identity.epoch + max(lifetime.ended, lifetime.created)
        span.error = lifetime.error
        span.events = _events(lifetime, identity.epoch, provider.limits)
        span.links = self.links(lifetime)
        attributes = self._attributes(lifetime)
        if place.parent is None and identity.attributes:
            attributes |= identity.attributes
        span.attributes, span.dropped_attributes = limited(attributes, provider.limits)
        return span

    def links(self, lifetime: SpanLifetime) -> list[tuple[SpanContext, Attributes]]:
        """What its span is linked to, and why."""
        targets = [] if lifetime.links is None else lifetime.links
        if lifetime.link is not None:
            own = isinstance(lifetime.link, Place) and lifetime.link.async_id == lifetime.async_id
            targets = [(lifetime.link, "segment" if own else "trigger"), *targets]
        links: list[tuple[SpanContext, Attributes]] = [
            (self.identities.context_of(target, self._provider), {"whence.link": reason})
            for target, reason in targets
            if isinstance(target, Place)
        ]
        return latest(links, self.limits.max_links)

    def _attributes(self, lifetime: SpanLifetime) -> Attributes:
        life = max(0, lifetime.ended - lifetime.created)
        run = min(max(0, lifetime.run), life)
        ready = min(max(0, lifetime.ready), life - run)
        attributes: Attributes = {
            "whence.type": lifetime.type.name,
            "whence.async_id": lifetime.async_id,
            "whence.trigger_id": lifetime.trigger_async_id,
            "whence.execution_id": lifetime.execution_async_id,
            "whence.outcome": lifetime.outcome,
            "whence.run_time": run / 1e9,
            "whence.ready_time": ready / 1e9,
            "whence.wait_time": (life - run - ready) / 1e9,
            "whence.steps": lifetime.steps,
            "thread.id": lifetime.thread_id,
        }
        where = self._site(lifetime)
        if where is not None:
            attributes["code.file.path"] = where.file
            attributes["code.line.number"] = where.line
            attributes["code.function.name"] = where.function
        if lifetime.segments is not None and lifetime.span is not None:
            attributes["whence.segment"] = lifetime.span.segment
        if lifetime.error is not None:
            attributes["error.type"] = lifetime.error[0]
        if lifetime.attributes:
            attributes |= lifetime.attributes
            for key in PRIVATE:
                attributes.pop(key, None)
        if lifetime.span is not None and lifetime.span.counted:
            attributes |= _counted(lifetime.span.counted)
        return attributes

    def _name(self, lifetime: SpanLifetime) -> str:
        key = (lifetime.type.name, lifetime.name)
        if key not in self._names:
            if len(self._names) >= _MAX_KNOWN:
                self._names.clear()
            self._names[key] = span_name(*key)
        return self._names[key]

    def _site(self, lifetime: SpanLifetime) -> Site | None:
        # By id, for the hash of a code object goes through all of it; so it is kept.
        key = (id(lifetime.code), lifetime.lasti)
        known = self._sites.get(key)
        if known is None:
            if len(self._sites) >= _MAX_KNOWN:
                self._sites.clear()
            where = site(lifetime.code, lifetime.lasti)
            known = self._sites[key] = (lifetime.code, where)
        return known[1]


def _events(
    lifetime: SpanLifetime, epoch: int, limits: SpanLimits
) -> list[tuple[str, int, Attributes]]:
    """What happened in it; last the exception that it failed with, if it was one: a request may
    have failed with a status of 500."""
    events = [(name, epoch + at, told) for name, at, told in lifetime.events or ()]
    if lifetime.error is not None and not lifetime.error[0].isdigit():
        kind, message = lifetime.error
        told = {"exception.type": kind, "exception.message": message}
        events.append(("exception", epoch + max(lifetime.ended, lifetime.created), told))
    kept = latest(events, limits.max_events)
    return [(name, at, limited_of_event(told, limits)) for name, at, told in kept]


def _counted(counted: dict[tuple[str, str | None], list[int]]) -> Attributes:
    """What was too much for the trace: three lists of the same length, the most frequent first."""
    totals: dict[str, list[int]] = {}
    for (type_name, name), (number, time) in counted.items():
        total = totals.setdefault(span_name(type_name, name), [0, 0])
        total[0] += number
        total[1] += time
    ranked = sorted(totals.items(), key=lambda item: -item[1][0])
    return {
        "whence.counted.names": [name for name, _ in ranked],
        "whence.counted.numbers": [number for _, (number, _) in ranked],
        "whence.counted.times": [time / 1e9 for _, (_, time) in ranked],
    }


_makers: dict[tuple[int, int], tuple[Settings, SpanMaker]] = {}


def span_maker(settings: Settings) -> SpanMaker:
    """The one of this process: several exporters give the same span the same ids."""
    key = (os.getpid(), id(settings))
    made = _makers.get(key)
    if made is None:
        for other in _makers.keys() - {key}:
            _makers.pop(other, None)
        # Spans and metrics may be asking at once, each in a thread.
        made = _makers.setdefault(key, (settings, SpanMaker(settings)))
    return made[1]
