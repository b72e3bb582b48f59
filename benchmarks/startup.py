"""`python -m benchmarks.startup`: what whence adds to a program that only says hello from a loop.

From the start of the process to its end, attached as `WHENCE_ATTACH=1` does it; nobody takes spans.
Whether so short a program makes one, which has to take a millisecond, depends on the machine: here
it makes none, as on one that is not busy, or all that it can (`+ spans`), for which OpenTelemetry
is imported.  Processes are interleaved, and medians compared.

- `wall`, `CPU`: milliseconds on top of the program alone; CPU time is that of all threads and of
  the system.
- `RSS`: the most memory that it ever had, in MB on top of the same program with all modules
  imported that are there in the attached one and are not whence's.

Exit code: 0; 1 with --check if a promise of `PROMISES` was not held; 2 for wrong options.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from .interpreters import C_ENGINE, ROOT, environment, examine
from .options import ENGINES, Parser, positive_int, some_of

HELLO = "import asyncio\nasync def main(): print('hello')\nasyncio.run(main())\n"
"""The program."""
LIST = (
    "\nimport sys\nprint(*(name for name in sys.modules if name.partition('.')[0] != 'whence'))\n"
)
IMPORT = """
import sys
for name in sys.stdin.read().split():
    try:
        __import__(name)
    except ImportError:
        pass
"""

ALONE = "alone"
WITH_IMPORTS = "with the same imports"

PROMISES = {"wall": 50.0, "cpu": 50.0, "rss": 10.0}
"""Milliseconds, milliseconds, MB."""


class Figures(NamedTuple):
    """What one process took."""

    wall: float
    cpu: float
    rss: float


class Kind(NamedTuple):
    """How the program is attached."""

    engine: str
    makes_spans: bool = False

    def __str__(self) -> str:
        return f"{self.engine}{' + spans' * self.makes_spans}"

    @property
    def environment(self) -> dict[str, str]:
        """What attaches it so."""
        return environment() | {
            "WHENCE_ATTACH": "1",
            "WHENCE_ENGINE": self.engine,
            "WHENCE_MIN_DURATION": "0" if self.makes_spans else "60000",
        }


def run(program: str, environ: Mapping[str, str], said: str = "") -> Figures:
    """Run a program to its end and return what it took."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        assert child.stdin is not None
        child.stdin.write(said.encode())
        child.stdin.close()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"benchmarks: the program ended with {child.returncode}")
    # macOS says bytes, other systems say kilobytes.
    size = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Figures(wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3, size)


def modules(kind: Kind) -> str:
    """The names of the modules that are imported at the end of the attached program."""
    return subprocess.run(
        [sys.executable, "-c", HELLO + LIST],
        cwd=ROOT,
        env=kind.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def measure(kinds: Sequence[Kind], rounds: int) -> dict[str, list[Figures]]:
    """Run each kind of process `rounds` times, in turns."""
    names = modules(kinds[0])
    found: dict[str, list[Figures]] = {kind: [] for kind in (ALONE, WITH_IMPORTS)}
    found |= {str(kind): [] for kind in kinds}
    for _ in range(rounds):
        found[ALONE].append(run(HELLO, environment()))
        found[WITH_IMPORTS].append(run(IMPORT + HELLO, environment(), names))
        for kind in kinds:
            found[str(kind)].append(run(HELLO, kind.environment))
    return found


def added(found: Mapping[str, Sequence[Figures]], kind: Kind) -> Figures:
    """What the agent adds: medians of the differences within a round."""
    rounds = list(zip(found[str(kind)], found[ALONE], found[WITH_IMPORTS], strict=True))
    return Figures(
        median(a.wall - b.wall for a, b, _ in rounds),
        median(a.cpu - b.cpu for a, b, _ in rounds),
        median(a.rss - c.rss for a, _, c in rounds),
    )


def cell(figure: float, promise: float | None) -> str:
    """One figure, and what is promised of it."""
    promised = "" if promise is None else f"({promise:3.0f})"
    return f"{figure:9.1f} {promised:6}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return the exit code."""
    command_line = Parser(
        prog="python -m benchmarks.startup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command_line.add_argument
    add("--rounds", type=positive_int, default=15)
    add("--engine", type=some_of(ENGINES), metavar="python,c", help="default: those that are built")
    add("--check", action="store_true", help="exit with 1 if a promise is not held")
    options = command_line.parse_args(arguments)
    interpreter = examine(sys.executable)
    built = ENGINES if C_ENGINE in interpreter.packages else ENGINES[:1]
    engines = options.engine or list(built)
    kinds = [Kind(engine, spans) for engine in engines for spans in (False, True)]
    found = measure(kinds, options.rounds)
    alone = [median(figures) for figures in zip(*found[ALONE], strict=True)]
    print(f"{interpreter.version}: hello from a loop, and what whence adds (promised)")
    print(f"{'':18}{'wall ms':>16}{'CPU ms':>16}{'RSS MB':>16}")
    print(f"{ALONE:18}" + "".join(f"{figure:9.1f}{'':7}" for figure in alone).rstrip())
    broken = False
    for kind in kinds:
        figures = added(found, kind)._asdict()
        promises = {} if kind.makes_spans else PROMISES
        broken |= any(figures[name] > most for name, most in promises.items())
        cells = (cell(figure, promises.get(name)) for name, figure in figures.items())
        print(f"{kind!s:18}" + "".join(cells).rstrip())
    return int(options.check and broken)


if __name__ == "__main__":
    sys.exit(main())
