"""The chain of causes: why is this resource here, back to the top level.

A cause is held as an object, not looked up by id: a settled future is destroyed before its
callbacks run, and is still their cause.  It is small, refers to nothing of the program but a code
object, and the chain is bounded: equal consecutive sites collapse into one with a count (a timer
that re-arms itself), and no chain is longer than `MAX_DEPTH`.
"""

from types import CodeType

from .lifetimes import Lifetime, RecordedLifetime
from .sites import Site, site
from .types import ResourceType

MAX_DEPTH = 32
_KEPT_ON_CUT = 16
"""How much of a chain survives when it has become too long.  Cutting it in halves makes the cost
of a cut disappear among the creations between two cuts."""


class Cause:
    """One hop: a resource that triggered another."""

    __slots__ = ("async_id", "cause", "code", "depth", "lasti", "name", "repeats", "type")

    def __init__(
        self,
        async_id: int,
        type_: ResourceType,
        name: str | None,
        code: CodeType | None,
        lasti: int,
        cause: "Cause | None",
    ) -> None:
        self.async_id = async_id
        self.type = type_
        self.name = name
        self.code = code
        self.lasti = lasti
        self.cause = cause
        self.depth: int = 1 if cause is None else cause.depth + 1
        self.repeats = 1

    def site(self) -> Site | None:
        """Where the program created it."""
        return site(self.code, self.lasti)

    def chain(self) -> list["Cause"]:
        """This cause and those that led to it, nearest first."""
        found: list[Cause] = []
        link: Cause | None = self
        while link is not None:
            found.append(link)
            link = link.cause
        return found


def cause_of(trigger: Lifetime) -> Cause | None:
    """The cause that everything `trigger` triggers is given; one object for all of it."""
    if not isinstance(trigger, RecordedLifetime):
        return None
    if trigger.own_cause is None:
        trigger.own_cause = _cause(trigger)
    return trigger.own_cause


def _cause(trigger: RecordedLifetime) -> Cause:
    before = trigger.cause
    repeats = 1
    if (
        before is not None
        and before.code is trigger.code
        and before.lasti == trigger.lasti
        and before.type is trigger.type
    ):
        repeats = before.repeats + 1
        before = before.cause
    elif before is not None and before.depth >= MAX_DEPTH:
        before = _cut(before)
    cause = Cause(trigger.async_id, trigger.type, trigger.name, trigger.code, trigger.lasti, before)
    cause.repeats = repeats
    return cause


def _cut(cause: Cause) -> Cause:
    shorter: Cause | None = None
    for hop in reversed(cause.chain()[:_KEPT_ON_CUT]):
        copy = Cause(hop.async_id, hop.type, hop.name, hop.code, hop.lasti, shorter)
        copy.repeats = hop.repeats
        shorter = copy
    assert shorter is not None
    return shorter
