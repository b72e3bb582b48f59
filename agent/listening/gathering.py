"""From lifetimes as they come out of the ring to whole traces, for listeners in the process.

A trace is finished when all that was given a place in it has come out and nothing that may still
get one is open: its root, what that triggered, and so on.  What outlives the root is waited for;
what is open for long is cut into segments, and so waited for no longer than that takes.

Only the sender thread calls this.
"""

from time import monotonic

from ..engine import RecordedLifetime, SpanLifetime, Trace, open_lifetimes
from ..engine.parents import standing_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .trace_listener import TraceListener

LOOK_EVERY = 0.25
"""Seconds between two looks for finished traces, while there are any to wait for."""
MOST_HELD = 65_536
"""Lifetimes of unfinished traces; beyond that the oldest trace is handed over as it is."""


class _Tree:
    """What has come out of a trace so far."""

    __slots__ = ("began", "records", "seen", "since")

    def __init__(self) -> None:
        self.records: list[SpanLifetime] = []
        self.since = monotonic()
        self.began: int | None = None
        """When its root was created, once that has come out."""
        self.seen = 0
        """How many records there were at the last look, if nothing was missing then."""

    def add(self, record: SpanLifetime) -> None:
        self.records.append(record)
        if record.span is not None and record.span.parent is None:
            # A trace of the application's may have several roots of ours.
            began = record.created
            self.began = began if self.began is None else min(began, self.began)

    def has_all(self, trace: Trace) -> bool:
        return self.began is not None and len(self.records) >= trace.spans


class Gathering:
    """Holds the lifetimes of traces until these are finished, and hands them to the listeners."""

    def __init__(self, segment: float) -> None:
        """`segment` is the length in seconds of what is cut."""
        self.listeners: tuple[TraceListener, ...] = ()
        # What was triggered at the end of the root's segment is cut one segment later.
        self._longest = 2 * segment
        self._trees: dict[Trace, _Tree] = {}
        self._held = 0

    @property
    def waits(self) -> bool:
        """Whether there is something to look at again soon."""
        return bool(self._trees) or any(listener.waits for listener in self.listeners)

    def take(self, batch: "Sequence[SpanLifetime]") -> None:
        """Hold what has come out, each with its place."""
        if not self.listeners:
            return
        for lifetime in batch:
            assert lifetime.span is not None
            trace = lifetime.span.trace
            tree = self._trees.get(trace)
            if tree is None:
                tree = self._trees[trace] = _Tree()
            tree.add(lifetime)
        self._held += len(batch)

    def look(self) -> None:
        """Hand over the traces that are finished.  To be called when the ring is empty.

        What is ending at the moment of one look is neither open nor in the ring; it has come out by
        the next.  So a trace is finished when two looks find the same."""
        if not self.listeners:
            self._trees.clear()
            self._held = 0
            return
        whole = {trace: tree for trace, tree in self._trees.items() if tree.has_all(trace)}
        still_open = _open_in(whole)
        for trace, tree in whole.items():
            if trace in still_open:
                tree.seen = 0
            elif tree.seen == len(tree.records):
                self._hand_over(trace, has_all=True)
            else:
                tree.seen = len(tree.records)
        self._hand_over_old_ones()
        for listener in self.listeners:
            listener.go_on()

    def hand_over_all(self) -> None:
        """Hand over every trace, as it is: there will be no more looks."""
        still_open = _open_in(self._trees)
        for trace, tree in list(self._trees.items()):
            self._hand_over(trace, tree.has_all(trace) and trace not in still_open)

    def _hand_over_old_ones(self) -> None:
        too_old = monotonic() - self._longest
        # The first of them is the one of which something came out first.
        for trace, tree in list(self._trees.items()):
            if tree.since > too_old and self._held <= MOST_HELD:
                return
            self._hand_over(trace, has_all=False)

    def _hand_over(self, trace: Trace, has_all: bool) -> None:
        records = self._trees.pop(trace).records
        self._held -= len(records)
        for listener in self.listeners:
            listener.put(records, has_all)


def _open_in(trees: "Mapping[Trace, _Tree]") -> set[Trace]:
    """Those of the traces in which something is open, or may yet begin."""
    began = [tree.began for tree in trees.values() if tree.began is not None]
    found: set[Trace] = set()
    if not began:
        return found
    oldest = min(began)
    # In the order of their creation; nothing in a trace is older than its root.
    for lifetime in reversed(list(open_lifetimes.values())):
        if lifetime.created < oldest:
            break
        trace = _trace_of(lifetime)
        if trace is not None:
            found.add(trace)
    return found


def _trace_of(lifetime: RecordedLifetime) -> Trace | None:
    """The trace that an open lifetime is in, or what its callback will trigger."""
    if lifetime.transparent or not isinstance(lifetime, SpanLifetime):
        if not lifetime.type.once:
            # It may never do anything more, such as a future that nobody settles.
            return None
    elif lifetime.span is not None:
        return lifetime.span.trace
    child = lifetime
    while True:
        ancestor, _ = standing_for(child.parent)
        if ancestor is None:
            return None
        if ancestor.segments is not None:
            return ancestor.segments.at(child.created).trace
        if ancestor.span is not None:
            return ancestor.span.trace
        child = ancestor
