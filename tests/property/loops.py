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


def _new_uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


STOCK = Loops("asyncio", asyncio.new_event_loop, tiny=0.0002, keeps_context=True)
UVLOOP = Loops("uvloop", _new_uvloop, tiny=0.0012, keeps_context=False)
LOOPS = [STOCK, UVLOOP] if importlib.util.find_spec("uvloop") else [STOCK]
