"""Forks inside of each kind of event, and of what waits; every child goes on to the end.

Prints how many children have ended well, and how many there were.  No loop runs: asyncio's do not
go on in a child.
"""

import os
import sys

import whence
from whence import engine
from whence.engine import Token, at_next_event, create, drain_collected, local, resolve
from whence.engine.resource_types import TASK

parent = os.getpid()
children: list[int] = []


def fork() -> None:
    if os.getpid() == parent:
        pid = os.fork()
        if pid:
            children.append(pid)


def forking_once() -> object:
    done: list[int] = []

    def callback(*_: object) -> None:
        if not done:
            done.append(1)
            fork()

    return callback


def live() -> None:
    """A life with every event, in which the child of each fork goes on."""
    state = local.state
    resource = whence.AsyncResource("X")
    resource.run_in_async_scope(fork)
    resolve(state, resource._whence_lifetime)
    Token(create(state, TASK, None, state.current))
    at_next_event(fork)
    drain_collected(state)
    resource.emit_destroy()


def main() -> None:
    engine.recorder.on = True
    engine.want_instrumentation(True)
    for event in ("init", "before", "after", "destroy", "promise_resolve"):
        with whence.create_hook({event: forking_once()}):
            live()
            live()
    if os.getpid() != parent:
        return
    well = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 for pid in children]
    print(sum(well), len(well))


main()
sys.stdout.flush()
