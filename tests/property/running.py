"""Runs a random program, plainly or watched, and keeps what came of it for the laws."""

import gc
import io
import threading
import warnings
from collections import Counter
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass
from typing import Any

import whence
from acts.tasks import OwnTask
from expected_stores import Stores
from loops import Loops
from play import Play, evened_out, quiet_collector
from programs import Program
from telling import policy
from watching import Watch
from whence import AsyncResource, engine
from whence.engine.resource_types import known_types

ALL_TYPES = "Task,Future,Handle,TimerHandle,Reader,Writer,ExecutorJob,Thread,Timer"
"""Those that random programs create."""


@dataclass
class Run:
    """What came of a program."""

    program: Program
    watch: Watch
    trace: list[str]
    unordered: Counter[str]
    warned: Counter[str]
    said: str
    """On stderr."""
    alive: Counter[str]
    """Made by the program and held by nobody in it, but still there."""
    open_while_held: dict[int, bool]
    """Id of what FULL heard no destroy of -> whether the resource is there."""
    lifetimes: list[Any]
    """Of all that ran, if they were recorded."""
    counts: dict[str, tuple[int, int]]
    """Recorded: type -> how many are open by the numbers, and by the list."""
    open_at_end: list[Any]
    """Recorded: the lifetimes that are open after all was collected."""


def run(program: Program, loops: Loops, *, watched: bool = False, recorded: bool = False) -> Run:
    """With hooks as planned, and perhaps with one that hears everything, or with the recorder."""
    return _run(program, loops, Watch(program.hooks, watched=watched, recorded=recorded))


def run_plainly(program: Program, loops: Loops) -> Run:
    """Without whence."""
    return _run(program, loops, Watch(()))


def _run(program: Program, loops: Loops, watch: Watch) -> Run:
    play = Play(loops, watch, debug=program.debug)
    OwnTask.made = 0
    said = io.StringIO()
    open_while_held: dict[int, bool] = {}
    counts: dict[str, tuple[int, int]] = {}
    open_at_end: list[Any] = []
    before = {row.name: row.created - row.destroyed for row in known_types()}
    excepthook = threading.excepthook
    with ExitStack() as around:
        around.enter_context(redirect_stderr(said))
        around.enter_context(policy("log"))
        caught = around.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        around.enter_context(quiet_collector())
        threading.excepthook = lambda failed: play.trace.append(f"thread: {failed.exc_value!r}")
        around.callback(setattr, threading, "excepthook", excepthook)
        if watch.recorded:
            whence.attach(export=("none",), types=ALL_TYPES if program.all_types else None)
            around.callback(whence.detach)
        around.enter_context(watch.watching())
        play.run_loop(program.body, "", Stores(play.generations))
        with watch.still():
            # Where no loop turns, the next event delivers what was collected.
            AsyncResource("Last", require_manual_destroy=True).emit_destroy()
            open_while_held.update(watch.open_ids())
            for turf in play.turfs:
                turf.release()
            play.resources.clear()
            play.snapshots.clear()
            play.failed.clear()
            alive = play.alive()
            gc.collect()
            AsyncResource("Last", require_manual_destroy=True).emit_destroy()
            if watch.recorded:
                open_at_end.extend(engine.open_lifetimes.values())
                now = Counter(lifetime.type.name for lifetime in open_at_end)
                for row in known_types():
                    by_numbers = row.created - row.destroyed - before.get(row.name, 0)
                    counts[row.name] = by_numbers, now[row.name]
    return Run(
        program,
        watch,
        play.trace,
        play.unordered,
        # In debug mode the further lines are the stack, in which our frames are.
        Counter(f"{w.category.__name__}: {str(w.message).splitlines()[0]}" for w in caught),
        evened_out(said.getvalue()),
        alive,
        open_while_held,
        watch.lifetimes,
        counts,
        open_at_end,
    )
