"""Under which parent a lifetime's span will stand, and which lifetimes are kept.

The rules (a span's parent is what *triggered* the resource):

- A lifetime is kept if it took `min_duration`, failed, or something of it is exported: a kept child
  keeps its parent.  **The parent is settled when the child ends**: a transparent or dropped one
  forwards to its own, an open one is kept from then on.  So no span is ever exported whose parent
  is not.
- No ancestor with a span: the root of a new trace, with the link of the root that is left out.
- A *boundary* type, a timer re-armed from its own chain, or anything triggered by a *container*
  (server, connection, signal): the root of a new trace, linked to what triggered it.

This runs in the program's threads, for every resource that may become a span: a few reads and
writes and no lock.  Traces, ids and limits are the sender thread's affair (`traces.py`).
"""

from .lifetimes import DROPPED, Lifetime, SpanLifetime
from .resource_types import TIMER_HANDLE


def adopt(child: SpanLifetime, trigger: Lifetime) -> None:
    """Give a new lifetime its parent, or its link if it is a root."""
    child.parent = child.link = None
    nearest: SpanLifetime | None = (
        trigger.parent if trigger.transparent else trigger  # type: ignore[assignment]
    )
    if nearest is None:
        return
    if nearest.transparent or nearest.fate is DROPPED:
        nearest, child.link = standing_for(nearest)
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


def standing_for(
    ancestor: SpanLifetime | None,
) -> tuple[SpanLifetime | None, SpanLifetime | None]:
    """What is, or may become, a span in place of this one: as a parent, or else as a link.

    It is the ancestor itself, or the nearest above it; beyond a root it is what that is linked to,
    and whoever has none but that is a root with the same link."""
    linked = False
    while ancestor is not None:
        if not ancestor.transparent and ancestor.fate is not DROPPED:
            return (None, ancestor) if linked else (ancestor, None)
        if ancestor.parent is None and isinstance(ancestor.link, SpanLifetime):
            ancestor, linked = ancestor.link, True
        else:
            ancestor = ancestor.parent
    return None, None


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
    _settle_family(child)
    family = child.parent or child.link
    if isinstance(family, SpanLifetime):
        family.keep = True


def forget_family(child: SpanLifetime) -> None:
    """It will not be exported: keep only the way past it, for what it triggered.

    Else a chain, in which each triggers the next and ends, would keep all that came before."""
    _settle_family(child)


def _settle_family(child: SpanLifetime) -> None:
    if child.parent is not None:
        child.parent, link = standing_for(child.parent)
        if child.parent is None:
            child.link = link
    elif isinstance(child.link, SpanLifetime):
        stands, link = standing_for(child.link)
        child.link = stands or link
