"""The benchmark of the live table measures what it says it does."""

import sys

import pytest

from benchmarks import live
from benchmarks.live import STATES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")


def test_every_state_is_measured() -> None:
    """Each process proves that it has a socket or none, and that it was asked."""
    times = live._run(["c"], 1, 2.0)
    assert {state: len(found) for (_, state), found in times.items()} == dict.fromkeys(STATES, 1)
    assert all(time > 1000 for found in times.values() for time in found)


def test_what_is_above_the_promise_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    times = {("a", "recorded"): [100.0, 200.0, 100.0], ("a", "live"): [102.0, 204.0, 150.0]}
    kept = {**times, ("a", "top"): [103.0, 206.0, 103.0]}
    assert live._tell(["a"], kept, slack=0.02) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == ["a", "call_soon", "100", "1.00", "150", "1.02", "103", "1.03"]
    missed = {**times, ("a", "top"): [107.0, 214.0, 103.0]}
    assert live._tell(["a"], missed, slack=0.02) == 1
    assert capsys.readouterr().out.rstrip().endswith("1.07 !")
