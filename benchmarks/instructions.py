"""`python -m benchmarks.instructions`: what whence costs in instructions, whoever else is busy.

A process of the table's runs under `valgrind --tool=callgrind` with some units and with twice as
many: what the second executes on top of the first is what these units take.  So a figure is the
same to a part in a thousand, whatever else the machine does, and a change of one per cent is a
change.  It says nothing of caches and of the system, whose calls are not counted.

Exit code: 0; 1 with --check if a ratio is above its bound by more than the slack; 2 for wrong
options, and where there is no valgrind.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .interpreters import ROOT, environment, examine
from .options import ENGINES, Parser, percentage, some_of
from .storms import SCENARIOS

UNITS = {"a": 4_000, "b": 400, "c": 1_000, "d": 2_000}
"""Of the storms.  Those that wait for the system take as long as that wants."""
VARIANTS = ("recorded", "hooks")
TIMEOUT = 600
COUNTED = re.compile(r"Collected : (\d+)")

BOUNDS: dict[tuple[str, str, str], dict[str, float]] = {}
"""Python, engine and variant -> scenario -> what the ratio to the plain program must not exceed."""


class Broken(Exception):
    """A process was not counted; the message says why, on one line."""


class Ratio(NamedTuple):
    """What a unit of a scenario takes in a variant, and how that compares to the plain program."""

    engine: str
    variant: str
    scenario: str
    instructions: float
    ratio: float

    def bound(self, python: str) -> float | None:
        """What the ratio must not exceed, if anything is known of this Python."""
        return BOUNDS.get((python, self.engine, self.variant), {}).get(self.scenario)


def count(scenario: str, variant: str, engine: str | None) -> float:
    """Return the instructions of one unit."""
    once, twice = (_run(scenario, variant, engine, times * UNITS[scenario]) for times in (1, 2))
    # A tenth of the units warms it up.
    return (twice - once) / (1.1 * UNITS[scenario])


def _run(scenario: str, variant: str, engine: str | None, units: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-m", "benchmarks.measure", scenario, variant, f"--units={units}"]
    command += ["--repetitions=1", *([f"--engine={engine}"] if engine else [])]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        # An order of sets that changes makes other programs of the same one.
        env=environment() | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    found = COUNTED.search(ran.stderr)
    if ran.returncode or found is None:
        reason = ran.stderr.strip().rpartition("\n")[2]
        raise Broken(f"{scenario} {variant}: {reason or f'exit code {ran.returncode}'}")
    return int(found[1])


def ratios(
    scenarios: Sequence[str], variants: Sequence[str], engines: Sequence[str]
) -> Iterator[Ratio]:
    """Count all of them, each after the plain program."""
    for scenario in scenarios:
        plain = count(scenario, "plain", None)
        yield Ratio("", "plain", scenario, plain, 1.0)
        for engine in engines:
            for variant in variants:
                found = count(scenario, variant, engine)
                yield Ratio(engine, variant, scenario, found, round(found / plain, 3))


def line(found: Ratio, python: str, slack: float) -> str:
    """One ratio, its bound, and a mark where it is exceeded."""
    bound = found.bound(python)
    promised = "" if bound is None else f"({bound:.3f})"
    mark = "!" if exceeds(found, python, slack) else ""
    state = f"{found.variant} {found.engine}".strip()
    unit = f"{found.scenario} {SCENARIOS[found.scenario].unit}"
    return f"{unit:14}{state:18}{found.instructions:10,.0f}{found.ratio:8.3f}  {promised:8}{mark}"


def exceeds(found: Ratio, python: str, slack: float) -> bool:
    """Say whether it is above its bound by more than the part `slack` of it."""
    bound = found.bound(python)
    return bound is not None and found.ratio > bound * (1 + slack)


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
    add("--check", action="store_true", help="exit with 1 if a bound is exceeded")
    add("--slack", type=percentage, default=0.05, metavar="PERCENT", help="default: 5")
    options = command_line.parse_args(arguments)
    if shutil.which("valgrind") is None:
        command_line.error("expected valgrind on PATH, which counts; install it")
    version = examine(sys.executable).version
    python = ".".join(version.split()[-1].split(".")[:2])
    exceeded = False
    print(f"{version}, instructions of one unit, ratio to plain, (bound)")
    try:
        for found in ratios(options.scenarios, options.variants, options.engine):
            print(line(found, python, options.slack), flush=True)
            exceeded |= exceeds(found, python, options.slack)
    except (Broken, subprocess.TimeoutExpired) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return int(options.check and exceeded)


if __name__ == "__main__":
    sys.exit(main())
