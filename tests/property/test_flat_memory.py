"""Round after round of each kind of resource takes no more memory than the round before.

`test_live_objects.py` counts the objects that the collector knows of; here it is what Python has
allocated at all, and what the process has of the system: a leak in C is in no other count.
"""

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from launching import Launcher
from loops import LOOPS

PROGRAM = Path(__file__).with_name("rounds_program.py")

SETTLING = 10
"""Rounds in which caches and free lists fill."""

BLOCKS = 20
"""More in a round than the round before; each has at least 50 lives, which may leave one each."""

BYTES = 16 * 1024


def least_growth(sizes: Sequence[int]) -> int:
    """From one round to the next.  What leaks does so in each; what fills by leaps, as caches do,
    does not."""
    return min(after - before for before, after in pairwise(sizes))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["hooked", "recorded"])
@pytest.mark.parametrize("loop", [loops.name for loops in LOOPS])
def test_rounds_of_each_kind_leave_nothing(loop: str, mode: str, launch: Launcher) -> None:
    ran = launch(sys.executable, str(PROGRAM), loop, mode)
    assert ran.err == ""
    for kind, rounds in ran.json.items():
        blocks, resident = zip(*rounds[SETTLING:], strict=True)
        assert least_growth(blocks) < BLOCKS, (kind, rounds)
        assert least_growth(resident) < BYTES, (kind, rounds)
