"""Jobs that `run_in_executor` gives to executors of other libraries, or of the program's own.

Only the function that they are given can be seen there.  What stands in for it looks like it, and
turns into it when it is pickled: such an executor may run it in another process.
"""

import sys
from asyncio import base_events
from concurrent.futures import Executor
from functools import partial
from typing import Any

from whence.engine import (
    DONE,
    FAILED,
    Lifetime,
    SpanLifetime,
    Token,
    create,
    end,
    enter,
    failed,
    leave,
    local,
)
from whence.engine.resource_types import EXECUTOR_JOB

from .jobs import job_name
from .patching import Patches, is_coroutine_function, leave_traceback

_SEEN_ELSEWHERE = (
    ("concurrent.futures.thread", "ThreadPoolExecutor"),
    ("concurrent.futures.process", "ProcessPoolExecutor"),
)


def install(patches: Patches) -> None:
    """See jobs being given to an executor by a loop."""
    patches.wrap(base_events.BaseEventLoop, "run_in_executor", _run_in_executor)


def _run_in_executor(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    state = local.state
    if len(args) < 2 or state.muted or not (_is_foreign(args[0]) and is_plain(args[1])):
        return wrapped(*args, **kwargs)
    executor, function, *rest = args
    lifetime = create(state, EXECUTOR_JOB, function, state.current)
    if isinstance(lifetime, SpanLifetime):
        lifetime.name = job_name(function)
    try:
        return wrapped(executor, Job(function, lifetime), *rest, **kwargs)
    except BaseException as error:
        failed(lifetime, error)
        end(state, lifetime, FAILED)
        raise
    finally:
        del args, function, rest


def _is_foreign(executor: Any) -> bool:
    """Whether neither the pools of concurrent.futures nor the default executor, which is one."""
    if not isinstance(executor, Executor) and not hasattr(executor, "submit"):
        return False
    pools = (getattr(sys.modules.get(name), pool, None) for name, pool in _SEEN_ELSEWHERE)
    return not isinstance(executor, tuple(pool for pool in pools if pool is not None))


def is_plain(function: Any) -> bool:
    """Whether it may be stood in for: to anything else, the loop or the executor may object."""
    return callable(function) and not is_coroutine_function(function)


class Job:
    """Stands in for the function of a job."""

    def __init__(self, function: Any, lifetime: Lifetime) -> None:
        self.__wrapped__ = function
        # What a class has of its own is not asked of `__getattr__`.
        self.__module__ = getattr(function, "__module__", None)  # type: ignore[assignment]
        self.__doc__ = getattr(function, "__doc__", None)
        self._token = Token(lifetime)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it; a second time, without telling."""
        lifetime: Lifetime = self._token.lifetime
        first = lifetime.open
        state = local.state
        previous, outcome = state.current, DONE
        try:
            if first:
                enter(state, lifetime, self.__wrapped__)
            return self.__wrapped__(*args, **kwargs)
        except BaseException as error:
            failed(lifetime, error)
            outcome = FAILED
            leave_traceback(error)
            raise
        finally:
            if first:
                leave(state, lifetime, previous)
                end(state, lifetime, outcome)
            del self, args, kwargs

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == getattr(other, "__wrapped__", other))

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __reduce__(self) -> Any:
        return partial, (self.__wrapped__,)
