"""Random programs keep every law, however they are watched, and do what they do without whence.

WHENCE_PROPERTY_EXAMPLES is how many each test tries.  A failure shows the smallest program that
fails, and the line that reproduces it.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings

from acts.callbacks import Later, Soon
from acts.tasks import Sleep, Spawn
from laws import broken
from loops import LOOPS, Loops
from play import Body
from programs import PROGRAMS, Program
from running import Run, run, run_plainly
from watching import EVENTS, Plan

EXAMPLES = int(os.environ.get("WHENCE_PROPERTY_EXAMPLES", "300"))

settings.register_profile(
    "random programs",
    max_examples=EXAMPLES,
    deadline=None,
    # The same programs at every run of CI, so that what fails there fails again; others elsewhere.
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

pytestmark = [
    pytest.mark.timeout(120 + EXAMPLES),
    # Programs that are dropped in the middle have things to say that nobody asked for.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def watched(program: Program, loops: Loops) -> Run:
    """By a hook that hears everything, before those that the program switches."""
    return run(program, loops, watched=True)


def toggled(program: Program, loops: Loops) -> Run:
    """By hooks that the program switches: at times there is none, and asyncio is as it was."""
    return run(program, loops)


def recorded(program: Program, loops: Loops) -> Run:
    """By the agent, and by such hooks."""
    return run(program, loops, recorded=True)


WAYS = pytest.mark.parametrize("way", [watched, toggled, recorded], ids=lambda way: way.__name__)
ON_LOOPS = pytest.mark.parametrize("loops", LOOPS, ids=lambda loops: loops.name)
Way = Callable[[Program, Loops], Run]


def check(program: Program, way: Way, loops: Loops) -> None:
    found = broken(way(program, loops), run_plainly(program, loops))
    assert not found, "\n".join(found)


@WAYS
@ON_LOOPS
def test_random_programs_keep_the_laws(loops: Loops, way: Way) -> None:
    @settings(settings.get_profile("random programs"))
    @given(PROGRAMS)
    def keeps_the_laws(program: Program) -> None:
        check(program, way, loops)

    keeps_the_laws()


REDUCED = {
    "a timer for a time that is past": (Later(delay="past"),),
    "a callback that cancels itself": (Soon(cancel="inside"),),
    "an eager task whose next step is scheduled in its first": (Spawn((Sleep(),), "eagerly"),),
}
"""Programs that once broke a law, without what was not needed for it."""


@pytest.mark.parametrize("body", REDUCED.values(), ids=REDUCED)
@WAYS
@ON_LOOPS
def test_what_once_broke_a_law_keeps_it(loops: Loops, way: Way, body: Body) -> None:
    check(Program(body, (Plan(EVENTS),), all_types=True), way, loops)
