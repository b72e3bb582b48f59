"""Callbacks that fail on a loop whose handles are its own.

The loop calls its exception handler after our frame has been left; the handler is to run as the
callback that failed, before its `after` (SEMANTICS 6.10).  So a callback that fails stays what
executes until `telling` has told the handler; `failing` remembers it meanwhile.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from . import sites, twin
from .events import end, leave
from .execution import ThreadState, local
from .lifetimes import DONE, FAILED, Lifetime
from .recorder import failed

Method = Callable[..., Any]


class Failing(NamedTuple):
    """A callback that has failed, and what executed before it."""

    lifetime: Lifetime
    previous: Lifetime
    outcome: str = FAILED


failing: dict[int, Failing] = {}
"""Id of a thread -> the callback whose failure its loop is about to tell."""


def telling(original: Method) -> Method:
    """`call_exception_handler(context)` of such a loop."""

    def call_exception_handler(self: Any, context: Any) -> None:
        state = local.state
        told = failing.pop(state.thread_id, None)
        try:
            original(self, context)
        except BaseException as error:
            sites.leave_traceback(error)
            raise
        finally:
            if told is not None:
                _leave(state, *told)
            del self, context

    call_exception_handler._whence_tells = True  # type: ignore[attr-defined]
    return call_exception_handler


def left_by(
    error: BaseException, state: ThreadState, lifetime: Lifetime, previous: Lifetime
) -> None:
    """It was left by this error: it goes on executing if its loop is going to tell of it."""
    sites.leave_traceback(error)
    if state.entered:
        # From here on it is like a callback that the loop in C has called with no handle around.
        state.beyond = previous
    if isinstance(error, KeyboardInterrupt | SystemExit):
        # These stop the loop, and its exception handler hears nothing of them.
        _leave(state, lifetime, previous, DONE)
        return
    failed(lifetime, error)
    loop = asyncio._get_running_loop()
    if hasattr(getattr(loop, "call_exception_handler", None), "_whence_tells"):
        failing[state.thread_id] = Failing(lifetime, previous)
    else:
        _leave(state, lifetime, previous, FAILED)


def give_up(state: ThreadState) -> None:
    """The failure in this thread will be told to nobody."""
    untold = failing.pop(state.thread_id, None)
    if untold is not None:
        _leave(state, *untold)


def _leave(state: ThreadState, lifetime: Lifetime, previous: Lifetime, outcome: str) -> None:
    leave(state, lifetime, previous)
    if lifetime.type.once:
        end(state, lifetime, outcome)


twin.tell(left_by=left_by, give_up=give_up)
