"""What a job is called: as the program called the function that it gave."""

from functools import partial
from typing import Any


def job_name(fn: Any) -> str:
    """The name of the program's function; `to_thread` passes `partial(context.run, function)`."""
    while type(fn) is partial:
        is_context_run = getattr(fn.func, "__name__", "") == "run" and fn.args
        fn = fn.args[0] if is_context_run else fn.func
    try:
        name = fn.__qualname__
    except Exception:
        name = None
    # An object may answer anything, or not at all.
    return name if isinstance(name, str) else type(fn).__qualname__
