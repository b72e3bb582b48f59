"""Under which parent a lifetime's span will stand, and which lifetimes are kept.

The rules for R, created in the executing E with the trigger T; U is the innermost span of the
application that was made current since E began (`user_spans.py`).  The first that fits:

- T has no span: its nearest ancestor that has one stands for it; if there is none, R is under U,
  or else the root of a new trace.
- R is of a *boundary* type, a timer re-armed from its own chain, or the main task of a loop that a
  thread or job runs: the root of a new trace, linked to T.  But a main task is under U: who runs
  the loop waits for it there.
- T is a *container* (server, connection, signal): the root of a new trace, linked to T.
- U goes on: R is under U, and linked to T if that is not E.
- U has ended, or its spans go elsewhere than ours: R is under T, and linked to U.
- R is under T.

A root is linked to U as well.  And:

- A lifetime is kept if it took `min_duration`, failed, or something of it is exported: a kept child
  keeps its parent.  **The parent is settled when the child ends**: a transparent or dropped one
  forwards to its own, an open one is kept from then on.  So no span is ever exported whose parent
  is not.
- Who is under a root that is left out becomes a root with the same link.

This runs in the program's threads, for every resource that may become a span: a few reads and
writes and no lock.  Traces, ids and limits are the sender thread's affair (`traces.py`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import twin
from .lifetimes import DROPPED, Lifetime, SpanLifetime
from .resource_types import EXECUTOR_JOB, TASK, THREAD, TIMER, TIMER_HANDLE
from .user_spans import UserSpan

TRIGGER = "trigger"
USER_SPAN = "user_span"
ENDED_USER_SPAN = "ended_user_span"
"""Why a span is linked to another."""

_RUN_LOOPS = frozenset((THREAD, TIMER, EXECUTOR_JOB))
"""Of what they trigger themselves, and no callback of a loop does, a task is a loop's main task."""

FindUserSpan = Callable[[Lifetime], "UserSpan | None"]
"""The span of the application that was made current since this lifetime began to execute, in the
thread that calls.  Never raises."""

_user_span_in: FindUserSpan | None = None


def look_for_user_spans(find: FindUserSpan | None) -> None:
    """Have every new lifetime look for a span of the application; None: there are none."""
    global _user_span_in
    _user_span_in = find


def adopt(child: SpanLifetime, trigger: Lifetime, executing: Lifetime) -> None:
    """Give a new lifetime its parent, or its link if it is a root."""
    child.parent = child.link = child.links = None
    user = None if _user_span_in is None else _user_span_in(executing)
    nearest: SpanLifetime | None = (
        trigger.parent if trigger.transparent else trigger  # type: ignore[assignment]
    )
    if nearest is not None and (nearest.transparent or nearest.fate is DROPPED):
        nearest, child.link = standing_for(nearest)
    if user is not None:
        _adopt_beside(user, child, trigger, executing, nearest)
    elif nearest is None:
        return
    elif (
        child.type.boundary
        or nearest.type.container
        or (child.type is TIMER_HANDLE and _rearmed(child, nearest))
        or (child.type is TASK and trigger.type in _RUN_LOOPS)
    ):
        child.link = nearest
    else:
        child.parent = nearest
        nearest.children += 1


def _adopt_beside(
    user: UserSpan,
    child: SpanLifetime,
    trigger: Lifetime,
    executing: Lifetime,
    nearest: SpanLifetime | None,
) -> None:
    """The same, where a span of the application has been made current."""
    boundary = child.type.boundary
    if nearest is not None and not boundary:
        boundary = nearest.type.container or (
            child.type is TIMER_HANDLE and _rearmed(child, nearest)
        )
    if boundary:
        child.link = nearest or child.link
        child.links = [(user, USER_SPAN if user.goes_on else ENDED_USER_SPAN)]
    elif user.leads:
        child.parent, child.link = user, None
        user.children += 1
        if nearest is not None and trigger is not executing:
            child.links = [(nearest, TRIGGER)]
    else:
        if child.type is TASK and trigger.type in _RUN_LOOPS:
            child.link = nearest or child.link
        elif nearest is not None:
            child.parent = nearest
            nearest.children += 1
        child.links = [(user, USER_SPAN if user.goes_on else ENDED_USER_SPAN)]


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
    parent = child.parent
    if parent is None:
        return
    parent.children -= 1
    child.parent, child.link = None, parent
    if isinstance(parent, UserSpan):
        child.link = parent.parent
        child.links = [(parent, USER_SPAN), *(child.links or ())]


def keep_family(child: SpanLifetime) -> None:
    """A kept lifetime has ended: settle its parent, or its link, and keep it."""
    _settle_family(child)
    family = child.parent or child.link
    if isinstance(family, SpanLifetime):
        family.keep = True
    for target, _ in child.links or ():
        if isinstance(target, SpanLifetime):
            target.keep = True


def forget_family(child: SpanLifetime) -> None:
    """It will not be exported: keep only the way past it, for what it triggered.

    Else a chain, in which each triggers the next and ends, would keep all that came before."""
    _settle_family(child)
    child.links = None


def _settle_family(child: SpanLifetime) -> None:
    parent = child.parent
    if parent is not None:
        if parent.transparent or parent.fate is DROPPED:
            child.parent, link = standing_for(parent)
            if child.parent is None and child.segments is None:
                child.link = link
    elif isinstance(child.link, SpanLifetime):
        stands, link = standing_for(child.link)
        child.link = stands or link


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import adopt, forget_family, keep_family, look_for_user_spans, standing_for

    twin.tell(adopt_beside=_adopt_beside, make_root=make_root)
