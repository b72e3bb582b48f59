"""Another clock for the engine, whichever of the two it is."""

import sys
from collections.abc import Callable

import pytest

from whence.engine import twin


class _TwinsClock:
    """What the engine in C reads, as an attribute that a test may patch."""

    @property
    def clock(self) -> Callable[[], int] | None:
        """None: the clock of the machine."""
        return None

    @clock.setter
    def clock(self, clock: Callable[[], int] | None) -> None:
        if twin.IN_C:
            from whence._engine import use_clock

            use_clock(clock)


_twins = _TwinsClock()

_READERS = ("recorder", "events", "steps", "handles", "callbacks", "tasks", "futures")


def patch_clock(patch: pytest.MonkeyPatch, clock: Callable[[], int]) -> None:
    """Let the engine read this, in nanoseconds, until the patch is undone."""
    for name in _READERS:
        module = sys.modules.get(f"whence.engine.{name}")
        if hasattr(module, "clock"):
            patch.setattr(module, "clock", clock)
    patch.setattr(_twins, "clock", clock)
