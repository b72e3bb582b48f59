"""The types of resources: one table for their names, numbers and how their lives become spans.

What a row says:

- `transparent`: events, but no span unless it is asked for; what it triggers belongs to the
  nearest ancestor that has one.  Handles and futures are steps of something else.
- `boundary`: roots a new trace, linked to what triggered it.
- `container`: whatever it triggers roots a new trace, linked to it.
- `once`: its callback runs one time, and that ends it.
- `on_loop`: it executes as a callback of a loop, or inside of one, so it holds the loop meanwhile;
  a job or a thread does not, and of a user's own type nobody knows.
- `queued`: it waits for its turn on a loop, or for a worker thread, from a known moment on.
"""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING

from . import twin
from .histograms import Histogram, Turns

MAX_USER_TYPES = 1000
"""User types that get a row of their own; a program that makes up type names without end must not
make this table grow without end."""


UNQUEUED = Turns()
"""Those of all types that run on a loop and of which nobody knows since when they were ready."""
_UNTIMED = Turns()
"""Of what does not run on a loop; the hot path does not have to ask."""


class _Fields:
    """What every event reads and counts."""

    __slots__ = (
        "boundary",
        "container",
        "created",
        "destroyed",
        "leaked",
        "name",
        "number",
        "on_loop",
        "once",
        "otherwise",
        "queue",
        "spans",
        "transparent",
        "turns",
    )


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import ResourceType as _Fields


class ResourceType(_Fields):
    """One type of resource, and how many of it there have been."""

    __slots__ = ()

    def __init__(
        self,
        name: str,
        number: int,
        *,
        transparent: bool = False,
        boundary: bool = False,
        container: bool = False,
        once: bool = False,
        on_loop: bool = False,
        queued: bool = False,
    ) -> None:
        self.name = name
        self.number = number
        self.transparent = transparent
        self.spans = not transparent
        self.boundary = boundary
        self.container = container
        self.once = once
        self.on_loop = on_loop
        self.created = 0
        self.destroyed = 0
        self.leaked = 0
        """Of the destroyed: what the collector found, that was never settled nor closed."""
        self.otherwise: dict[str, int] = {}
        """Of the destroyed, those with another outcome than "done", by outcome."""
        self.turns = _UNTIMED
        """Of its callbacks and steps: how long they were ready, a timer from when it was due, and
        how long they held their loop."""
        if on_loop:
            self.turns = Turns() if queued else UNQUEUED
        self.queue: Histogram | None = Histogram() if queued and not on_loop else None
        """How long it waited for a worker thread."""

    @property
    def outcomes(self) -> dict[str, int]:
        """How those that are destroyed ended: outcome -> number."""
        otherwise = dict(self.otherwise)
        done = max(0, self.destroyed - sum(otherwise.values()))
        return {"done": done, **otherwise} if done else otherwise

    def restart(self) -> None:
        """Count from 0 again, in a forked child."""
        self.created = self.destroyed = self.leaked = 0
        self.otherwise.clear()
        self.turns.clear()
        if self.queue is not None:
            self.queue.clear()

    def __repr__(self) -> str:
        return f"<ResourceType {self.name}>"


TOP_LEVEL = ResourceType("TopLevel", 0, transparent=True)

TASK = ResourceType("Task", 1, on_loop=True, queued=True)
FUTURE = ResourceType("Future", 2, transparent=True)
HANDLE = ResourceType("Handle", 3, transparent=True, once=True, on_loop=True, queued=True)
TIMER_HANDLE = ResourceType("TimerHandle", 4, once=True, on_loop=True, queued=True)
READER = ResourceType("Reader", 5, transparent=True, on_loop=True)
WRITER = ResourceType("Writer", 6, transparent=True, on_loop=True)
SIGNAL_HANDLE = ResourceType("SignalHandle", 7, boundary=True, container=True, on_loop=True)
SERVER = ResourceType("Server", 8, boundary=True, container=True)
TRANSPORT = ResourceType("Transport", 9, container=True, on_loop=True)
DATAGRAM_TRANSPORT = ResourceType("DatagramTransport", 10, container=True, on_loop=True)
SSL_PROTOCOL = ResourceType("SSLProtocol", 11, transparent=True)
PROCESS = ResourceType("Process", 12)
GET_ADDR_INFO = ResourceType("GetAddrInfo", 13, queued=True)
GET_NAME_INFO = ResourceType("GetNameInfo", 14, queued=True)
EXECUTOR_JOB = ResourceType("ExecutorJob", 15, queued=True)
THREAD = ResourceType("Thread", 16)
TIMER = ResourceType("Timer", 17)
REQUEST = ResourceType("Request", 18, boundary=True, on_loop=True)

twin.use(
    task=TASK,
    future=FUTURE,
    handle=HANDLE,
    timer_handle=TIMER_HANDLE,
    executor_job=EXECUTOR_JOB,
    thread=THREAD,
    timer=TIMER,
)

_BUILT_IN = (
    TASK,
    FUTURE,
    HANDLE,
    TIMER_HANDLE,
    READER,
    WRITER,
    SIGNAL_HANDLE,
    SERVER,
    TRANSPORT,
    DATAGRAM_TRANSPORT,
    SSL_PROTOCOL,
    PROCESS,
    GET_ADDR_INFO,
    GET_NAME_INFO,
    EXECUTOR_JOB,
    THREAD,
    TIMER,
    REQUEST,
)
_by_name = {row.name: row for row in _BUILT_IN}
_numbers = count(len(_BUILT_IN) + 1)


def type_named(name: str) -> ResourceType:
    """The row of a type; a user's own type gets one when it is first seen."""
    row = _by_name.get(name)
    if row is None:
        row = ResourceType(name, next(_numbers))
        if len(_by_name) < len(_BUILT_IN) + MAX_USER_TYPES:
            row = _by_name.setdefault(name, row)
    return row


def select_types(names: frozenset[str] | None) -> None:
    """Say which built-in types become spans: these, or by default all that are not transparent.

    Users' own types always do: whoever made one wants to see it."""
    for row in _BUILT_IN:
        row.spans = not row.transparent if names is None else row.name in names


def known_types() -> list[ResourceType]:
    """Every row so far: the built-in ones, then users' own in order of first use."""
    return list(_by_name.values())


class _Providers(Mapping[str, int]):
    """Read-only: assignment and deletion raise TypeError, as on any Mapping (SEMANTICS 11)."""

    def __getitem__(self, name: str) -> int:
        return _by_name[name].number

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(_by_name))

    def __len__(self) -> int:
        return len(_by_name)

    def __repr__(self) -> str:
        return f"async_wrap_providers({dict(self)!r})"


async_wrap_providers: Mapping[str, int] = _Providers()
"""Type name -> number, of every type that `init` has given or may give (Node's
`asyncWrapProviders`, SEMANTICS 11)."""
