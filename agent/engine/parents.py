"""Under which parent a lifetime's span will stand, and which lifetimes are kept.

The rules (a span's parent is what *triggered* the resource):

- A lifetime is kept if it took `min_duration`, failed, or something of it is exported: a kept child
  keeps its parent.  **The parent is settled when the child ends**: a transparent or dropped one
  forwards to its own, an open one is kept from then on.  So no span is ever exported whose parent
  is not.
- No ancestor with a span: the root of a new trace.
- A *boundary* type, a timer re-armed from its own chain, or anything triggered by a *container*
  (server, connection, signal): the root of a new trace, linked to what triggered it.

This runs in the program's threads, for every resource that may become a span: a few reads and
writes and no lock.  Traces, ids and limits are the sender thread's affair (`traces.py`).
"""

from .lifetimes import DROPPED, Lifetime, SpanLifetime
from .types import TIMER_HANDLE


def adopt(child: SpanLifetime, trigger: Lifetime) -> None:
    """Give a new lifetime its parent, or its link if it is a root."""
    child.parent = child.link = None
    nearest: SpanLifetime | None = (
        trigger.parent if trigger.transparent else trigger  # type: ignore[assignment]
    )
    if nearest is None:
        return
    if nearest.transparent or nearest.fate is DROPPED:
        nearest = surviving(nearest)
        if nearest is None:
            return
    if (
        child.type.boundary
        or nearest.type.container
        or (child.type is TIMER_HANDLE and _rearmed(child, nearest))
    ):
        child.link = nearest
    else:
        child.parent = nearest
        nearest.children += 1


def surviving(ancestor: SpanLifetime | None) -> SpanLifetime | None:
    """The first that is, or may become, a span: this one or the nearest of its ancestors."""
    while ancestor is not None and (ancestor.transparent or ancestor.fate is DROPPED):
        ancestor = ancestor.parent
    return ancestor


def _rearmed(child: SpanLifetime, ancestor: SpanLifetime | None) -> bool:
    """Whether a timer was created where an ancestor of its own was: a period, not a descent."""
    while ancestor is not None:
        if (
            ancestor.type is TIMER_HANDLE
            and ancestor.code is child.code
            and ancestor.lasti == child.lasti
            and ancestor.code is not None
        ):
            return True
        ancestor = ancestor.parent
    return False


def make_root(child: SpanLifetime) -> None:
    """Take a lifetime out of its parent's trace: it turned out to root its own."""
    if child.parent is not None:
        child.parent.children -= 1
        child.parent, child.link = None, child.parent


def keep_family(child: SpanLifetime) -> None:
    """A kept lifetime has ended: settle its parent, or its link, and keep it."""
    if child.parent is not None:
        child.parent = parent = surviving(child.parent)
        if parent is not None:
            parent.keep = True
    elif isinstance(child.link, SpanLifetime):
        child.link = link = surviving(child.link)
        if link is not None:
            link.keep = True


def forget_family(child: SpanLifetime) -> None:
    """It will not be exported: keep only the way past it, for what it triggered.

    Else a chain, in which each triggers the next and ends, would keep all that came before."""
    child.parent = surviving(child.parent)
    child.link = None
