"""One process of `benchmarks.instructions`: a storm, of which callgrind collects what it executes.

It collects inside one function of CPython that nothing else calls here, `ascii()` (`TOGGLE`), and
in the thread that calls it: neither imports, nor the way in and out of a storm, nor threads of the
agent's are in the figure.  What came before was warm: the storm has been done once.
"""

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable

from .storms import SCENARIOS
from .variants import VARIANTS, NotProven, set_engine

TOGGLE = "PyObject_ASCII"
"""What `ascii()` calls, by the name that `--toggle-collect` of callgrind takes."""


class _Collected:
    """Calls a function when somebody asks for its text."""

    def __init__(self, function: Callable[[], int]) -> None:
        self._function = function
        self.result = 0

    def __repr__(self) -> str:
        self.result = self._function()
        return ""


def collect(function: Callable[[], int]) -> int:
    """Call a function under callgrind's eyes and return its result."""
    collected = _Collected(function)
    ascii(collected)
    return collected.result


def run(scenario: str, variant: str, units: int) -> None:
    """Enter the variant in this process and do so many units, twice."""
    prove = VARIANTS[variant].enter()
    context = SCENARIOS[scenario].open()
    with asyncio.Runner() as runner:
        storm = runner.run(context.__aenter__())
        runner.run(storm(units))
        gc.collect()
        done = collect(lambda: runner.run(storm(units)))
        runner.run(context.__aexit__(None, None, None))
    if done != units:
        raise NotProven(f"expected {units} units of {scenario}, but {done} were done")
    prove()


def prove_engine(name: str) -> None:
    """The other one runs where the one asked for cannot."""
    from whence import engine

    if name != engine.NAME:
        raise NotProven(f"expected the engine {name}, but {engine.NAME} runs")


def main() -> None:
    """Do what the arguments name."""
    parser = argparse.ArgumentParser(prog="benchmarks.counted")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--engine")
    parser.add_argument("--units", type=int, required=True)
    options = parser.parse_args()
    set_engine(options.engine)
    try:
        run(options.scenario, options.variant, options.units)
        if options.engine is not None:
            prove_engine(options.engine)
    except NotProven as error:
        sys.exit(f"{options.variant}: {error}")


if __name__ == "__main__":
    main()
