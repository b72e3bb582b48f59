"""Places in traces: what a lifetime's span needs to know of others, and they of it.

Small records, held by lifetimes and given by the sender thread (`traces.py`).
"""

from typing import Any


class Trace:
    """One tree of spans."""

    __slots__ = ("carrier", "identity", "root", "spans")

    def __init__(self, root: Any) -> None:
        self.root = root
        """Its first SpanLifetime, for a sampler to look at; None once it has an identity."""
        self.carrier: dict[str, str] | None = None
        """The headers of the request that it serves: a remote parent, if they name one."""
        self.identity: Any = None
        """What the exporters made of it, with its first span: ids, and whether it is sampled."""
        self.spans = 0
        """How many were given a place in it."""


class Span:
    """A lifetime's place in a trace; enough for others to name it as parent or link."""

    __slots__ = ("async_id", "consumer", "counted", "depth", "out", "parent", "segment", "trace")

    def __init__(self, trace: Trace, async_id: int, segment: int, parent: "Span | None") -> None:
        self.trace = trace
        self.async_id = async_id
        self.segment = segment
        # By value: a chain of Span objects would keep every ancestor for as long as a child lives.
        self.parent = None if parent is None else (parent.async_id, parent.segment)
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
