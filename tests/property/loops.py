"""The implementations of the loop that programs run on."""

import asyncio
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Loops:
    """One implementation."""

    name: str
    make: Callable[[], asyncio.AbstractEventLoop]
    tiny: float
    """Seconds; about the shortest time that it can wait for."""
    keeps_context: bool
    """Its exception handler is called in the context of the callback that failed."""
    keeps_times: bool
    """`call_at` keeps the time that it is given.  uvloop looks at the clock: where it is late, what
    was to come in a tiny while comes at once."""


def _new_uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


STOCK = Loops("asyncio", asyncio.new_event_loop, tiny=0.0002, keeps_context=True, keeps_times=True)
UVLOOP = Loops("uvloop", _new_uvloop, tiny=0.0012, keeps_context=False, keeps_times=False)
LOOPS = [STOCK, UVLOOP] if importlib.util.find_spec("uvloop") else [STOCK]
