"""`python -m benchmarks.memory`: what the agent keeps when everything has ended must not grow.

Three checks, each in a process of its own:
- tasks: rounds of tasks made and finished; objects and memory are the same after each.
- timer: one timer that arms itself again, many times over; nothing of its past stays.
- buffer: a collector that takes connections and never answers; the spans that wait for it stay
  under their limit, and what does not fit is counted as dropped.

Exit code: 0; 1 if something grew; 2 for wrong options.
"""

import argparse
import asyncio
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .interpreters import ROOT, environment
from .options import ENGINES, Parser, positive_int
from .storms import task_storm
from .variants import set_engine

STATM = Path("/proc/self/statm")
MIB = 1024 * 1024

# The loop, its caches and the allocator's arenas take a few on their way.
OBJECTS_ALLOWED = 100
BYTES_ALLOWED = 2 * MIB

SPANS_ALLOWED = 65_536
# The sender thread may or may not have a batch of 8,192 in hand when it is looked at; what it could
# not send waits encoded, 16 MiB at the most, some of it in the request that is tried again.
SENDER_BYTES_ALLOWED = (8 + 16 + 4) * MIB
TIMERS_BEFORE = 10_000


def objects() -> int:
    """Return the number of objects that the collector knows, after it has run."""
    gc.collect()
    return len(gc.get_objects())


def resident() -> int | None:
    """Return the bytes of memory in use; None where the system does not tell."""
    if not STATM.exists():
        return None
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_flat(figures: Sequence[int | None], allowed: int) -> bool:
    """Say whether no figure is more than `allowed` above the first one."""
    known = [figure for figure in figures if figure is not None]
    return not known or max(known) - known[0] <= allowed


class Record:
    """Objects and memory after each round, printed as they come."""

    def __init__(self) -> None:
        self.objects: list[int] = []
        self.resident: list[int | None] = []

    def take(self, label: str) -> None:
        """Note both figures and print them."""
        self.objects.append(objects())
        self.resident.append(resident())
        size = self.resident[-1]
        memory = "unknown" if size is None else f"{size / MIB:.1f} MiB"
        print(f"  {label:20}{self.objects[-1]:>10,} objects  RSS {memory}", flush=True)

    def settled(self) -> bool:
        """Say whether both are flat."""
        return is_flat(self.objects, OBJECTS_ALLOWED) and is_flat(self.resident, BYTES_ALLOWED)


async def run_tasks(number: int) -> None:
    """Create and finish `number` tasks, a thousand at a time."""
    async with task_storm() as storm:
        await storm(number)


async def run_timer(times: int) -> None:
    """Let one timer arm itself again `times` times."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    left = times

    def fire() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_later(0, fire)
        else:
            ended.set_result(None)

    loop.call_later(0, fire)
    await ended


def check_tasks(options: argparse.Namespace) -> bool:
    """Rounds of tasks; one before them fills what is allowed to fill."""
    import whence

    whence.attach(export=("none",))
    print(f"tasks: {options.rounds} rounds of {options.tasks:,} tasks made and finished")
    record = Record()
    with asyncio.Runner() as runner:
        runner.run(run_tasks(options.tasks))
        for number in range(1, options.rounds + 1):
            runner.run(run_tasks(options.tasks))
            record.take(f"round {number}")
    return record.settled()


def check_timer(options: argparse.Namespace) -> bool:
    """One timer, compared with itself after its first few thousand turns."""
    import whence
    from whence.engine import open_lifetimes

    whence.attach(export=("none",))
    print(f"timer: armed again by itself {options.timers:,} times")
    record = Record()
    with asyncio.Runner() as runner:
        runner.run(run_timer(TIMERS_BEFORE))
        record.take("before")
        runner.run(run_timer(options.timers))
        record.take("after")
    left = sum(lifetime.type.name == "TimerHandle" for lifetime in open_lifetimes.values())
    print(f"  {'':20}{left:>10,} timers still recorded as open")
    return record.settled() and not left


def check_buffer(options: argparse.Namespace) -> bool:
    """More spans than may wait, for a collector that never answers."""
    import whence
    from whence.engine import ring

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        whence.attach(export=("otlp",), endpoint=f"http://127.0.0.1:{port}")
        print(f"buffer: {options.rounds} rounds of {options.tasks:,} spans that nobody takes")
        record = Record()
        most = 0
        with asyncio.Runner() as runner:
            runner.run(run_tasks(options.tasks))
            for number in range(1, options.rounds + 1):
                runner.run(run_tasks(options.tasks))
                record.take(f"round {number}")
                most = max(most, len(ring))
                print(f"  {'':20}{len(ring):>10,} wait     {ring.dropped:,} dropped")
        lost = ring.dropped
        whence.detach()
    bounded = is_flat(record.resident, SENDER_BYTES_ALLOWED)
    return bounded and most <= SPANS_ALLOWED and lost > 0


CHECKS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "tasks": check_tasks,
    "timer": check_timer,
    "buffer": check_buffer,
}


def check_all(arguments: Sequence[str]) -> int:
    """Run every check in a process of its own and return the worst exit code."""
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    return max(
        subprocess.run([*command, name], cwd=ROOT, env=environment(), check=False).returncode != 0
        for name in CHECKS
    )


def main() -> int:
    """Run the checks that the arguments name and return the exit code."""
    command_line = Parser(prog="python -m benchmarks.memory", description=__doc__)
    add = command_line.add_argument
    add("check", nargs="?", choices=CHECKS, help="default: all, each in its own process")
    add("--rounds", type=positive_int, default=5)
    add("--tasks", type=positive_int, default=100_000, help="in a round")
    add("--timers", type=positive_int, default=1_000_000)
    add("--engine", choices=ENGINES)
    options = command_line.parse_args()
    if options.check is None:
        return check_all(sys.argv[1:])
    set_engine(options.engine)
    held = CHECKS[options.check](options)
    print(f"  {'held' if held else 'NOT HELD'}", flush=True)
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
