"""Futures: `loop.create_future()` and direct `Future()`.

What derives from them is another file's, `gather`'s own future too.
"""

import asyncio
from asyncio import futures

from whence.engine.futures import Future

from .patching import Patches


def install(patches: Patches) -> None:
    """Have the names that futures are made by name ours."""
    patches.replace(futures, "Future", Future)
    patches.replace(asyncio, "Future", Future)
