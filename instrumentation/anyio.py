"""Jobs that anyio gives to threads, such as plain `def` endpoints of Starlette; and its tasks.

The threads live on for whoever comes next, so they belong to nobody.  A task of a task group runs a
coroutine of anyio's that awaits the program's, whose name it is to have.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from anyio._backends import _asyncio

from whence.engine import CANCELLED, Lifetime, SpanLifetime, create, end, local
from whence.engine.resource_types import EXECUTOR_JOB, TASK
from whence.engine.sites import code_of

from .foreign_executors import Job, is_plain
from .jobs import job_name
from .patching import Patches, found
from .threads import hide_threads_of

_GIVEN = {"_run_sync_endpoint": "function"}
"""Name of a framework's function that calls one of the program's -> the argument that this is."""


def install(patches: Patches) -> None:
    """See jobs being given to a thread, and tasks begin."""
    patches.wrap(_asyncio.AsyncIOBackend, "run_sync_in_worker_thread", _run_sync)
    hide_threads_of(patches, getattr(_asyncio, "WorkerThread", None))
    handle: Any = getattr(_asyncio, "TaskHandle", None)
    # Before anyio 4.12 a task runs the program's coroutine itself.
    if handle is not None and found(handle, "_run_coro") is not None:
        patches.wrap(handle, "_run_coro", _run_coro)


async def _run_sync(wrapped: Any, backend: Any, args: Any, kwargs: Any) -> Any:
    state = local.state
    if not args or state.muted or not is_plain(args[0]):
        return await wrapped(*args, **kwargs)
    call, *rest = args
    lifetime = create(state, EXECUTOR_JOB, call, state.current)
    _describe(lifetime, _function_in(call))
    try:
        return await wrapped(Job(call, lifetime), *rest, **kwargs)
    finally:
        if lifetime.open and getattr(lifetime, "resource", None) is None:
            # No thread was free for it in time.
            end(local.state, lifetime, CANCELLED)
        del args, kwargs, call, rest


def _describe(lifetime: Lifetime, function: Callable[..., Any]) -> None:
    if not isinstance(lifetime, SpanLifetime):
        return
    lifetime.name = job_name(function)
    code = code_of(function)
    if code is not None:
        # Where a person looks for it; that a library gave it to a thread is no news.
        lifetime.code, lifetime.lasti = code, 0


def _function_in(call: Any) -> Any:
    """The program's function, of what a framework has made to call it."""
    # By the type: an object of the program's is not to be asked.
    while issubclass(type(call), partial):
        given = _GIVEN.get(job_name(call.func).rpartition(".")[2], "")
        call = call.keywords.get(given, call.func)
    return call


async def _run_coro(wrapped: Any, handle: Any, args: Any, kwargs: Any) -> Any:
    task = local.state.current
    if isinstance(task, SpanLifetime) and task.type is TASK and task.name == wrapped.__qualname__:
        coro = getattr(handle, "coro", None)
        task.name = task.name if coro is None else job_name(coro)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        del wrapped, handle, args, kwargs
