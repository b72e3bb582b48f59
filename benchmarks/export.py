"""`python -m benchmarks.export`: what it costs to make spans and have them sent, beside the SDK.

One table, a line for each way to make spans (`emitters.py`) and each engine:

- CPU nanoseconds of a span in the loop's own thread, and in all others together;
- the 99th percentile of the delay of a busy loop that makes as many spans as `RATES` calls usual,
  as a ratio to that of the same loop without spans in the same round, and how much later that is;
- how many spans a second arrived of a loop that makes the most, and how many of those made did
  not.

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
from .emitters import HANDED_OVER, KINDS, NOTHING, SDK, WHENCE, Kind
from .interpreters import C_ENGINE, ROOT, environment, examine
from .options import ENGINES, Parser, positive_float, positive_int, some_of

TIMEOUT = 120
BYTES_OF_A_SPAN = 500
"""Or less."""


class Rates(NamedTuple):
    """Spans a second."""

    usual: int
    most: int


RATES = {"python": Rates(10_000, 200_000), "c": Rates(100_000, 1_000_000)}
_MADE_BEFOREHAND = 200_000
"""The most of what has to be there before it begins, in either engine."""


class Way(NamedTuple):
    """A line of the table."""

    kind: str
    engine: str | None

    def __str__(self) -> str:
        return self.kind if self.engine is None else f"{self.kind}, {self.engine}"


class Promise(NamedTuple):
    """What a figure must not exceed."""

    way: Way
    column: str
    most: float


PROMISES = (
    Promise(Way(f"{HANDED_OVER}, http", "python"), "own", 100),
    Promise(Way(f"{HANDED_OVER}, http", "python"), "p99", 1.2),
    Promise(Way(f"{WHENCE}, http", "python"), "p99", 1.2),
    Promise(Way(f"{HANDED_OVER}, http", "c"), "own", 30),
    Promise(Way(f"{WHENCE}, http", "c"), "later", 50),
    Promise(Way(f"{WHENCE}, http", "c"), "lost", 0),
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


def measure(way: Way, seconds: float) -> Round:
    """One round of one way: three processes, each with a receiver of its own."""
    rates = RATES[way.engine or "python"]
    most_spans = _MADE_BEFOREHAND if way.kind.startswith(HANDED_OVER) else rates.most
    lasts = f"--seconds={seconds}"
    own, _ = _run(way)
    usual, usual_sink = _run(way, f"--rate={rates.usual}", lasts)
    room = int(most_spans * seconds) * BYTES_OF_A_SPAN if way.kind != NOTHING else 0
    most, most_sink = _run(way, f"--rate={most_spans}", lasts, "--most", room=room)
    if way.kind != NOTHING and usual_sink["spans"] == 0:
        raise Broken(f"{way}: no spans arrived")
    took = max(seconds, most_sink["last"] - most["began"])
    return Round(
        own["own"],
        usual["others"],
        usual["p99"],
        max(0, most_sink["spans"] - FIRST) / took,
        max(0, 1 - most_sink["spans"] / most["made"]),
    )


def _run(way: Way, *options: str, room: int = 0) -> tuple[dict[str, float], dict[str, float]]:
    """What an emitting process says, and what its receiver does."""
    row: Kind = KINDS[way.kind]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink", row.protocol, f"--room={room}"],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as sink:
        assert sink.stdout is not None
        endpoint = f"http://127.0.0.1:{sink.stdout.readline().strip()}"
        command = [sys.executable, "-m", "benchmarks.emit", way.kind, endpoint, *options]
        if way.engine is not None:
            command.append(f"--engine={way.engine}")
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
        raise Broken(f"{way}: {ran.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(ran.stdout), json.loads(found)


class Row:
    """A line of the table: the medians of all rounds."""

    def __init__(self, way: Way, rounds: Sequence[Round], nothing: Sequence[Round]) -> None:
        self.way = way
        pairs = list(zip(rounds, nothing, strict=True))
        self.own = median(a.own - b.own for a, b in pairs)
        self.others = median(a.others for a in rounds)
        self.p99 = median(a.delay / b.delay for a, b in pairs)
        self.later = median(a.delay - b.delay for a, b in pairs) / 1000
        self.arrived = median(a.arrived for a in rounds)
        self.lost = median(a.lost for a in rounds)

    def text(self, sdk: "Row | None") -> str:
        """The line; with how many times less than the SDK it takes."""
        less = f"{sdk.own / max(1, self.own):6.0f}x" if sdk is not None else f"{'':7}"
        least = f"{sdk.others / max(1, self.others):6.1f}x" if sdk is not None else f"{'':7}"
        return (
            f"{self.way!s:28}{self.own:10,.0f}{less}{self.others:10,.0f}{least}"
            f"{self.p99:8.2f}{self.later:+10,.0f}{self.arrived:12,.0f}{self.lost:9.1%}"
        )


HEAD = (
    f"{'':28}{'loop ns':>10}{'':7}{'others ns':>10}{'':7}"
    f"{'p99':>8}{'us':>10}{'arrived/s':>12}{'lost':>9}"
)


def broken_promises(rows: Sequence[Row]) -> Iterator[str]:
    """One line for each promise that was not held."""
    by_way = {row.way: row for row in rows}
    for way, column, most in PROMISES:
        if way in by_way:
            found = getattr(by_way[way], column)
            if found > most:
                yield f"{way}: {column} is {found:,.2f}, promised are {most:,.2f} at the most"


def ways(kinds: Sequence[str], engines: Sequence[str]) -> list[Way]:
    """The lines of the table: first what the others are compared with."""
    whences = [kind for kind in kinds if kind != SDK]
    ours = [Way(kind, engine) for kind in whences for engine in engines]
    return [Way(NOTHING, None), *ours, *(Way(kind, None) for kind in kinds if kind == SDK)]


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
    add("--engine", type=some_of(ENGINES), metavar="python,c", help="default: those that are built")
    add("--rounds", type=positive_int, default=3)
    add("--seconds", type=positive_float, default=2.0, help="for which each process makes spans")
    add("--check", action="store_true", help="exit with 1 if a promise is not held")
    options = command_line.parse_args()
    built = ENGINES if C_ENGINE in examine(sys.executable).packages else ENGINES[:1]
    chosen = ways([by_name[name] for name in options.kinds], options.engine or built)
    found: dict[Way, list[Round]] = {way: [] for way in chosen}
    try:
        for _ in range(options.rounds):
            for way in chosen:
                found[way].append(measure(way, options.seconds))
    except Broken as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    nothing, *ours = chosen
    rows = [Row(way, found[way], found[nothing]) for way in ours]
    sdk = next((row for row in rows if row.way.kind == SDK), None)
    print(HEAD)
    for row in rows:
        print(row.text(sdk))
    missed = list(broken_promises(rows))
    for line in missed:
        print(f"! {line}")
    return int(options.check and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
