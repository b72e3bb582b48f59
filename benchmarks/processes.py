"""Runs the processes of a schedule, one after another, and collects what they measured."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator

from .interpreters import ROOT, environment
from .results import Sample
from .schedule import Cell
from .storms import SCENARIOS

TIMEOUT = 300


class Failed(Exception):
    """A process did not measure anything; the message says why, on one line."""


def command(cell: Cell, scale: float) -> list[str]:
    """Return the command that measures `cell` with `scale` times the usual units."""
    units = max(1, round(SCENARIOS[cell.scenario].units * scale))
    arguments = [cell.scenario, cell.variant, f"--loop={cell.loop}", f"--units={units}"]
    if cell.engine is not None:
        arguments.append(f"--engine={cell.engine}")
    return [cell.python, "-m", "benchmarks.measure", *arguments]


def run(cell: Cell, scale: float) -> float:
    """Measure `cell` in a process of its own and return the CPU nanoseconds of one unit."""
    try:
        process = subprocess.run(
            command(cell, scale),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no result after {TIMEOUT} s") from None
    if process.returncode:
        reason = process.stderr.strip().rpartition("\n")[2]
        raise Failed(reason or f"exit code {process.returncode}")
    return float(json.loads(process.stdout)["ns_per_unit"])


def run_all(cells: Iterable[Cell], scale: float, failures: dict[Cell, str]) -> Iterator[Sample]:
    """Run the processes in order and yield what they measured.

    A cell that fails is noted in `failures`, said on stderr, and not tried again.
    """
    for cell in cells:
        if cell in failures:
            continue
        try:
            yield Sample(cell, run(cell, scale))
        except Failed as error:
            failures[cell] = str(error)
            again = " ".join(command(cell, scale))
            print(f"benchmarks: {error}; to see it again: {again}", file=sys.stderr)
