"""Who a span is: ids, whether its trace is sampled, and when it was on the wall clock.

A trace gets its identity with the first of its spans that comes out, or when the program asks for
the context of one.  The ids of spans are worked out of what is known anyway, so nothing has to be
kept for them.

The sender thread calls this, and threads of the program.
"""

import os
from functools import cache
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from whence.engine import Span, SpanLifetime, Trace, TraceIdentity
from whence.naming import span_name

from .kinds import kind_of
from .provider import Provider

_MASK = (1 << 64) - 1
SEGMENT_SHIFT = 48
ID_LOW_BITS = 10
ID_LOW_MASK = (1 << ID_LOW_BITS) - 1
_MAX_KNOWN = 10_000
_RANDOM_TRACE_ID = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)


class SpanIds:
    """Span ids, worked out of what identifies a span in this process.

    They are random to whoever looks: the id is a random number that stands for the lowest bits of
    the resource's id, XORed with one that stands for the rest and for the segment.  So two are the
    same as rarely as any two random numbers."""

    __slots__ = ("high", "low", "seed")

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed = int.from_bytes(os.urandom(8)) if seed is None else seed
        self.low = [_mixed(seed + number) for number in range(1 << ID_LOW_BITS)]
        self.high = _HighParts(~seed)

    def raw(self, async_id: int, segment: int) -> int:
        """The id of one segment of one resource, as the number whose little-endian bytes it is:
        `struct` packs that together with the times, which protobuf wants in the same order."""
        which = segment << SEGMENT_SHIFT | async_id
        return self.low[which & ID_LOW_MASK] ^ self.high[which >> ID_LOW_BITS] or 1

    def of(self, async_id: int, segment: int) -> int:
        """The same id as OpenTelemetry reads it: 64 bits, not 0."""
        return int.from_bytes(self.raw(async_id, segment).to_bytes(8, "little"), "big")


class _HighParts(dict[int, int]):
    """All but the lowest bits of what identifies a span -> a random number, always the same."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __missing__(self, which: int) -> int:
        if len(self) >= _MAX_KNOWN:
            self.clear()
        made = self[which] = _mixed(self._seed ^ which)
        return made


def _mixed(number: int) -> int:
    """splitmix64: every bit of the number changes half of the result's."""
    number = number * 0x9E3779B97F4A7C15 & _MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _MASK
    return number ^ number >> 31


class Identities:
    """Gives traces their identity, and spans their contexts."""

    def __init__(self) -> None:
        self.ids = SpanIds()

    def of_trace(self, place: Trace, provider: Provider) -> TraceIdentity:
        """The identity of a trace; the sampler is asked once."""
        return place.identity or place.identify(_new_identity(place, provider))

    def context_of(self, span: Span, provider: Provider) -> SpanContext:
        """The context of a span, for its own record or for a link to it."""
        if span.context is None:
            self.of_trace(span.trace, provider)
        return self.known_context_of(span)

    def known_context_of(self, span: Span) -> SpanContext:
        """The same, if its trace has its identity."""
        if span.context is not None:
            known: SpanContext = span.context
            return known
        return self._context(span.trace, span.async_id, span.segment)

    def parent_of(self, span: Span, provider: Provider) -> SpanContext | None:
        """The context of its parent: ours, the application's, in another process, or None."""
        if span.above is not None:
            known: SpanContext = span.above
            return known
        identity = self.of_trace(span.trace, provider)
        if span.parent is None:
            remote: SpanContext | None = identity.remote_parent
            return remote
        return self._context(span.trace, *span.parent)

    def _context(self, place: Trace, async_id: int, segment: int) -> SpanContext:
        identity = place.identity
        assert identity is not None
        return SpanContext(
            identity.trace_id,
            self.ids.of(async_id, segment),
            is_remote=False,
            trace_flags=identity.flags,
            trace_state=identity.state,
        )


_identities: dict[int, Identities] = {}


def identities() -> Identities:
    """Those of this process: who asks for the same span gets the same ids."""
    pid = os.getpid()
    return _identities.get(pid) or _identities.setdefault(pid, Identities())


def _new_identity(place: Trace, provider: Provider) -> TraceIdentity:
    above, remote = _remote_parent(place)
    if remote is not None:
        trace_id = remote.trace_id
        random = remote.trace_flags & _RANDOM_TRACE_ID
    else:
        trace_id = provider.id_generator.generate_trace_id()
        random = _random_flag(provider.id_generator)
        if provider.keeps_all:
            return TraceIdentity(trace_id, flags_of_kept(provider), None, sampled=True)
    name, kind, attributes = _first_look(place.root)
    decision = provider.sampler.should_sample(above, trace_id, name, kind, attributes, ())
    sampled = decision.decision.is_sampled()  # type: ignore[no-untyped-call]
    flags = _sampled(random) if sampled else TraceFlags(random)
    identity = TraceIdentity(trace_id, flags, decision.trace_state, sampled=sampled)
    identity.remote_parent = remote
    identity.attributes = {
        key: value for key, value in (decision.attributes or {}).items() if key not in attributes
    }
    return identity


@cache
def _sampled(random: int) -> TraceFlags:
    return TraceFlags(random | TraceFlags.SAMPLED)


def flags_of_kept(provider: Provider) -> TraceFlags:
    """Of a trace that continues no other, and is kept."""
    return _sampled(_random_flag(provider.id_generator))


def _random_flag(generator: object) -> int:
    is_random = getattr(generator, "is_trace_id_random", None)
    return _RANDOM_TRACE_ID if is_random is not None and is_random() else 0


def _remote_parent(place: Trace) -> tuple[Context, SpanContext | None]:
    """What a sampler is told of the parent, and the parent."""
    # Read once: who gives the trace its identity meanwhile takes it away.
    carrier = place.carrier
    if place.remote is not None:
        above = trace.set_span_in_context(NonRecordingSpan(place.remote), Context())
    elif carrier:
        # Loading the propagators takes time, which many a program never needs.
        from opentelemetry import propagate

        above = propagate.extract({key.lower(): text for key, text in carrier.items()}, Context())
    else:
        return Context(), None
    remote = trace.get_current_span(above).get_span_context()
    return above, remote if remote.is_valid else None


def _first_look(root: SpanLifetime | None) -> tuple[str, SpanKind, dict[str, Any]]:
    """What a sampler may look at: what is known of the root when its first span comes out."""
    if root is None:
        return "", SpanKind.INTERNAL, {}
    attributes = {"whence.type": root.type.name, **(root.attributes or {})}
    attributes.pop("kind", None)
    return span_name(root.type.name, root.name), kind_of(root), attributes
