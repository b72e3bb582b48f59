"""Places in traces, given: below the parent, after its ancestors; or as the root of a trace.

- Ancestors that have no place yet are placed first.  Those that are certain not to be exported are
  passed over; the others are told to be kept.
- No trace is deeper than `MAX_DEPTH`: what would be below roots a new one, linked.
- Two threads may give a place at once, the sender's and one of the program's; the first one counts,
  and neither waits.  A lifetime is given a place at once when the program asks for the context of
  its span, which from then on is what it is: it will be exported, however full its trace and
  however short it is.
"""

from collections.abc import Callable
from time import sleep
from typing import TYPE_CHECKING

from . import twin
from .lifetimes import DROPPED, KEPT, SpanLifetime
from .parents import standing_for
from .places import Span, Trace
from .recorder import is_listed

MAX_DEPTH = 48
_MOMENTS = 100
"""How often to look again at a parent that is about to end in another thread."""


def place_each(
    lifetimes: list[SpanLifetime], max_spans: int, place: Callable[[SpanLifetime], bool]
) -> list[SpanLifetime]:
    """Place ended lifetimes: the list, which has those left that are exported.  `place` is for what
    is not ordinary."""
    lifetimes[:] = [
        lifetime for lifetime in lifetimes if place_ordinary(lifetime, max_spans) or place(lifetime)
    ]
    return lifetimes


def place_ordinary(lifetime: SpanLifetime, max_spans: int) -> bool:
    """Place the ordinary child of a parent that has its place already.  False: it is none.

    Nearly all are, and so are spared what the others need.  `max_spans` is the most that its trace
    may have."""
    parent = lifetime.parent
    if (
        parent is None
        or (above := parent.span) is None
        or lifetime.span is not None
        or lifetime.link is not None
        or lifetime.links is not None
        or parent.segments is not None
        or parent.transparent
        or above.depth >= MAX_DEPTH
        or (trace := above.trace).spans >= max_spans
        or trace.remote is not None
    ):
        return False
    # First it is told to be kept; if it ends meanwhile, it has heard it or says that it is not.
    parent.keep = True
    done = parent.fate is KEPT
    if not done and (parent.fate is not None or not is_listed(parent)):
        return False
    trace.spans += 1
    span = give(lifetime, Span(trace, lifetime.async_id, 0, above))
    span.consumer = done and parent.fire_and_forget and parent.ended <= lifetime.ended
    span.out = True
    lifetime.spliced = lifetime.parent = None
    return True


def place_now(lifetime: SpanLifetime) -> Span | None:
    """The place of a lifetime, in a thread of the program's, which has just asked for the context
    of its span; None if it has ended, and will not be exported.

    The lifetime is kept."""
    if not _is_certain(lifetime, 1):
        return None
    span = span_of(lifetime, 1)
    span.trace.admitted = True
    if span.trace.wanted is None:
        span.trace.wanted = True
    return span


def span_of(lifetime: SpanLifetime, moments: int = _MOMENTS) -> Span:
    """The place of a lifetime; its ancestors that have none yet are placed first."""
    unplaced: list[SpanLifetime] = []
    link: SpanLifetime | None = lifetime
    while link is not None and link.span is None:
        unplaced.append(link)
        link = settled(link.parent, moments)
    parent = None if link is None else span_at(link, unplaced[-1] if unplaced else lifetime)
    for child in reversed(unplaced):
        parent = give(child, new_span(child, parent))
    assert lifetime.span is not None
    return lifetime.span


_given: dict[int, Span] = {}
"""Id of a lifetime -> its place, while it is being given one."""


def give(lifetime: SpanLifetime, span: Span) -> Span:
    """Give a lifetime its place, if another thread does not at this moment; the one it has then.

    Both take what the dictionary says, which takes the first."""
    span = _given.setdefault(lifetime.async_id, span)
    if lifetime.span is None:
        lifetime.span = span
    _given.pop(lifetime.async_id, None)
    return lifetime.span


def settled(ancestor: SpanLifetime | None, moments: int = _MOMENTS) -> SpanLifetime | None:
    """The first from here upwards that is certain to be exported."""
    while True:
        ancestor, _ = standing_for(ancestor)
        if ancestor is None or _is_certain(ancestor, moments):
            return ancestor
        ancestor = ancestor.parent


def settled_link(target: SpanLifetime | None) -> SpanLifetime | None:
    """The same of what a root is linked to: what stands for it may be a link as well."""
    while True:
        stands, link = standing_for(target)
        target = stands or link
        if target is None or _is_certain(target):
            return target


def _is_certain(ancestor: SpanLifetime, moments: int = _MOMENTS) -> bool:
    """Whether it will be exported, or has been; what says no will be passed over from now on.

    An open one is told to be; one that is ending at this very moment, in another thread, has either
    heard it or is about to say that it was dropped.  One that is forgotten, because a fork or a
    detach came between, will never say anything.  Who has but one moment does not wait for it, and
    leaves it to others to pass it over."""
    ancestor.keep = True
    for moment in range(moments):
        if ancestor.fate is not None or is_listed(ancestor):
            return ancestor.fate is not DROPPED
        if moment + 1 < moments:
            sleep(0.0001)
    if moments == _MOMENTS:
        ancestor.fate = DROPPED
    return False


def new_span(child: SpanLifetime, parent: Span | None) -> Span:
    """A place for a lifetime below this one; at the root of a trace if there is none, or it is deep
    enough."""
    if parent is None or parent.depth >= MAX_DEPTH:
        return root_span(child, parent)
    trace = parent.trace
    trace.spans += 1
    if trace.remote is not None and trace.identity is None and trace.root is None:
        trace.root = child
    return Span(trace, child.async_id, 0, parent)


def root_span(child: SpanLifetime, link: Span | None) -> Span:
    """A place at the root of a new trace, linked to this one or as the root left out was."""
    if link is not None:
        child.link = link
    elif child.parent is not None:
        # None of its ancestors is exported: it takes the place of their root.
        child.link = standing_for(child.parent)[1]
    trace = Trace(child)
    trace.spans = 1
    if link is not None:
        # It goes on with the other one.
        trace.wanted = link.trace.wanted
    if child.attributes is not None:
        trace.carrier = child.attributes.pop("carrier", None)
    span = trace.top = Span(trace, child.async_id, 0, None)
    return span


def nearest_span(lifetime: SpanLifetime, parent: SpanLifetime | None) -> Span | None:
    """The place under which it would be put; None if its ancestors have none either."""
    child = lifetime
    while parent is not None:
        if parent.span is not None:
            return span_at(parent, child)
        child, parent = parent, settled(parent.parent)
    return None


def first_place(lifetime: SpanLifetime) -> Span:
    """The place of the nearest from here upwards that has one; else the root is given one."""
    child = lifetime
    while child.span is None:
        ancestor = settled(child.parent)
        if ancestor is None:
            return give(child, new_span(child, None))
        if ancestor.span is not None:
            return span_at(ancestor, child)
        child = ancestor
    return child.span


def span_at(parent: SpanLifetime, child: SpanLifetime) -> Span:
    """The place of a parent, which has one, when its child was created."""
    if parent.segments is not None:
        return parent.segments.at(child.created)
    assert parent.span is not None
    return parent.span


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import give, place_each, place_ordinary
