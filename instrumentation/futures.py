"""Futures: `loop.create_future()`, direct `Future()`, and `gather`'s own."""

import asyncio
from asyncio import futures, tasks
from typing import Any

from whence.engine.futures import Future
from whence.engine.standin import StandIn

from .patching import Patches


def install(patches: Patches) -> None:
    """Have the names that futures are made by name ours."""
    patches.replace(futures, "Future", Future)
    patches.replace(asyncio, "Future", Future)
    patches.replace(tasks, "_GatheringFuture", _gathering_future())


def _gathering_future() -> type:
    """`gather` returns a subclass that was made before ours stood in for its base."""
    stock: Any = tasks._GatheringFuture  # type: ignore[attr-defined]
    names = {"__module__": stock.__module__, "__qualname__": stock.__qualname__}
    return StandIn(stock.__name__, (stock, Future), names)
