"""Callbacks, timers and futures of uvloop's loop."""

from typing import Any

import uvloop

from whence.engine.callbacks import (
    scheduling_from_thread,
    scheduling_later,
    scheduling_soon,
    telling,
)
from whence.engine.futures import Future

from .patching import Patches, looks_like


def install(patches: Patches) -> None:
    """See what the loop schedules, and the futures that it makes."""
    loop = uvloop.Loop
    for name, scheduling in (
        ("call_soon", scheduling_soon),
        ("call_soon_threadsafe", scheduling_from_thread),
        ("call_later", scheduling_later),
        ("call_exception_handler", telling),
    ):
        original = getattr(loop, name)
        patches.replace(loop, name, looks_like(original)(scheduling(original)))
    patches.replace(loop, "create_future", looks_like(loop.create_future)(_create_future))


def _create_future(self: Any) -> Future:
    return Future(loop=self)
