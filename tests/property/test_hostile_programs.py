"""No program can crash the interpreter with what the agent offers, nor end the engine's work.

WHENCE_FUZZ_RUNS is how many programs of its own each loop gets, beside those that are always the
same; WHENCE_FUZZ_SEED has the same ones tried again.
"""

import os
import random
import sys
from pathlib import Path

import pytest

from launching import Launcher
from loops import LOOPS
from whence import engine

SUPPORT = Path(__file__).parents[1] / "support"
PROGRAM = SUPPORT / "hostile_program.py"

RUNS = int(os.environ.get("WHENCE_FUZZ_RUNS", "1"))
SEED = int(os.environ.get("WHENCE_FUZZ_SEED", random.getrandbits(32)))
ACTS = 200

pytestmark = pytest.mark.timeout(120)


def check(launch: Launcher, seed: str, loop: str) -> None:
    ran = launch(
        *(sys.executable, str(PROGRAM), seed, str(ACTS), loop),
        env={"PYTHONHASHSEED": "0", "WHENCE_ENGINE": engine.NAME},
    )
    again = f"WHENCE_ENGINE={engine.NAME} {PROGRAM.name} {seed} {ACTS} {loop}"
    assert (ran.code, ran.out) == (0, f"{engine.NAME} engine, as ever\n"), f"{again}\n{ran.err}"


@pytest.mark.parametrize("loop", [loops.name for loops in LOOPS])
@pytest.mark.parametrize("seed", range(RUNS))
def test_the_same_hostile_programs_at_every_run_crash_nothing(
    seed: int, loop: str, launch: Launcher
) -> None:
    check(launch, str(seed), loop)


@pytest.mark.parametrize("loop", [loops.name for loops in LOOPS])
@pytest.mark.parametrize("run", range(RUNS))
def test_other_hostile_programs_at_every_run_crash_nothing(
    run: int, loop: str, launch: Launcher
) -> None:
    check(launch, str(SEED + run), loop)
