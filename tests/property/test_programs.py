"""Random programs keep every law, however they are watched, and do what they do without whence.

WHENCE_PROPERTY_EXAMPLES is how many each test tries.  A failure shows the smallest program that
fails, and the line that reproduces it.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings

from laws import broken
from loops import LOOPS, Loops
from programs import PROGRAMS, Program
from running import Run, run, run_plainly

EXAMPLES = int(os.environ.get("WHENCE_PROPERTY_EXAMPLES", "300"))

settings.register_profile(
    "random programs",
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

pytestmark = pytest.mark.timeout(120 + EXAMPLES)


def watched(program: Program, loops: Loops) -> Run:
    """By a hook that hears everything, before those that the program switches."""
    return run(program, loops, watched=True)


def toggled(program: Program, loops: Loops) -> Run:
    """By hooks that the program switches: at times there is none, and asyncio is as it was."""
    return run(program, loops)


def recorded(program: Program, loops: Loops) -> Run:
    """By the agent, and by such hooks."""
    return run(program, loops, recorded=True)


@pytest.mark.parametrize("way", [watched, toggled, recorded], ids=lambda way: way.__name__)
@pytest.mark.parametrize("loops", LOOPS, ids=lambda loops: loops.name)
def test_random_programs_keep_the_laws(loops: Loops, way: Callable[[Program, Loops], Run]) -> None:
    @settings(settings.get_profile("random programs"))
    @given(PROGRAMS)
    def keeps_the_laws(program: Program) -> None:
        found = broken(way(program, loops), run_plainly(program, loops))
        assert not found, "\n".join(found)

    keeps_the_laws()
