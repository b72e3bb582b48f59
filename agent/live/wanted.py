"""Which resources a table has, and which come first: what somebody has asked for.

Of a hundred thousand resources it is found out here, from what costs little of each, which few are
looked at in full.
"""

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from .active_resource import OPEN, RUNNING

LIMIT = 10_000
"""Resources in a table, unless another number is asked for."""

STEPS = ("Handle", "Future")
"""Types that are parts of something else."""
_OWN_READER = "._read_from_self"
"""End of the name of the reader by which other threads wake asyncio's loops."""

TEXTS = ("type", "name", "state", "id")
NUMBERS = ("age", "run", "ready", "wait", "steps", "due")
SORTS = (*TEXTS, *NUMBERS, "newest", "in_state")
"""Keys to sort by.  Of numbers the largest come first, but for `due`; and in `in_state`, after all
others, what waits for nothing: it has been open for as long as it is there."""

_WAITS_FOR_NOTHING = (OPEN, RUNNING)

Rank = tuple[float | str, int]


class Wanted(NamedTuple):
    """What is asked for.  Globs, of which upper and lower case are alike; none is anything."""

    limit: int = LIMIT
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Of resources, or those that the program has given its tasks."""
    states: tuple[str, ...] = ()
    steps: bool = True
    """Callbacks and futures too, and asyncio's own reader.  A type that is asked for is there."""
    sort: str = ""
    """One of SORTS; empty for the oldest first, of those that become spans before all others."""

    @property
    def is_picky(self) -> bool:
        """Whether more than the limit leaves something out."""
        return bool(self.types or self.names or self.states or not self.steps)


def is_step(type_name: str, name: str) -> bool:
    """Whether it is a part of something else, or asyncio's own."""
    return type_name in STEPS or name.endswith(_OWN_READER)


@lru_cache(maxsize=1024)
def matches(text: str, globs: tuple[str, ...]) -> bool:
    """Whether it is one of them."""
    return not globs or any(fnmatchcase(text.lower(), glob.lower()) for glob in globs)


def rank(sort: str, async_id: int, value: float | str | None, state: str) -> Rank:
    """What to sort a resource by, given its value of that key; ids are sorted as they are."""
    if isinstance(value, str):
        return value, async_id
    if value is None or (sort == "in_state" and state in _WAITS_FOR_NOTHING):
        return float("inf"), async_id
    return (value if sort == "due" else -value), async_id
