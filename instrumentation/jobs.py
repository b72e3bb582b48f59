"""What a job of a pool is called."""

from functools import partial
from typing import Any


def job_name(fn: Any) -> str:
    """The name of the program's function; `to_thread` passes `partial(context.run, function)`."""
    while isinstance(fn, partial):
        is_context_run = getattr(fn.func, "__name__", "") == "run" and fn.args
        fn = fn.args[0] if is_context_run else fn.func
    return getattr(fn, "__qualname__", None) or type(fn).__qualname__
