"""Spans of the application, as what the program triggers inside of them sees them: as ancestors.

A UserSpan stands where a lifetime of ours would: it has a place in a trace, is never dropped, and
children.  It knows ids, and keeps nothing of the application's span: what is triggered in it may
live longer than that.

What OpenTelemetry's API has to be asked is told to it, by `opentelemetry_context.py` among the
instrumentations.
"""

from weakref import WeakValueDictionary

from .lifetimes import KEPT, SpanLifetime
from .places import Span, Trace, TraceIdentity
from .resource_types import ResourceType

_ROW = ResourceType("UserSpan", 0)

_traces: "WeakValueDictionary[tuple[int, bool], Trace]" = WeakValueDictionary()
"""By trace id: all spans of the application in one trace have their places in the same.  And by
whether it is sampled, of which two callers of one trace may have different ideas."""


class UserSpan(SpanLifetime):
    """A span of the application."""

    __slots__ = ("goes_on", "leads")

    def __init__(
        self, identity: TraceIdentity, context: object, within: SpanLifetime | None, *, remote: bool
    ) -> None:
        """`within` is the lifetime that executes, if the span is of the same trace as that.

        Of a remote one the sampler is asked what becomes of its children."""
        self.goes_on = True
        """Whether it has not ended, as far as was known when it was last asked for."""
        self.leads = True
        """Whether what is triggered in it stands under it, and is not just linked to it."""
        self.type = _ROW
        # Of no resource: 0 is that of threads that nobody saw start.
        self.async_id = -1
        self.created = self.children = 0
        self.transparent = self.fire_and_forget = False
        # Nothing of ours is to be added to it.
        self.open = False
        self.keep = True
        self.fate = KEPT
        self.parent = within
        self.link = self.links = self.segments = self.code = None
        place = None if within is None else within.span
        self.span = Span(_trace_of(identity, context, place, remote), -1, 0, None)
        self.span.depth = 0 if place is None else place.depth + 1
        self.span.context = context
        self.span.out = True


def _trace_of(identity: TraceIdentity, context: object, place: Span | None, remote: bool) -> Trace:
    if place is not None:
        known = place.trace.identity
        if known is None or known.sampled == identity.sampled:
            return place.trace
    key = (identity.trace_id, identity.sampled)
    trace = _traces.get(key)
    if trace is None:
        trace = Trace(None)
        if remote:
            trace.remote = context
        else:
            trace.identify(identity)
        trace = _traces.setdefault(key, trace)
    return trace
