"""Jobs of thread pools: `run_in_executor`, `to_thread`, and `submit` without a loop.

The pool's own record of a job is replaced by one that tells its life, so that the program's
function stays what the program passed.  Name look-ups of asyncio are such jobs; they have types of
their own.
"""

import socket
from concurrent.futures import thread
from types import MethodType
from typing import Any

from whence.engine import (
    CANCELLED,
    DONE,
    FAILED,
    Lifetime,
    SpanLifetime,
    Token,
    conclude,
    create,
    end,
    enter,
    failed,
    leave,
    local,
)
from whence.engine.resource_types import EXECUTOR_JOB, GET_ADDR_INFO, GET_NAME_INFO, ResourceType

from .jobs import job_name
from .patching import Patches

_Stock: Any = thread._WorkItem


def install(patches: Patches) -> None:
    """Have thread pools queue jobs that tell their lives."""
    patches.replace(thread, "_WorkItem", WorkItem)


class WorkItem(_Stock):  # type: ignore[misc]
    """A queued job."""

    future: Any
    _whence: Token | None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        state = local.state
        self._whence = None
        if state.muted:
            return
        fn = getattr(self, "fn", None)
        lifetime = create(state, _type_of(fn), self, state.current)
        if isinstance(lifetime, SpanLifetime) and lifetime.type is EXECUTOR_JOB:
            lifetime.name = job_name(fn)
        self._whence = Token(lifetime)

    def run(self, *args: Any) -> None:
        """Run the job, in a worker thread."""
        token, future = self._whence, self.future
        if token is None:
            super().run(*args)
            return
        state, lifetime = local.state, token.lifetime
        if future.cancelled():
            super().run(*args)
            end(state, lifetime, CANCELLED)
            return
        previous, outcome = state.current, DONE
        try:
            enter(state, lifetime, self)
            self.future = _Settling(future, lifetime)
            super().run(*args)
        finally:
            # A kept exception refers to this frame, and must not refer to itself through it.
            if future._exception is not None:
                failed(lifetime, future._exception)
                outcome = FAILED
            leave(state, lifetime, previous)
            end(state, lifetime, outcome)
            del self, future, args


class _Settling:
    """The future of a job, for the pool's own code to settle, which is when the job is over."""

    __slots__ = ("_future", "_lifetime")

    def __init__(self, future: Any, lifetime: Lifetime) -> None:
        self._future = future
        self._lifetime = lifetime

    def set_running_or_notify_cancel(self) -> bool:
        running: bool = self._future.set_running_or_notify_cancel()
        return running

    def set_result(self, result: object) -> None:
        conclude(self._lifetime)
        self._future.set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        conclude(self._lifetime)
        self._future.set_exception(exception)


def _type_of(fn: Any) -> ResourceType:
    is_in_debug_mode = type(fn) is MethodType and fn.__name__ == "_getaddrinfo_debug"
    if fn is socket.getaddrinfo or is_in_debug_mode:
        return GET_ADDR_INFO
    if fn is socket.getnameinfo:
        return GET_NAME_INFO
    return EXECUTOR_JOB
