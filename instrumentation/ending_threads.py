"""The moment at which the program is over but for its threads, for `--on-exit why`; not patched
unless asked for."""

import threading
from typing import Any

from whence import ending

from .patching import Patches


def install(patches: Patches) -> None:
    """See the main thread wait for those that are no daemons."""
    if ending.wanted():
        patches.wrap(threading, "_shutdown", _shutdown)


def _shutdown(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    ending.main_thread_waits()
    try:
        return wrapped(*args, **kwargs)
    finally:
        ending.main_thread_goes_on()
