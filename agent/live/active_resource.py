"""One row of the live table, and its JSON form, which the socket, dumps and the dashboard use."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..engine.sites import Site

RUNNING = "running"
"""It is executing, in `thread`."""
READY = "ready"
"""It waits for its turn on its loop; a job, for a worker thread."""
WAITING = "waiting"
"""A task that is suspended, a timer that is not due."""
PENDING = "pending"
"""A future that nobody has settled."""
OPEN = "open"
"""Everything else: a server, a connection, a reader, a process."""


class Hop(NamedTuple):
    """One hop of a chain of triggers."""

    async_id: int
    type: str
    name: str
    site: Site | None
    repeats: int
    """How many of the same made each other in a row: a timer that re-arms itself."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: {async_id, type, name, site, repeats}."""
        return {
            "async_id": self.async_id,
            "type": self.type,
            "name": self.name,
            "site": place(self.site),
            "repeats": self.repeats,
        }


class ActiveResource(NamedTuple):
    """A resource that is open: plain data, which keeps nothing of the program alive.

    Times are seconds.  What is not known is None: without an attached agent nothing is recorded,
    and only ids, types and what the resource itself shows are known.
    """

    async_id: int
    type: str
    """As `init` gives it: "Task", "TimerHandle" ..."""
    name: str
    """Low-cardinality, as its span is called: "task worker", "timer sleep"."""
    state: str
    """RUNNING, READY, WAITING, PENDING or OPEN."""
    trigger_async_id: int
    task_name: str | None = None
    """Of a task: what `get_name()` gives."""
    age: float | None = None
    run: float | None = None
    ready: float | None = None
    wait: float | None = None
    """age = run + ready + wait."""
    steps: int | None = None
    """How often it has executed."""
    in_state: float | None = None
    """For how long it has been in this state."""
    due: float | None = None
    """Of a timer: in how many seconds it fires; negative if it is late."""
    site: Site | None = None
    """Where the program created it."""
    at: Site | None = None
    """Where it is now: the innermost line of the program's own on `stack`; of a callback that does
    not execute, the function that it will call."""
    stack: tuple[Site, ...] = ()
    """Where it is suspended, or executing: every frame, the innermost last, as Python prints it."""
    waits_for: str | None = None
    """Of a task: what it called at `at` that does not return: "Queue.get", "sleep"."""
    awaits: tuple[int, ...] = ()
    """What it awaits; of a future, what will settle it, as far as that can be known."""
    awaited_by: tuple[int, ...] = ()
    trigger_chain: tuple[Hop, ...] = ()
    """What triggered it, the nearest first, up to the root."""
    thread: int | None = None
    """Identifier of the thread: in which it executes; of its loop; else in which it was made."""
    details: Mapping[str, Any] = MappingProxyType({})
    """What else is known, as on its span: "process.pid", "server.address" ..."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON: a key for each field; a Site is {file, line, function}."""
        return {
            **self._asdict(),
            "site": place(self.site),
            "at": place(self.at),
            "stack": [place(site) for site in self.stack],
            "awaits": list(self.awaits),
            "awaited_by": list(self.awaited_by),
            "trigger_chain": [hop.as_dict() for hop in self.trigger_chain],
            "details": dict(self.details),
        }


def place(site: Site | None) -> dict[str, Any] | None:
    """A place as JSON: {file, line, function}."""
    return None if site is None else site._asdict()
