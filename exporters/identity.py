"""Who a span is: ids, whether its trace is sampled, and when it was on the wall clock.

A trace gets its identity with the first of its spans that comes out.  The ids of spans are worked
out of what is known anyway, so nothing has to be kept for them.

Only the sender thread calls this.
"""

import os
from time import monotonic_ns, time_ns
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState

from whence.engine import Span, SpanLifetime, Trace
from whence.naming import span_name

from .kinds import kind_of
from .provider import Provider

_MASK = (1 << 64) - 1
_SEGMENT_SHIFT = 48
_GOLDEN = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio, and odd: multiples of it are spread evenly."""
_RANDOM_TRACE_ID = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)


class TraceIdentity:
    """What is the same for all spans of a trace."""

    __slots__ = ("attributes", "epoch", "flags", "remote_parent", "sampled", "state", "trace_id")

    def __init__(self) -> None:
        self.trace_id = 0
        self.sampled = True
        self.flags = TraceFlags()
        self.state: TraceState | None = None
        self.remote_parent: SpanContext | None = None
        """The span of another process that its root continues."""
        self.attributes: dict[str, Any] = {}
        """What the sampler adds to the root."""
        self.epoch = time_ns() - monotonic_ns()
        """Wall clock minus monotonic clock, read once: no child starts before its parent."""


class SpanIds:
    """Span ids, as a bijection of what identifies a span in this process: no two are the same."""

    __slots__ = ("_seed",)

    def __init__(self, seed: int | None = None) -> None:
        self._seed = int.from_bytes(os.urandom(8)) if seed is None else seed

    def raw(self, async_id: int, segment: int) -> int:
        """The id of one segment of one resource, as the number whose little-endian bytes it is:
        `struct` packs that together with the times, which protobuf wants in the same order."""
        number = (segment << _SEGMENT_SHIFT | async_id) * _GOLDEN + self._seed & _MASK
        return number ^ number >> 32 or 1

    def of(self, async_id: int, segment: int) -> int:
        """The same id as OpenTelemetry reads it: 64 bits, not 0."""
        return int.from_bytes(self.raw(async_id, segment).to_bytes(8, "little"), "big")


class Identities:
    """Gives traces their identity, and spans their contexts."""

    def __init__(self) -> None:
        self._ids = SpanIds()

    def of_trace(self, place: Trace, provider: Provider) -> TraceIdentity:
        """The identity of a trace; the sampler is asked once."""
        identity: TraceIdentity | None = place.identity
        if identity is None:
            identity = place.identity = _new_identity(place, provider)
            place.root = place.carrier = None
        return identity

    def context_of(self, span: Span, provider: Provider) -> SpanContext:
        """The context of a span, for its own record or for a link to it."""
        return self._context(span.trace, span.async_id, span.segment, provider)

    def parent_of(self, span: Span, provider: Provider) -> SpanContext | None:
        """The context of its parent: in this process, in another one, or None."""
        if span.parent is None:
            return self.of_trace(span.trace, provider).remote_parent
        return self._context(span.trace, *span.parent, provider)

    def _context(
        self, place: Trace, async_id: int, segment: int, provider: Provider
    ) -> SpanContext:
        identity = self.of_trace(place, provider)
        return SpanContext(
            identity.trace_id,
            self._ids.of(async_id, segment),
            is_remote=False,
            trace_flags=identity.flags,
            trace_state=identity.state,
        )


def _new_identity(place: Trace, provider: Provider) -> TraceIdentity:
    identity = TraceIdentity()
    above = _remote_context(place.carrier)
    remote = trace.get_current_span(above).get_span_context() if above else None
    if remote is not None and remote.is_valid:
        identity.remote_parent = remote
        identity.trace_id = remote.trace_id
        random = remote.trace_flags & _RANDOM_TRACE_ID
    else:
        identity.trace_id = provider.id_generator.generate_trace_id()
        random = _RANDOM_TRACE_ID if _is_random(provider.id_generator) else 0
    name, kind, attributes = _first_look(place.root)
    decision = provider.sampler.should_sample(above, identity.trace_id, name, kind, attributes, ())
    identity.sampled = decision.decision.is_sampled()  # type: ignore[no-untyped-call]
    identity.flags = TraceFlags(random | (TraceFlags.SAMPLED if identity.sampled else 0))
    identity.state = decision.trace_state
    identity.attributes = {
        key: value for key, value in (decision.attributes or {}).items() if key not in attributes
    }
    return identity


def _is_random(generator: object) -> bool:
    is_random = getattr(generator, "is_trace_id_random", None)
    return bool(is_random is not None and is_random())


def _remote_context(carrier: dict[str, str] | None) -> Context:
    if not carrier:
        return Context()
    return propagate.extract({key.lower(): text for key, text in carrier.items()}, Context())


def _first_look(root: SpanLifetime | None) -> tuple[str, SpanKind, dict[str, Any]]:
    """What a sampler may look at: what is known of the root when its first span comes out."""
    if root is None:
        return "", SpanKind.INTERNAL, {}
    attributes = {"whence.type": root.type.name, **(root.attributes or {})}
    attributes.pop("kind", None)
    return span_name(root.type.name, root.name), kind_of(root), attributes
