"""Callbacks, timers, futures and tasks of uvloop.

Its loop is a class in Python on top of one in C, so its methods can be replaced.  Its handles
cannot: the loop is given a callable of ours in the callback's place (`whence.engine.scheduling`).
`call_at` calls `call_later`, and the steps of tasks come by `call_soon`.
"""

import asyncio
import sys
from collections.abc import Callable
from os.path import dirname
from typing import Any

import uvloop

from whence.engine.eager_tasks import start_eagerly
from whence.engine.failures import telling
from whence.engine.scheduling import (
    cancelling,
    making_futures,
    scheduling_from_thread,
    scheduling_later,
    scheduling_soon,
)
from whence.engine.sites import add_plumbing

from .patching import Patches, found, leave_traceback, looks_like
from .uvloop_sealed import replace_sealed, sealed

_stock_task = asyncio.tasks.Task

IMPOSSIBLE = {
    "futures that uvloop makes for itself": "it makes them in C, of the class that it has kept",
    "`call_soon` and its kin, bound to a loop before the first hook": (
        "a bound method of a type in C keeps the function that it found"
    ),
    "uvloop's handle as the resource that executes": (
        "it takes no attribute, and runs the callback without a look-up; the resource is what the "
        "loop was given to call"
    ),
    "what the loop does by itself: accept, connect, read, write, close, look up, wake up": (
        "it happens in C, in no callback of the program's"
    ),
    "`call_exception_handler` of a derived loop as the callback that failed": (
        "uvloop calls it once the callback has been left; only its own can be bracketed"
    ),
}


def install(patches: Patches) -> None:
    """See what the loop schedules, and the futures and eager tasks that it makes."""
    add_plumbing(dirname(uvloop.__file__))
    _replace(patches, "call_soon", scheduling_soon)
    _replace(patches, "call_soon_threadsafe", scheduling_from_thread)
    _replace(patches, "call_later", scheduling_later)
    _replace(patches, "call_exception_handler", telling)
    _replace(patches, "create_future", making_futures)
    if sys.version_info >= (3, 13):
        _replace(patches, "create_task", _making_tasks)
    for name in ("Handle", "TimerHandle"):
        replace_sealed(patches, getattr(sealed, name), "cancel", cancelling)


def _replace(patches: Patches, name: str, make: Callable[[Any], Any]) -> None:
    original = found(uvloop.Loop, name)
    patches.replace(uvloop.Loop, name, looks_like(original)(make(original)))


def _making_tasks(original: Any) -> Any:
    """`create_task(..., eager_start=True)`: the first step runs in the constructor."""

    def create_task(self: Any, coro: Any, **kwargs: Any) -> Any:
        try:
            if not kwargs.get("eager_start") or self.get_task_factory() is not None:
                return original(self, coro, **kwargs)
            name = kwargs.pop("name", None)
            task = start_eagerly(_stock_task, coro, {"loop": self, **kwargs})
            if name is not None:
                task.set_name(name)
            return task
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del self, coro, kwargs

    return create_task
