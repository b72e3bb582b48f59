"""The chain of causes: why is this resource here, back to the top level.

A cause is held as an object, not looked up by id: a settled future is destroyed before its
callbacks run, and is still their cause.  It is small, refers to nothing of the program but a code
object, and the chain is bounded: equal consecutive sites collapse into one with a count (a timer
that re-arms itself), and no chain is longer than `MAX_DEPTH`.
"""

from types import CodeType
from typing import TYPE_CHECKING

from . import twin
from .resource_types import ResourceType
from .sites import Site, site

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


def hop(
    async_id: int,
    type_: ResourceType,
    name: str | None,
    code: CodeType | None,
    lasti: int,
    before: Cause | None,
) -> Cause:
    """A cause that follows on another; one with it, if it is the same thing over again."""
    repeats = 1
    if before is not None:
        if before.code is code and before.lasti == lasti and before.type is type_:
            repeats, before = before.repeats + 1, before.cause
        elif before.depth >= MAX_DEPTH:
            before = _cut(before)
    cause = Cause(async_id, type_, name, code, lasti, before)
    cause.repeats = repeats
    return cause


def _cut(cause: Cause) -> Cause:
    shorter: Cause | None = None
    for old in reversed(cause.chain()[:_KEPT_ON_CUT]):
        copy = Cause(old.async_id, old.type, old.name, old.code, old.lasti, shorter)
        copy.repeats = old.repeats
        shorter = copy
    assert shorter is not None
    return shorter


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Cause, hop

    twin.tell(site=site)
