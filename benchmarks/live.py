"""`python -m benchmarks.live`: what the live table costs over recording without it.

CPU time of the whole process for each program of the table, as ratios to the same process that
records and has no live table; each state in a process of its own, interleaved, medians of the
rounds.

- `recorded`: attached with `no_live`.
- `live`: attached as usual; nobody asks.
- `top`: somebody asks once a second what `whence top` asks.

Exit code: 0; 1 if a promise was not kept.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from .interpreters import ROOT, environment
from .measure import pin_to_one_core
from .options import Parser, percentage, positive_float, positive_int, some_of
from .storms import SCENARIOS, Scenario
from .variants import NotProven

STATES = ("recorded", "live", "top")
BASELINE = STATES[0]
PROMISED = 0.03
_INTERVAL = 1.0
"""Seconds from one question to the next."""

Times = dict[tuple[str, str], list[float]]
"""Scenario and state -> CPU nanoseconds of a unit, in each round."""


def main(words: Sequence[str] | None = None) -> int:
    """The command; gives the exit code."""
    parser = Parser(prog="python -m benchmarks.live", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=positive_int, default=7)
    add("--seconds", type=positive_float, default=2.5, help="of each process; default: 2.5")
    add("--scenarios", type=some_of(tuple(SCENARIOS)), default=list(SCENARIOS), metavar="a,b,...")
    add("--slack", type=percentage, default=0.02, metavar="PERCENT", help="for noise; default: 2")
    add("--measure", nargs=2, metavar=("SCENARIO", "STATE"), help=argparse.SUPPRESS)
    add("--ask", metavar="PID", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.ask:
        _ask(options.ask)
    elif options.measure:
        scenario, state = options.measure
        print(json.dumps(_measure(SCENARIOS[scenario], state, options.seconds)))
    else:
        times = _run(options.scenarios, options.rounds, options.seconds)
        return _tell(options.scenarios, times, options.slack)
    return 0


def _run(scenarios: Sequence[str], rounds: int, seconds: float) -> Times:
    times: Times = {(scenario, state): [] for scenario in scenarios for state in STATES}
    with tempfile.TemporaryDirectory(prefix="w") as runtime:
        env = {**environment(), "XDG_RUNTIME_DIR": runtime}
        for turn in range(rounds):
            for scenario in scenarios:
                first = turn % len(STATES)
                for state in STATES[first:] + STATES[:first]:
                    own = [sys.executable, "-m", "benchmarks.live", "--seconds", str(seconds)]
                    own += ["--measure", scenario, state]
                    ran = subprocess.run(own, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE)
                    times[scenario, state].append(json.loads(ran.stdout))
    return times


def _tell(scenarios: Sequence[str], times: Times, slack: float) -> int:
    kept = True
    print(f"{'CPU ns of one unit, ratio':26}" + "".join(f"{state:>18}" for state in STATES))
    for scenario in scenarios:
        line = f"{scenario} {SCENARIOS[scenario].unit:24}"
        for state in STATES:
            ratio = _ratio(times, scenario, state)
            is_late = ratio > 1 + PROMISED + slack
            kept = kept and not is_late
            line += (
                f"{median(times[scenario, state]):10,.0f}  {ratio:4.2f} {'!' if is_late else ' '}"
            )
        print(line)
    return 0 if kept else 1


def _ratio(times: Times, scenario: str, state: str) -> float:
    pairs = zip(times[scenario, state], times[scenario, BASELINE], strict=True)
    return median(one / other for one, other in pairs)


def _measure(scenario: Scenario, state: str, seconds: float) -> float:
    """The CPU nanoseconds of one unit, of all threads."""
    import whence

    pin_to_one_core()
    whence.attach(export=("none",), no_live=str(int(state == BASELINE)))
    with asyncio.Runner() as runner:
        found = runner.run(_timed(scenario, state, seconds))
    if not whence.attached():
        raise NotProven("expected the agent to be attached, but it is not")
    return found


async def _timed(scenario: Scenario, state: str, seconds: float) -> float:
    async with scenario.open() as storm:
        units = max(1, scenario.units // 10)
        await storm(units)
        _prove(state)
        with _asker(state):
            done = 0
            until = time.perf_counter() + seconds
            began = time.process_time_ns()
            while time.perf_counter() < until:
                done += await storm(units)
            return (time.process_time_ns() - began) / done


def _prove(state: str) -> None:
    folder = os.path.join(os.environ["XDG_RUNTIME_DIR"], "whence")
    is_there = os.path.exists(os.path.join(folder, f"{os.getpid()}.sock"))
    if is_there != (state != BASELINE):
        raise NotProven(f"expected {'no' if is_there else 'a'} socket in the state {state}")


@contextmanager
def _asker(state: str) -> Iterator[None]:
    """Whoever asks, on another core, for as long as is measured."""
    if state != "top":
        yield
        return
    own = [sys.executable, "-m", "benchmarks.live", "--ask", str(os.getpid())]
    asker = subprocess.Popen(own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert asker.stdout is not None
    # It has been answered once: what is imported for that is imported.
    asker.stdout.readline()
    yield
    asked, _ = asker.communicate("")
    if not asked.count("\n"):
        raise NotProven("expected somebody to ask, but nobody did")


def _ask(pid: int) -> None:
    """Ask, a line for each time, until there is nobody to tell it."""
    import select

    from whence.serving.processes import the_process
    from whence.terminal.looks import Looks

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    looks = Looks(the_process(str(pid)))
    while True:
        looks.look("in_state", "", steps=False)
        print(flush=True)
        if select.select([sys.stdin], [], [], _INTERVAL)[0]:
            return


if __name__ == "__main__":
    sys.exit(main())
