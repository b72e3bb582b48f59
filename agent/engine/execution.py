"""Where are we: ids, and the stack of what is executing in each thread.

The rules:

- Ids come from one counter per process, given at creation, increasing, never reused (SEMANTICS
  1.1).  1 is the top level of the main thread, 0 is a thread that whence did not see start.
- The stack of a thread is `ThreadState.current`, the lifetime that is executing.  Whoever enters
  one keeps the previous one in a local variable and puts it back: the stack is as deep as
  Python's own (1.8), and an exception unwinds it (1.9).
- Nothing here refers to the program's objects longer than they execute.
"""

import sys
from _thread import _local, get_ident
from itertools import count
from typing import TYPE_CHECKING, Any

from . import twin
from .lifetimes import Lifetime
from .resource_types import TOP_LEVEL, ResourceType

if TYPE_CHECKING:
    from .stacks import Blamed, Sample

new_async_id = count(2).__next__


class TopLevelResource:
    """What `execution_async_resource()` gives outside of every callback; takes any attribute."""


class MakingHandle:
    """A patched loop method is about to build a Handle for `callback` that is of this type."""

    __slots__ = ("callback", "made", "type")

    def __init__(self, type_: ResourceType, callback: object) -> None:
        self.type = type_
        self.callback = callback
        self.made: Any = None
        """The handle, once it is built: its registering may still fail."""


threads: "dict[int, ThreadState]" = {}
"""The state of each thread, for other threads to look at.  A thread that has ended is in it until
its id is used again: so it grows no longer than the most threads that there were at once."""


class _Fields:
    """What every event reads and writes."""

    __slots__ = (
        "beyond",
        "blamed",
        "busy",
        "changed",
        "current",
        "depth",
        "entered",
        "finalizing",
        "making",
        "muted",
        "samples",
        "thread_id",
    )


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import ThreadState as _Fields


class ThreadState(_Fields):
    """What one thread is executing.

    `depth` counts the hook dispatches under way, `changed` says that the list of hooks is to change
    when the outermost one ends, `muted` marks the agent's own threads, which emit nothing,
    `finalizing` says that something is closed by a `__del__` of asyncio's: no hook runs there.
    `entered` is since when a callback has been holding the thread's loop, 0 if none does; `busy`
    how many nanoseconds all of them have taken.  `beyond` is what executed before it, where a loop
    in C has called it with no handle around.  `samples` are the stacks that the watchdog has
    taken of it meanwhile, `blamed` what of its time is blamed already.
    """

    __slots__ = ()

    def __init__(self, root: Lifetime) -> None:
        self.current = root
        self.depth = 0
        self.changed = False
        self.making: MakingHandle | None = None
        self.muted = self.finalizing = False
        self.busy = self.entered = 0
        self.beyond: Lifetime | None = None
        self.samples: tuple[Sample, ...] = ()
        self.blamed: tuple[Blamed, ...] = ()
        self.thread_id = get_ident()
        threads[self.thread_id] = self


def _root(async_id: int) -> Lifetime:
    root = Lifetime()
    root.async_id, root.type, root.trigger_async_id = async_id, TOP_LEVEL, 0
    root.open, root.scope, root.created = True, None, 0
    root.resource = TopLevelResource()
    return root


MAIN = _root(1)
OUTSIDE = _root(0)

twin.use(main=MAIN, outside=OUTSIDE)


def _main_thread_id() -> int:
    """Without importing threading, which a program may never need."""
    threading = sys.modules.get("threading")
    if threading is not None:
        ident = threading.main_thread().ident
        assert isinstance(ident, int)
        return ident
    return get_ident()


class _PerThread(_local):
    def __init__(self) -> None:
        self.state = ThreadState(MAIN if get_ident() == _main_id else OUTSIDE)


_main_id = _main_thread_id()
local = _PerThread()


def in_main_thread() -> bool:
    """Whether the calling thread is the one in which signal handlers run."""
    return get_ident() == _main_id


def execution_async_id() -> int:
    """The id of the resource that is executing in this thread: 1 at the top level of the main
    thread, 0 in a thread that whence did not see start (Node's `executionAsyncId`, SEMANTICS 1)."""
    return local.state.current.async_id


def trigger_async_id() -> int:
    """The id of what triggered the executing resource, as its `init` said (SEMANTICS 1.6)."""
    return local.state.current.trigger_async_id


def execution_async_resource() -> object:
    """The object that the executing resource's `init` was given; at the top level always the same
    object, which takes attributes (SEMANTICS 9)."""
    return local.state.current.resource


def restart_in_child() -> None:
    """After a fork: what the parent was executing is not executing here."""
    global _main_id
    _main_id = get_ident()
    threads.clear()
    local.state = ThreadState(MAIN)
    forget_thread_states()


def forget_thread_states() -> None:
    """In C a thread remembers its state; here none does."""


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import (
        execution_async_id,
        execution_async_resource,
        forget_thread_states,
        new_async_id,
        trigger_async_id,
    )

    twin.tell(thread_state=lambda: local.state)
