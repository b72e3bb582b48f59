"""What becomes of events where memory has run out: they are lost, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from whence.engine import twin

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)

pytest.importorskip("_testcapi")

PROGRAM = Path(__file__).parent / "programs" / "no_memory.py"


def test_whatever_allocation_fails_the_process_goes_on() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    rounds = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(rounds) == 4
    assert all(out > 100 and on > 100 for out, on in rounds)


def test_whatever_allocation_fails_spans_are_lost_at_the_most() -> None:
    program = PROGRAM.with_name("no_memory_for_spans.py")
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    push, place, pack = (tuple(map(int, line.split())) for line in done.stdout.splitlines())
    assert push[0] > 0
    # Without memory for a place Python is asked.
    assert place[0] > 0
    assert pack[0] > 10
    assert all(on >= 30 for _, on in (push, place, pack))
