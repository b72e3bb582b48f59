"""Has each allocation of the recorder's and the events' fail once, and goes on.

Prints how often memory has run out, and how often events went on without saying so.
"""

import _testcapi  # type: ignore[import-not-found]
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

import whence
from whence import engine
from whence.engine import (
    Token,
    at_next_event,
    collected,
    create,
    drain_collected,
    end,
    enter,
    leave,
    local,
    open_lifetimes,
    recorder,
    resolve,
    ring,
)
from whence.engine.resource_types import FUTURE, HANDLE, TASK, TIMER_HANDLE
from whence.engine.selected import select

state = local.state


def live() -> None:
    task = create(state, TASK, None, state.current, 1)
    previous = state.current
    try:
        enter(state, task, None)
        future = create(state, FUTURE, None, state.current, 1)
        handle = create(state, HANDLE, None, state.current, 1)
        timer = create(state, TIMER_HANDLE, None, state.current, 1)
        Token(future)
        end(state, handle)
        end(state, timer)
        resolve(state, task)
    finally:
        leave(state, task, previous)
    end(state, task)


def drop_many() -> None:
    for _ in range(70):
        Token(create(state, FUTURE, None, state.current, 1))
    drain_collected(state)


def list_many() -> None:
    for _ in range(20):
        create(state, HANDLE, None, state.current, 1)
    for made in (list(open_lifetimes.values()), list(open_lifetimes), repr(open_lifetimes)):
        assert made
    assert open_lifetimes != {}
    open_lifetimes.clear()


def nothing() -> None:
    """A function that is there already: to make one fails badly in some Pythons."""


def call_later() -> None:
    at_next_event(nothing)
    drain_collected(state)


def own_resource() -> None:
    resource = whence.AsyncResource("X")
    resource.run_in_async_scope(int)
    del resource
    drain_collected(state)


ALLOCATIONS = {live: 400, drop_many: 900, list_many: 600, call_later: 60, own_resource: 300}
"""More than each of them makes."""


class Counting:
    """A hook's callback that allocates nothing, most of the time."""

    number = 0

    def __call__(self, *_: Any) -> None:
        self.number += 1


def outcome(act: Callable[[], None], allocation: int) -> bool:
    """Whether it went on without an error though this allocation failed."""
    gc.disable()
    _testcapi.set_nomemory(allocation, allocation + 1)
    try:
        act()
    except MemoryError:
        return False
    finally:
        _testcapi.remove_mem_hooks()
        gc.enable()
    return True


def try_all() -> tuple[int, int]:
    out = on = 0
    for act, allocations in ALLOCATIONS.items():
        act()
        for allocation in range(allocations):
            if outcome(act, allocation):
                on += 1
            else:
                out += 1
            assert state.depth == 0
            state.current = engine.execution.MAIN
            open_lifetimes.clear()
            collected.clear()
            ring.clear()
    return out, on


def main() -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    whence.set_hook_error_policy("log")
    recorder.on = True
    recorder.min_duration = 0
    events = ("init", "before", "after", "destroy", "promise_resolve")
    hook = whence.create_hook({event: Counting() for event in events})
    for wanted in (None, lambda lifetime: lifetime.type is not TIMER_HANDLE):
        select(wanted)
        print(*try_all())
        with hook:
            print(*try_all())


main()
