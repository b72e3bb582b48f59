"""Futures: `loop.create_future()`, direct `Future()`, and `gather`'s own.

What else derives from asyncio's is another file's.
"""

import asyncio
from abc import ABCMeta
from asyncio import futures, tasks
from contextvars import copy_context
from typing import Any

from whence.engine import asyncio_self_test, twin
from whence.engine.futures import Future
from whence.engine.standin import StandIn

from .patching import Patches

IMPOSSIBLE = {
    "futures made by a name bound before the first hook, such as `from asyncio import Future`": (
        "it is the class in C, which takes no patch; `loop.create_future()` is seen"
    ),
    "the trigger of `call_soon(callback, future, context=...)` with a settled future": (
        "that is how its done callbacks are scheduled too, so it is taken for the future"
    ),
}


def install(patches: Patches) -> None:
    """Have the names that futures are made by name ours."""
    if twin.IN_C and (why := asyncio_self_test.failure_of_futures()):
        raise RuntimeError(why)
    patches.replace(futures, "Future", Future)
    patches.replace(asyncio, "Future", Future)
    patches.replace(tasks, "_GatheringFuture", _gathering_future())
    patches.wrap(_PyFuture, "add_done_callback", _add_done_callback)


def _gathering_future() -> type:
    """`gather` returns a subclass that was made before ours stood in for its base.

    Ours does not give way in it, for programs gather often: patched methods take longer."""
    stock: Any = tasks._GatheringFuture  # type: ignore[attr-defined]
    names = {"__module__": stock.__module__, "__qualname__": stock.__qualname__}
    return ABCMeta.__new__(StandIn, stock.__name__, (stock, Future), names)


_PyFuture: Any = futures._PyFuture  # type: ignore[attr-defined]


def _add_done_callback(wrapped: Any, future: Any, args: Any, kwargs: Any) -> None:
    """Of a future or task written in Python.

    One that is settled schedules the callback at once, and without a context, as a program does; a
    context says that it is a done callback (`settled_cause`)."""
    if future.done() and kwargs.get("context") is None:
        kwargs = {**kwargs, "context": copy_context()}
    wrapped(*args, **kwargs)
