"""The kind of a span.

SERVER serves a request, CLIENT asks somebody.  PRODUCER was done while something that it started
still went on, and CONSUMER is what still went on, so a viewer does not take the one to have waited
for the other.  The rest is INTERNAL.
"""

from opentelemetry.trace import SpanKind

from whence.engine import SpanLifetime
from whence.engine.resource_types import REQUEST

KIND = "kind"
"""The key under which an instrumentation leaves a kind among the attributes."""

_BY_WORD = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}
_BY_TYPE = {REQUEST: SpanKind.SERVER}


def kind_of(lifetime: SpanLifetime) -> SpanKind:
    """The kind of its span, as far as is known by now."""
    word = None if lifetime.attributes is None else lifetime.attributes.get(KIND)
    if word in _BY_WORD:
        return _BY_WORD[word]
    kind = _BY_TYPE.get(lifetime.type)
    if kind is not None:
        return kind
    if lifetime.span is not None and lifetime.span.consumer:
        return SpanKind.CONSUMER
    # Of what is still open it is not known.
    if lifetime.fate is not None and lifetime.fire_and_forget:
        return SpanKind.PRODUCER
    return SpanKind.INTERNAL
