"""`python -m benchmarks.export`: what it costs to make spans and have them sent, beside the SDK.

One table, a line for each way to make spans (`emitters.py`):

- CPU nanoseconds of a span in the loop's own thread, and in all others together;
- the 99th percentile of the loop's delay at 10,000 spans a second, as a ratio to that of the same
  loop without spans, measured in the same round;
- how many spans a second arrived when 200,000 were to be made, and how many of those made did not.

Exit code: 0; 1 with --check if a promise of `PROMISES` was not held; 2 for wrong options.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from .emit import FIRST
from .emitters import KINDS, NOTHING, SDK, Kind
from .interpreters import ROOT, environment
from .options import Parser, positive_float, positive_int, some_of

USUAL, MOST = 10_000, 200_000
TIMEOUT = 120


class Promise(NamedTuple):
    """What a figure must not exceed, or fall below."""

    kind: str
    column: str
    most: float


PROMISES = (
    Promise("handed over, http", "own", 100),
    Promise("handed over, http", "p99", 1.2),
    Promise("whence, http", "p99", 1.2),
)


class Broken(Exception):
    """A process measured nothing; the message says why, on one line."""


class Round(NamedTuple):
    """What one round found of one kind."""

    own: float
    others: float
    delay: float
    """Nanoseconds, the 99th percentile."""
    arrived: float
    lost: float


def measure(kind: str, seconds: float) -> Round:
    """One round of one kind: three processes, each with a receiver of its own."""
    own, _ = _run(kind)
    usual, usual_sink = _run(kind, f"--rate={USUAL}", f"--seconds={seconds}")
    most, most_sink = _run(kind, f"--rate={MOST}", f"--seconds={seconds}")
    if kind != NOTHING and usual_sink["spans"] == 0:
        raise Broken(f"{kind}: no spans arrived")
    took = max(seconds, most_sink["last"] - most["began"])
    return Round(
        own["own"],
        usual["others"],
        usual["p99"],
        max(0, most_sink["spans"] - FIRST) / took,
        1 - most_sink["spans"] / most["made"],
    )


def _run(kind: str, *options: str) -> tuple[dict[str, float], dict[str, float]]:
    """What an emitting process says, and what its receiver does."""
    row: Kind = KINDS[kind]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink", row.protocol],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as sink:
        assert sink.stdout is not None
        endpoint = f"http://127.0.0.1:{sink.stdout.readline().strip()}"
        command = [sys.executable, "-m", "benchmarks.emit", kind, endpoint, *options]
        ran = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        found, _ = sink.communicate(timeout=TIMEOUT)
    if ran.returncode or not ran.stdout:
        raise Broken(f"{kind}: {ran.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(ran.stdout), json.loads(found)


class Row:
    """A line of the table: the medians of all rounds."""

    def __init__(self, kind: str, rounds: Sequence[Round], nothing: Sequence[Round]) -> None:
        self.kind = kind
        self.own = median(a.own - b.own for a, b in zip(rounds, nothing, strict=True))
        self.others = median(a.others for a in rounds)
        self.p99 = median(a.delay / b.delay for a, b in zip(rounds, nothing, strict=True))
        self.arrived = median(a.arrived for a in rounds)
        self.lost = median(a.lost for a in rounds)

    def text(self, sdk: "Row | None") -> str:
        """The line; with how many times less than the SDK it takes."""
        less = f"{sdk.own / max(1, self.own):6.0f}x" if sdk is not None else f"{'':7}"
        least = f"{sdk.others / max(1, self.others):6.1f}x" if sdk is not None else f"{'':7}"
        return (
            f"{self.kind:20}{self.own:10,.0f}{less}{self.others:10,.0f}{least}"
            f"{self.p99:10.2f}{self.arrived:12,.0f}{self.lost:9.1%}"
        )


HEAD = f"{'':20}{'loop ns':>10}{'':7}{'others ns':>10}{'':7}{'p99':>10}{'arrived/s':>12}{'lost':>9}"


def broken_promises(rows: Sequence[Row]) -> Iterator[str]:
    """One line for each promise that was not held."""
    by_kind = {row.kind: row for row in rows}
    for kind, column, most in PROMISES:
        if kind in by_kind:
            found = getattr(by_kind[kind], column)
            if found > most:
                yield f"{kind}: {column} is {found:,.2f}, promised are {most:,.2f} at the most"


def main() -> int:
    """Measure what the arguments name, print the table and return the exit code."""
    command_line = Parser(
        prog="python -m benchmarks.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command_line.add_argument
    by_name = {kind.replace(",", "").replace(" ", "-"): kind for kind in KINDS if kind != NOTHING}
    names = list(by_name)
    add("--kinds", type=some_of(names), default=names, help=",".join(names))
    add("--rounds", type=positive_int, default=3)
    add("--seconds", type=positive_float, default=2.0, help="for which each process makes spans")
    add("--check", action="store_true", help="exit with 1 if a promise is not held")
    options = command_line.parse_args()
    kinds = [NOTHING, *(by_name[name] for name in options.kinds)]
    found: dict[str, list[Round]] = {kind: [] for kind in kinds}
    try:
        for _ in range(options.rounds):
            for kind in kinds:
                found[kind].append(measure(kind, options.seconds))
    except Broken as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    rows = [Row(kind, found[kind], found[NOTHING]) for kind in kinds if kind != NOTHING]
    sdk = next((row for row in rows if row.kind == SDK), None)
    print(HEAD)
    for row in rows:
        print(row.text(sdk))
    missed = list(broken_promises(rows))
    for line in missed:
        print(f"! {line}")
    return int(options.check and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
