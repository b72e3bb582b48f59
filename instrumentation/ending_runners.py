"""The moment at which a runner stops its loop, for `--on-exit why`; not patched unless asked for.

It cancels its tasks on Ctrl-C, and whatever is left when its main task is done."""

import asyncio
from typing import Any

from whence import ending

from .patching import Patches


def install(patches: Patches) -> None:
    """See runners come to their end."""
    if ending.wanted():
        patches.wrap(asyncio.runners, "_cancel_all_tasks", _noting)
        patches.wrap(asyncio.Runner, "_on_sigint", _noting)


def _noting(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    ending.note()
    return wrapped(*args, **kwargs)
