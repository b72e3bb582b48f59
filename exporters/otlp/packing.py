"""The spans of a batch in protobuf, where the engine is in C: it packs them itself.

What it does is what `templates.py` does, in the same way; here it is told what it asks for, which
is what is rare.
"""

from collections.abc import Iterator, Sequence

from whence.engine import SpanLifetime, Trace, TraceIdentity
from whence.engine.packing import ROOMS, Packer

from ..identity import flags_of_kept
from ..kinds import KIND, kind_of
from ..provider import OwnIdGenerator, Provider
from ..spans import PRIVATE, SpanMaker
from . import protobuf_wire as wire
from .fields import flags
from .protobuf import KINDS, NO_STATUS, AttributeEncoder, Run, SpanEncoder
from .templates import DIFFERING, TemplateEncoder, before

Pieces = tuple[tuple[bytes, bytes, int], ...]
"""What is the same in all spans, an attribute without its number, and which number that is."""

_FIELDS = {
    "whence.async_id": "async_id",
    "whence.trigger_id": "trigger_async_id",
    "whence.execution_id": "execution_async_id",
    "whence.run_time": "run",
    "whence.ready_time": "ready",
    "whence.wait_time": "wait",
    "whence.steps": "steps",
}


def _room(key: str) -> tuple[bytes, int]:
    seconds = key.endswith("_time")
    before_number = before(key, wire.DOUBLE_VALUE, 8) if seconds else before(key, wire.INT_VALUE, 0)
    return before_number, ROOMS.index(_FIELDS[key])


_ROOM = {key: _room(key) for key in _FIELDS} if ROOMS else {}
_NO_ROOM = len(ROOMS) - 1


class PackingEncoder:
    """Encodes batches."""

    def __init__(self, maker: SpanMaker, most: int) -> None:
        """The span that makes it `most` bytes, or more, ends a run."""
        self._maker = maker
        self._encoder = SpanEncoder()
        self._provider: Provider | None = None
        of_links = AttributeEncoder(wire.LINK_ATTRIBUTE)
        self.packer = Packer(
            owner=self,
            seed=maker.identities.ids.seed,
            most=most,
            private_keys=frozenset(PRIVATE),
            trigger=of_links.one("whence.link", "trigger"),
            segment=of_links.one("whence.link", "segment"),
        )

    @property
    def unsampled(self) -> int:
        """How many of the present batch are not sampled, as far as it has been encoded."""
        unsampled: int = self.packer.unsampled
        return unsampled

    def runs(self, batch: Sequence[SpanLifetime]) -> Iterator[Run]:
        """Those that are sampled.  A run is good until the next is asked for."""
        self._begin()
        whole = batch if type(batch) is list else list(batch)
        at = 0
        while at < len(whole):
            at, number, run = self.packer.run(whole, at)
            if number:
                yield number, run

    def _begin(self) -> None:
        self._maker.refresh()
        provider = self._maker.provider
        if provider is not self._provider:
            self._provider = provider
            limits, generator = provider.limits, provider.id_generator
            self.packer.limit(
                _or_any(limits.max_span_attributes),
                _or_any(limits.max_links),
                limits.max_span_attribute_length is not None,
            )
            if provider.keeps_all and isinstance(generator, OwnIdGenerator):
                self.packer.keep_all(flags_of_kept(provider), generator.trace_ids)
            else:
                self.packer.keep_all(None, None)
        self.packer.unsampled = 0

    def identity_of(self, trace: Trace) -> TraceIdentity:
        """Who a trace is that has not been asked for."""
        return self._maker.identity_of(trace)

    def by_itself(self, lifetime: SpanLifetime) -> bytes:
        """A span the long way; nothing if there is no way."""
        try:
            return self._encoder.span(self._maker.span(lifetime))
        except Exception:
            return b""

    def template_of(self, lifetime: SpanLifetime) -> tuple[bytes, Pieces, frozenset[str]] | None:
        """What all that are like this one have in common; None if that cannot be said."""
        specimen = lifetime.copy()
        specimen.attributes = {KIND: kind_of(lifetime).name.lower()}
        specimen.link = None
        span = self._maker.span(specimen)
        if span.dropped_attributes or [key for key in span.attributes if key in _ROOM] != DIFFERING:
            return None  # a limit has taken what differs
        head = self._encoder.name(span.name) + wire.KIND + KINDS[span.kind]
        pieces = []
        chunk = b""
        for key, value in span.attributes.items():
            if key in _ROOM:
                pieces.append((chunk, *_ROOM[key]))
                chunk = b""
            else:
                chunk += self._encoder.attributes.one(key, value)
        chunk += NO_STATUS + wire.FLAGS + wire.pack_fixed32(flags(span.parent))
        pieces.append((chunk, b"", _NO_ROOM))
        return head, tuple(pieces), frozenset(span.attributes)


def encoder_for(maker: SpanMaker, most: int) -> PackingEncoder | TemplateEncoder:
    """The encoder that goes with the engine."""
    return TemplateEncoder(maker, most) if Packer is None else PackingEncoder(maker, most)


def _or_any(most: int | None) -> int:
    return -1 if most is None else most
