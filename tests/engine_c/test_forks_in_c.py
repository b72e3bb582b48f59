"""A fork inside of an event: the child, whose thread has another state now, goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whence.engine import twin

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)
if not hasattr(os, "fork"):
    pytest.skip("there is no fork", allow_module_level=True)

PROGRAM = Path(__file__).parent / "programs" / "forked_inside.py"


def test_a_child_goes_on_wherever_it_was_forked() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAM],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        # What is used after it was freed is found out by its contents.
        env={**os.environ, "PYTHONMALLOC": "debug"},
    )
    assert done.returncode == 0, done.stderr
    well, number = map(int, done.stdout.split())
    assert well == number == 5 * (1 + 2 * 2), done.stderr
