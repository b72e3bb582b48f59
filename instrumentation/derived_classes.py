"""Classes that the program derives from asyncio's Future and Task.

However old they are, they derive from asyncio's own (`whence.engine.standin`), and what they
inherit is patched on them.  A subclass of theirs needs nothing more.
"""

import inspect
import sys
from types import WrapperDescriptorType
from typing import Any

from whence.engine import (
    CANCELLED,
    DONE,
    FAILED,
    Token,
    announce,
    born,
    end,
    failed,
    local,
    resolve,
)
from whence.engine.futures import Future
from whence.engine.resource_types import FUTURE
from whence.engine.sites import leave_out_ours
from whence.engine.standin import StandIn
from whence.engine.tasks import init_eagerly, starts_eagerly
from whence.engine.tasks import task_class as stock_task

from .patching import Patches, Wrapper, found

_stock_future: Any = vars(Future)["_stands_for"]
_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)


def install(patches: Patches) -> None:
    """See the classes that there are, and those to come."""

    def see(cls: type) -> None:
        if not issubclass(cls, stock_task):
            _wrap_init(patches, cls, _init_future)
            for name in ("set_result", "set_exception", "cancel"):
                patches.wrap(cls, name, _settle)
        elif sys.version_info >= (3, 12):
            _wrap_init(patches, cls, _init_task)

    patches.replace(StandIn, "_derived", see)
    for stock in (_stock_future, stock_task):
        for cls in stock.__subclasses__():
            own = cls.__module__.partition(".")[0] in ("asyncio", "_asyncio")
            if not own and not isinstance(cls, StandIn):
                see(cls)


def _wrap_init(patches: Patches, cls: type, wrapper: Wrapper) -> None:
    is_inherited = isinstance(found(cls, "__init__"), WrapperDescriptorType)
    patches.wrap(cls, "__init__", wrapper)
    if is_inherited:
        # What it takes is said by the class in C, not by its `__init__`.
        stock = stock_task if issubclass(cls, stock_task) else _stock_future
        taken = inspect.signature(stock)
        init = vars(cls)["__init__"]
        init.__signature__ = taken.replace(parameters=[_SELF, *taken.parameters.values()])


def _init_future(wrapped: Any, future: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    _created_elsewhere(future)
    if hasattr(future, "_whence"):
        return
    state = local.state
    lifetime = born(state, FUTURE, state.current, 3)
    future._whence = Token(lifetime)
    announce(state, lifetime, future)
    if future.done():
        _settled(future)


def _settle(wrapped: Any, future: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    if future.done():
        _settled(future)
    return result


def _settled(future: Any) -> None:
    """promise_resolve and destroy, in the context of whoever settles."""
    token: Token | None = getattr(future, "_whence", None)
    if token is None or not token.lifetime.open:
        return
    state, lifetime, outcome = local.state, token.lifetime, DONE
    resolve(state, lifetime)
    if future.cancelled():
        outcome = CANCELLED
    elif future._exception is not None:
        # `exception()` would mark it as retrieved and silence asyncio's own warning.
        failed(lifetime, future._exception)
        outcome = FAILED
    end(state, lifetime, outcome)


def _init_task(wrapped: Any, task: Any, args: Any, kwargs: Any) -> None:
    if len(args) == 1 and starts_eagerly(kwargs) and not hasattr(task, "_whence"):
        init_eagerly(task, wrapped, args[0], kwargs)
    else:
        wrapped(*args, **kwargs)
    _created_elsewhere(task)


def _created_elsewhere(future: Any) -> None:
    """In debug mode: it was created where the program says so, not in this file."""
    if future._source_traceback is not None:
        leave_out_ours(future._source_traceback)
