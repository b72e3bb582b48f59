"""What a job is called: as the program called the function that it gave."""

from functools import partial
from types import FunctionType
from typing import Any

_CARRIER = "opentelemetry.instrumentation.threading"
"""It gives each job as a function of its own, which knows the program's as `original_func`."""


def job_name(fn: Any) -> str:
    """The name of the program's function; `to_thread` passes `partial(context.run, function)`."""
    fn = _carried(fn)
    while type(fn) is partial:
        is_context_run = getattr(fn.func, "__name__", "") == "run" and fn.args
        fn = fn.args[0] if is_context_run else fn.func
    try:
        name = fn.__qualname__
    except Exception:
        name = None
    # An object may answer anything, or not at all.
    return name if isinstance(name, str) else type(fn).__qualname__


def _carried(fn: Any) -> Any:
    # By the type: an object of the program's is not to be asked.
    if type(fn) is not FunctionType or fn.__module__ != _CARRIER:
        return fn
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False))
    cell = cells.get("original_func")
    return fn if cell is None else cell.cell_contents
