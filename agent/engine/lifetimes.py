"""The record of one resource, from its init to its destroy.

A Lifetime never refers to the resource itself, except in `resource` while its callback is on the
stack: nothing of the program lives longer because whence watches it (SEMANTICS 8.4).

Three classes, each with more fields than the one before: what every callback of the program pays
for is only what is asked for.  A field that a class leaves out reads as its default.  All times are
`time.monotonic_ns()`.  One thread at a time writes a Lifetime; any thread may read it.
"""

from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import twin
from .causes import Cause, hop
from .places import Segments, Span
from .resource_types import ResourceType

DONE = "done"
FAILED = "failed"
CANCELLED = "cancelled"
CLOSED = "closed"
COLLECTED = "collected"
OPEN = "open"

KEPT = "kept"
DROPPED = "dropped"


class Lifetime:
    """One resource, as events need it; and what is known of it where nothing is recorded."""

    __slots__ = (
        "async_id",
        "created",
        "notify",
        "open",
        "resource",
        "scope",
        "trigger_async_id",
        "type",
    )

    async_id: int
    type: ResourceType
    trigger_async_id: int
    open: bool
    """Whether destroy is still to come."""
    resource: object
    """The resource, while its callback is on the stack; else None, or not yet set."""
    notify: bool
    """Of what the collector may end: whether a destroy hook was listening at creation, for
    collection is told to no other."""
    scope: "Scope | None"
    """Of a task: what executes inside it, across its steps; a request.  Of that: its own scope."""

    created: int
    """0 if it is not recorded."""

    cause: Cause | None = None
    own_cause: Cause | None = None
    parent: "SpanLifetime | None" = None
    transparent = True

    def as_cause(self) -> Cause | None:
        """None: nothing is known of it."""
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.async_id} {self.type.name}>"


class RecordedLifetime(Lifetime):
    """A resource that the agent records: counted, timed, a link in the chain of causes."""

    __slots__ = (
        "cause",
        "code",
        "entered",
        "error",
        "lasti",
        "own_cause",
        "parent",
        "ready",
        "run",
        "scheduled",
        "steps",
        "transparent",
    )

    transparent: bool
    """It becomes no span."""
    scheduled: int
    """Since when it has been waiting for its turn on the loop, or for a worker thread.  0 after its
    callback, until it is scheduled again: nobody says when a protocol callback was due."""
    entered: int
    run: int
    ready: int
    steps: int
    code: CodeType | None
    lasti: int
    """With `code`: where the program created it (`whence.engine.sites`)."""
    cause: Cause | None
    """What triggered it, as `own_cause` is what its children are triggered by."""
    own_cause: Cause | None
    parent: "SpanLifetime | None"
    """The nearest ancestor that may become a span; of a transparent one, its children's parent."""
    error: tuple[str, str] | None
    """Of a failure: exception type and message, formatted at once, so that no traceback is kept."""

    name: str | None = None

    def as_cause(self) -> Cause | None:
        """The cause that everything it triggers is given; one object for all of it."""
        if self.own_cause is None:
            self.own_cause = hop(
                self.async_id, self.type, self.name, self.code, self.lasti, self.cause
            )
        return self.own_cause


class SpanLifetime(RecordedLifetime):
    """A resource that may become a span."""

    __slots__ = (
        "attributes",
        "children",
        "ended",
        "events",
        "execution_async_id",
        "fate",
        "fire_and_forget",
        "keep",
        "link",
        "links",
        "name",
        "outcome",
        "segments",
        "span",
        "spliced",
        "thread_id",
    )

    name: str | None
    """The callback or coroutine; a low-cardinality part of the span's name."""
    execution_async_id: int
    thread_id: int
    ended: int
    outcome: str
    keep: bool
    """A child or a link of it is exported, so it must be."""
    fate: str | None
    """KEPT or DROPPED, once it has ended."""
    span: Span | None
    """Its place in a trace, given by the sender thread, or when the program asks for it."""
    link: "SpanLifetime | Span | None"
    """What a root is linked to: what triggered it, or the segment that it continues."""
    links: "list[tuple[SpanLifetime | Span, str]] | None"
    """What else it is linked to, with the reason."""
    spliced: Any
    """For whoever shows it to the program as the current span; not set at first."""
    children: int
    """Spans-to-be that it triggered and that are still open."""
    fire_and_forget: bool
    """It ended while something that it triggered was still open."""
    attributes: dict[str, Any] | None
    events: list[tuple[str, int, dict[str, Any]]] | None
    """What happened in it: a name, when, and attributes."""
    segments: Segments | None

    @property
    def wait(self) -> int:
        """Nanoseconds of its life that were neither run nor ready."""
        return max(0, self.ended - self.created - self.run - self.ready)

    def copy(self) -> "SpanLifetime":
        """The same record again, for a segment."""
        twin = SpanLifetime()
        for record in (RecordedLifetime, SpanLifetime):
            for field in record.__slots__:
                setattr(twin, field, getattr(self, field, 0))
        twin.async_id, twin.type = self.async_id, self.type
        twin.trigger_async_id, twin.open = self.trigger_async_id, self.open
        twin.created = self.created
        return twin


class Scope(NamedTuple):
    """A lifetime that executes inside a task: entered and left with each of the task's steps."""

    lifetime: Lifetime
    resource: Callable[[], object]
    """A weak reference: a task that is dropped unfinished must be collectable."""
    task: Lifetime
    outer: "Scope | None"


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Lifetime, RecordedLifetime, Scope, SpanLifetime
