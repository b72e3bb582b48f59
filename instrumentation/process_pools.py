"""Jobs of process pools: from `submit` to the result.

What runs runs elsewhere, so there is no before and after; and nothing of ours may be in what is
pickled, so the job is followed by its future alone.
"""

from concurrent.futures import process
from typing import Any

from whence.engine import CANCELLED, DONE, FAILED, SpanLifetime, create, end, failed, local
from whence.engine.resource_types import EXECUTOR_JOB

from .jobs import job_name
from .patching import Patches
from .threads import hide_threads_of


def install(patches: Patches) -> None:
    """See jobs being submitted."""
    patches.wrap(process.ProcessPoolExecutor, "submit", _submit)
    hide_threads_of(patches, getattr(process, "_ExecutorManagerThread", None))


def _submit(wrapped: Any, pool: Any, args: Any, kwargs: Any) -> Any:
    future = wrapped(*args, **kwargs)
    state = local.state
    if state.muted:
        return future
    lifetime = create(state, EXECUTOR_JOB, future, state.current)
    if isinstance(lifetime, SpanLifetime):
        lifetime.name = job_name(args[0])

    def done(future: Any) -> None:
        outcome = CANCELLED if future.cancelled() else DONE
        if future._exception is not None:
            failed(lifetime, future._exception)
            outcome = FAILED
        end(local.state, lifetime, outcome)

    future.add_done_callback(done)
    return future
