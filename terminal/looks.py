"""Looks at a process, again and again, that take little of its time.

What it says of itself costs it nothing.  The table of its resources does, the more it has open: it
is asked for so seldom that it takes `SHARE` of a processor, and what came last is shown meanwhile.
"""

from glob import escape
from time import monotonic
from typing import Any

from whence.serving.processes import Process

LIMIT = 2000
"""Resources of a look."""
SHARE = 0.02
_SELDOM = 30.0
"""Seconds between two tables, at the most."""


class Looks:
    """At one process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._table: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        self._taken = 0.0
        self._next = 0.0

    def look(self, sort: str, type_name: str, *, steps: bool) -> tuple[Any, Any, float]:
        """The answers to `pulse` and `resources`, and how old the latter is, in seconds.

        Of resources those that come first by `sort`, of one type if one is named; with callbacks
        and futures if `steps`.  Raises NoAnswer."""
        pulse = self._process.ask("pulse")
        types = [escape(type_name)] if type_name else []
        asked: dict[str, Any] = {"sort": sort, "types": types, "steps": steps}
        if asked != self._asked or monotonic() >= self._next:
            self._table = self._process.ask("resources", limit=LIMIT, **asked)
            self._asked, self._taken = asked, monotonic()
            self._next = self._taken + min(_SELDOM, self._table["cost"] / SHARE)
        return pulse, self._table, monotonic() - self._taken
