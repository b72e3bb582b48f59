"""`python -m benchmarks.instructions`: what whence costs in instructions, whoever else is busy.

A process for each figure runs under `valgrind --tool=callgrind`, which counts what the thread of
the loop executes while it does a number of units (`counted.py`).  So a figure is the same to a part
in a thousand, whatever else the machine does, and a change of one per cent is a change; README.md
names the exception.  It says nothing of caches, of the system, whose calls are not counted, and of
the agent's own threads.

`--write` makes the ratios the bounds of this Python (`bounds.json`); `--check` compares with them.

Exit code: 0; 1 with --check if a ratio is above its bound by more than the slack, or has none; 2
for wrong options, and where there is no valgrind.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from . import bounds
from .counted import TOGGLE
from .interpreters import ROOT, environment, examine
from .options import ENGINES, Parser, percentage, some_of
from .storms import SCENARIOS

UNITS = {"a": 5_000, "b": 1_000, "c": 2_000, "d": 2_000}
"""Of the storms.  Those that wait for the system take as long as that wants."""
VARIANTS = ("recorded", "hooks")
TIMEOUT = 600
ENVIRONMENT = {
    # An order of sets that changes makes other programs of the same one.
    "PYTHONHASHSEED": "0",
    # Everything takes fifty times as long here: no step is to be one that blocks for that.
    "WHENCE_SLOW": "60000",
}
COUNTED = re.compile(r"Collected : (\d+)")


class Broken(Exception):
    """A process was not counted; the message says why, on one line."""


class Cell(NamedTuple):
    """What is counted in one process; the plain program has no engine."""

    scenario: str
    variant: str = "plain"
    engine: str = ""


class Ratio(NamedTuple):
    """What a unit takes, how that compares to the plain program, and how it may."""

    cell: Cell
    instructions: float
    ratio: float
    bound: float | None


def cells(scenarios: Sequence[str], variants: Sequence[str], engines: Sequence[str]) -> list[Cell]:
    """What is to be counted: of each scenario the plain program first."""
    found = []
    for scenario in scenarios:
        found.append(Cell(scenario))
        found += [Cell(scenario, variant, engine) for engine in engines for variant in variants]
    return found


def count(cell: Cell) -> float:
    """Return the instructions of one unit."""
    units = UNITS[cell.scenario]
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [f"--toggle-collect={TOGGLE}", sys.executable, "-m", "benchmarks.counted"]
    command += [cell.scenario, cell.variant, f"--units={units}"]
    ran = subprocess.run(
        [*command, *([f"--engine={cell.engine}"] if cell.engine else [])],
        cwd=ROOT,
        env=environment() | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    found = COUNTED.search(ran.stderr)
    if ran.returncode or found is None:
        reason = ran.stderr.strip().rpartition("\n")[2]
        raise Broken(f"{cell.scenario} {cell.variant}: {reason or f'exit code {ran.returncode}'}")
    if found[1] == "0":
        raise Broken(f"nothing was counted: this Python's ascii() does not call {TOGGLE}")
    return int(found[1]) / units


def ratios(wanted: Sequence[Cell], python: str) -> Iterator[Ratio]:
    """Count all of them, several at a time: instructions do not mind."""
    known = bounds.read()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        plain = 0.0
        for cell, found in zip(wanted, pool.map(count, wanted), strict=True):
            if not cell.engine:
                plain = found
            bound = bounds.find(known, python, cell.engine, cell.variant, cell.scenario)
            yield Ratio(cell, found, round(found / plain, 3), bound)


def line(found: Ratio, slack: float) -> str:
    """One ratio, its bound, and a mark where it is exceeded."""
    cell, bound = found.cell, found.bound
    promised = "" if bound is None else f"({bound:.3f})"
    mark = "!" if exceeds(found, slack) else ""
    state = f"{cell.variant} {cell.engine}".strip()
    unit = f"{cell.scenario} {SCENARIOS[cell.scenario].unit}"
    return f"{unit:14}{state:18}{found.instructions:10,.0f}{found.ratio:8.3f}  {promised:8}{mark}"


def exceeds(found: Ratio, slack: float) -> bool:
    """Say whether it is above its bound by more than the part `slack` of it."""
    return found.bound is not None and found.ratio > found.bound * (1 + slack)


def complaints(found: Sequence[Ratio], python: str, slack: float) -> list[str]:
    """What --check finds wrong, a line for each."""
    said = []
    for each in found:
        what = f"{each.cell.scenario} {each.cell.variant} {each.cell.engine} on {python}"
        if not each.cell.engine:
            continue
        if each.bound is None:
            said.append(f"{what}: expected a bound in {bounds.FILE.name}, which --write makes")
        elif exceeds(each, slack):
            said.append(
                f"{what}: expected a ratio of {each.bound:.3f} at most, and {slack:.0%} more; "
                f"it is {each.ratio:.3f}"
            )
    return said


def keep(found: Sequence[Ratio], python: str, file: Path = bounds.FILE) -> None:
    """Make the ratios the bounds."""
    known = bounds.read(file)
    for each in found:
        if each.cell.engine:
            cell = each.cell
            bounds.put(known, python, cell.engine, cell.variant, cell.scenario, each.ratio)
    bounds.write(known, file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count what the arguments name, print it and return the exit code."""
    command_line = Parser(
        prog="python -m benchmarks.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command_line.add_argument
    add("--scenarios", type=some_of(tuple(UNITS)), default=list(UNITS), metavar="a,b,c,d")
    add("--variants", type=some_of(VARIANTS), default=list(VARIANTS), metavar="recorded,hooks")
    add("--engine", type=some_of(ENGINES), default=["c"], metavar="python,c")
    add("--check", action="store_true", help="exit with 1 if a bound is exceeded or missing")
    add("--write", action="store_true", help="make these ratios the bounds")
    add("--slack", type=percentage, default=0.05, metavar="PERCENT", help="default: 5")
    options = command_line.parse_args(arguments)
    if options.check and options.write:
        command_line.error("expected --check or --write, not both")
    if shutil.which("valgrind") is None:
        command_line.error("expected valgrind on PATH, which counts; install it")
    version = examine(sys.executable).version
    python = ".".join(version.split()[-1].split(".")[:2])
    print(f"{version}, instructions of one unit, ratio to plain, (bound)")
    found = []
    try:
        for each in ratios(cells(options.scenarios, options.variants, options.engine), python):
            found.append(each)
            print(line(each, options.slack), flush=True)
    except (Broken, subprocess.TimeoutExpired) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if options.write:
        keep(found, python)
    wrong = complaints(found, python, options.slack) if options.check else []
    for complaint in wrong:
        print(f"benchmarks: {complaint}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
