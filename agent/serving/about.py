"""Which process this is, and what its loops are doing: the answer to `whence ps`.

Cheap, whatever the program has open.  No arguments and no environment: they hold secrets.
"""

import os
import sys
from time import monotonic
from typing import Any

from ..commands.program import command_name
from ..engine import clock, recorder
from ..engine.execution import ThreadState, threads
from ..engine.resource_types import known_types
from ..engine.stacks import Stack, look
from ..live.active_resource import place
from ..live.suspended import sites_of
from ..sending.metrics import since
from ..settings.config import Settings
from ..version import VERSION

WAITING = "waiting"
"""For something to do: a socket with data, a timer, another thread."""
RUNNING = "running"
"""A callback, for less than `--slow`."""
BLOCKED = "blocked"
"""A callback, for longer."""


def about(settings: Settings) -> dict[str, Any]:
    """As JSON: {pid, parent, service, command, age, whence, python, loops, counts}.

    `age` is in seconds since the agent was attached, `counts` how many resources of each type are
    open, `loops` one for each thread that has run a loop."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "service": settings.service,
        "command": command_name(sys.orig_argv[1:]),
        "age": monotonic() - since(),
        "whence": VERSION,
        "python": ".".join(map(str, sys.version_info[:3])),
        "loops": _loops(),
        "counts": {row.name: n for row in known_types() if (n := row.created - row.destroyed) > 0},
    }


def _loops() -> list[dict[str, Any]]:
    return [
        _loop(ident, state)
        for ident, state in list(threads.items())
        if (state.busy or state.entered) and ident in sys._current_frames()
    ]


def _loop(ident: int, state: ThreadState) -> dict[str, Any]:
    """As JSON: {thread, name, state, seconds, busy, at, stack}.

    `seconds` is how long the callback has been running that does, `busy` how long all of them have,
    `stack` where the one that runs is, the innermost last."""
    entered = state.entered
    held = max(0, clock() - entered) if entered else 0
    stack = look(ident) if held else None
    if stack is None or state.entered != entered:
        # It was over before it was looked at.
        held, stack = 0, Stack([])
    return {
        "thread": ident,
        "name": _thread_name(ident),
        "state": BLOCKED if held > recorder.slow else RUNNING if held else WAITING,
        "seconds": held / 1e9,
        "busy": (state.busy + held) / 1e9,
        "at": place(stack.site),
        "stack": [place(site) for site in sites_of(stack)],
    }


def _thread_name(ident: int) -> str:
    threading = sys.modules.get("threading")
    thread = getattr(threading, "_active", {}).get(ident)
    return str(getattr(thread, "name", "")) or "main"
