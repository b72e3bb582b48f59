"""`python -m benchmarks`: measure, and print the tables of ratios.

Exit code: 0; 1 if a process failed or, under --check, a target was missed; 2 for wrong options.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from .interpreters import C_ENGINE, Interpreter, NotUsable, examine
from .measure import LOOPS
from .options import ENGINES, Parser, percentage, positive_float, positive_int, some_of
from .processes import run_all
from .results import Result, as_json, summarise
from .schedule import Cell, Choice, schedule
from .storms import SCENARIOS
from .table import LEGEND, tables
from .variants import PLAIN, VARIANTS

QUICK_ROUNDS = 3
QUICK_SCALE = 0.2


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(prog="python -m benchmarks", description="Measure what whence costs.")
    add = options.add_argument
    add("--python", action="append", metavar="PYTHON", help="may be repeated; default: this one")
    add("--rounds", type=positive_int, help="of all processes; default: 5")
    add("--quick", action="store_true", help="3 rounds of a fifth of the units, for a first look")
    add("--scale", type=positive_float, help="times the usual units; default: 1")
    add("--scenarios", type=some_of(tuple(SCENARIOS)), default=list(SCENARIOS), metavar="a,b,...")
    add(
        "--variants",
        type=some_of(tuple(VARIANTS)),
        metavar="off,...",
        help="default: those for which the Python has what they take",
    )
    add("--loop", type=some_of(LOOPS), default=["asyncio"], metavar="asyncio,uvloop")
    add("--engine", type=some_of(ENGINES), metavar="python,c", help="default: those that are built")
    add("--json", type=Path, metavar="FILE", help="write every single figure as well")
    add("--check", action="store_true", help="exit with 1 if a target is missed")
    add("--slack", type=percentage, default=0.05, metavar="PERCENT", help="for noise; default: 5")
    return options


def choice(interpreter: Interpreter, options: argparse.Namespace) -> Choice:
    """Return what is to be measured with `interpreter`; NotUsable if it lacks a package."""
    needs = {need for name in options.scenarios for need in SCENARIOS[name].needs}
    needs |= {"uvloop"} & set(options.loop)
    variants = options.variants or [
        name for name, row in VARIANTS.items() if row.needs in ("", "whence", *interpreter.packages)
    ]
    needs |= {VARIANTS[name].needs for name in variants} - {""}
    for package in sorted(needs - interpreter.packages):
        raise NotUsable(f"expected {package} in {interpreter.path}, but it has none; install it")
    built = ENGINES if C_ENGINE in interpreter.packages else ENGINES[:1]
    return Choice(
        interpreter.path,
        options.loop,
        options.engine or built,
        options.scenarios,
        variants if PLAIN in variants else [PLAIN, *variants],
    )


def print_tables(
    interpreters: Sequence[Interpreter],
    choices: Sequence[Choice],
    results: dict[Cell, Result],
    slack: float,
) -> None:
    """Print all tables, and what their marks mean."""
    for interpreter, chosen in zip(interpreters, choices, strict=True):
        for table in tables(chosen, interpreter.version, results, slack):
            print(table, end="\n\n")
    print(LEGEND.format(slack))


def exit_code(
    results: Iterable[Result], failures: Mapping[Cell, str], *, check: bool, slack: float
) -> int:
    """Return 1 if a process failed or, with `check`, a target was missed; else 0."""
    missed = check and any(result.missed(slack) for result in results)
    return int(bool(failures) or missed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return the exit code."""
    command_line = parser()
    options = command_line.parse_args(arguments)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else 5)
    scale = options.scale or (QUICK_SCALE if options.quick else 1.0)
    with ExitStack() as stack:
        file: TextIO | None = None
        try:
            interpreters = [examine(python) for python in options.python or [sys.executable]]
            choices = [choice(interpreter, options) for interpreter in interpreters]
            if options.json:
                file = stack.enter_context(options.json.open("w", encoding="utf-8"))
        except NotUsable as error:
            command_line.error(str(error))
        except OSError as error:
            command_line.error(f"--json: cannot write {options.json}: {error.strerror}")
        failures: dict[Cell, str] = {}
        results = summarise(run_all(schedule(choices, rounds), scale, failures))
        print_tables(interpreters, choices, results, options.slack)
        if file is not None:
            json.dump(as_json(results.values()), file, indent=1)
    return exit_code(results.values(), failures, check=options.check, slack=options.slack)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("benchmarks: interrupted, nothing was measured to the end")
