"""Places in traces: what a lifetime's span needs to know of others, and they of it.

Small records, held by lifetimes.  The sender thread gives them, or a thread of the program's that
asks for the context of a span (`traces.py`); so what both may give is given once, without a lock:
the first one counts.
"""

from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any

from . import twin


class TraceIdentity:
    """What is the same for all spans of a trace, in the terms of OpenTelemetry."""

    __slots__ = ("attributes", "epoch", "flags", "remote_parent", "sampled", "state", "trace_id")

    def __init__(self, trace_id: int, flags: Any, state: Any, *, sampled: bool) -> None:
        self.trace_id = trace_id
        self.sampled = sampled
        self.flags = flags
        """A TraceFlags."""
        self.state = state
        """A TraceState, or None."""
        self.remote_parent: Any = None
        """The SpanContext in another process that its root continues."""
        self.attributes: dict[str, Any] = {}
        """What the sampler adds to the root."""
        self.epoch = time_ns() - monotonic_ns()
        """Wall clock minus monotonic clock, read once: no child starts before its parent."""


class Trace:
    """One tree of spans."""

    __slots__ = (
        "__weakref__",
        "_made",
        "admitted",
        "carrier",
        "identity",
        "remote",
        "root",
        "spans",
        "top",
        "wanted",
    )

    def __init__(self, root: Any) -> None:
        self.admitted: bool | None = None
        """Whether there was room for it among the spans of its second; None: nobody has asked."""
        self.wanted: bool | None = None
        """Whether the user wants to see it; None: nobody has asked."""
        self.root = root
        """Its first SpanLifetime, for a sampler to look at; None once it has an identity."""
        self.carrier: dict[str, str] | None = None
        """The headers of the request that it serves: a remote parent, if they name one."""
        self.remote: Any = None
        """The SpanContext of a remote parent that the program itself has made current."""
        self.identity: TraceIdentity | None = None
        """Given with its first span, or when the program first asks for the context of one."""
        self._made: list[TraceIdentity] = []
        self.top: Span | None = None
        """The place of its root, until that is out."""
        self.spans = 0
        """How many were given a place in it."""

    def identify(self, identity: TraceIdentity) -> TraceIdentity:
        """Give it an identity, if it has none; it never gets another.  Any thread."""
        self._made.append(identity)
        self.identity = self._made[0]
        self.root = self.carrier = None
        return self.identity


class Span:
    """A lifetime's place in a trace; enough for others to name it as parent or link."""

    __slots__ = (
        "above",
        "async_id",
        "consumer",
        "context",
        "counted",
        "depth",
        "out",
        "parent",
        "segment",
        "trace",
    )

    def __init__(self, trace: Trace, async_id: int, segment: int, parent: "Span | None") -> None:
        self.trace = trace
        self.async_id = async_id
        self.segment = segment
        self.context: Any = None
        """The SpanContext of a span that is not ours."""
        # By value: a chain of Span objects would keep every ancestor for as long as a child lives.
        self.parent: tuple[int, int] | None = None
        """Of a parent that is ours: its `async_id` and `segment`."""
        self.above: Any = None
        """Of a parent that is not: its SpanContext."""
        if parent is not None:
            self.above = parent.context
            if parent.context is None:
                self.parent = (parent.async_id, parent.segment)
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.out = False
        """Its record was handed to the exporters: nothing more can be counted on it."""
        self.consumer = False
        """Its parent was done before it was."""
        self.counted: dict[tuple[str, str | None], list[int]] | None = None
        """(type, name) -> [number, nanoseconds] of what was too much for the trace."""


class Segments:
    """The segments of a long life: where the present one began, and the spans of the last ones."""

    __slots__ = ("ready", "run", "spans", "start", "steps")

    def __init__(self, start: int, span: Span) -> None:
        self.start = start
        self.run = 0
        self.ready = 0
        self.steps = 0
        self.spans: list[tuple[int, Span]] = [(start, span)]

    def at(self, moment: int) -> Span:
        """The span of the segment in which `moment` was."""
        for start, span in reversed(self.spans):
            if start <= moment:
                return span
        return self.spans[0][1]


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Span, Trace, TraceIdentity
