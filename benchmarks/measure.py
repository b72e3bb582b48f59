"""One process of the benchmark: one scenario in one variant, its times as a line of JSON.

The runner starts it as `python -m benchmarks.measure`. CPU time of the whole process is taken, so
threads of the agent count, and waiting does not.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable

from .storms import SCENARIOS, Scenario
from .variants import VARIANTS, NotProven, set_engine

LOOPS = ("asyncio", "uvloop")

REPETITIONS = 3
WARM_UP = 10


def pin_to_one_core() -> None:
    """Keep this process on one core, where the system can: moving costs what no program did."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop of the kind `name`."""
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


async def timed(scenario: Scenario, units: int) -> float:
    """Return the CPU nanoseconds of one unit."""
    async with scenario.open() as storm:
        gc.collect()
        start = time.process_time_ns()
        done = await storm(units)
        elapsed = time.process_time_ns() - start
    if done != units:
        raise NotProven(f"expected {units} units of {scenario.unit}, but {done} were done")
    return elapsed / units


def measure(
    scenario: str, variant: str, loop: str, units: int, repetitions: int = REPETITIONS
) -> float:
    """Enter the variant in this process and return the least CPU nanoseconds of one unit."""
    pin_to_one_core()
    # Loops are imported first: where there is nothing to patch yet, `off` would be off already.
    new_loop = loop_factory(loop)
    prove = VARIANTS[variant].enter()
    chosen = SCENARIOS[scenario]
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(timed(chosen, max(1, units // WARM_UP)))
        least = min(runner.run(timed(chosen, units)) for _ in range(repetitions))
    prove()
    return least


def main() -> None:
    """Measure what the arguments name and print it."""
    parser = argparse.ArgumentParser(prog="benchmarks.measure")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    parser.add_argument("--engine")
    parser.add_argument("--units", type=int, required=True)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    options = parser.parse_args()
    set_engine(options.engine)
    try:
        least = measure(
            options.scenario, options.variant, options.loop, options.units, options.repetitions
        )
    except NotProven as error:
        sys.exit(f"{options.variant}: {error}")
    print(json.dumps({"ns_per_unit": least}))


if __name__ == "__main__":
    main()
