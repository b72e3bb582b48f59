"""Classes that the program derives from asyncio's Future and Task.

However old they are, they derive from asyncio's own (`whence.engine.standin`), and what they
inherit is patched on them.  A subclass of theirs needs nothing more.

Of an instance nothing is asked by a name that its class may have given a meaning of its own, and a
class that takes no patch goes on unseen.
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
from whence.engine.eager_tasks import init_eagerly, starts_eagerly
from whence.engine.futures import Future
from whence.engine.resource_types import FUTURE
from whence.engine.sites import leave_out_ours
from whence.engine.standin import StandIn
from whence.engine.tasks import task_class as stock_task
from whence.engine.tasks import token_of

from .patching import Patches, Wrapper, found, is_patched

_stock_future: Any = vars(Future)["_stands_for"]
_get: Any = object.__getattribute__
_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)


def install(patches: Patches) -> None:
    """See the classes that there are, and those to come."""

    def see(cls: type) -> None:
        try:
            _patch(patches, cls)
        except Exception as error:
            # A metaclass of the program's has its own ideas of setting attributes.
            patches.skipped[f"{cls.__module__}.{cls.__qualname__}"] = repr(error)

    patches.replace(StandIn, "_derived", see)
    for stock in (_stock_future, stock_task):
        for cls in stock.__subclasses__():
            own = cls.__module__.partition(".")[0] in ("asyncio", "_asyncio")
            if not own and not isinstance(cls, StandIn):
                see(cls)


def _patch(patches: Patches, cls: type) -> None:
    if stock_task not in cls.__mro__:
        _wrap_init(patches, cls, _init_future)
        for name in ("set_result", "set_exception", "cancel"):
            patches.wrap(cls, name, _settle)
    elif sys.version_info >= (3, 12):
        _wrap_init(patches, cls, _init_task)


def _wrap_init(patches: Patches, cls: type, wrapper: Wrapper) -> None:
    is_inherited = isinstance(found(cls, "__init__"), WrapperDescriptorType)
    patches.wrap(cls, "__init__", wrapper)
    init: Any = vars(cls).get("__init__")
    if is_inherited and is_patched(init):
        # What it takes is said by the class in C, not by its `__init__`.
        taken = inspect.signature(stock_task if stock_task in cls.__mro__ else _stock_future)
        init.__signature__ = taken.replace(parameters=[_SELF, *taken.parameters.values()])


def _init_future(wrapped: Any, future: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    _created_elsewhere(future)
    if token_of(future) is not None:
        return
    state = local.state
    lifetime = born(state, FUTURE, state.current, 3)
    object.__setattr__(future, "_whence", Token(lifetime))
    announce(state, lifetime, future)
    _end_if_settled(future)


def _settle(wrapped: Any, future: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    _end_if_settled(future)
    return result


def _end_if_settled(future: Any) -> None:
    """promise_resolve and destroy, in the context of whoever settles."""
    token = token_of(future)
    if token is None or not token.lifetime.open or not _stock_future.done(future):
        return
    state, lifetime, outcome = local.state, token.lifetime, DONE
    resolve(state, lifetime)
    # `exception()` would mark it as retrieved and silence asyncio's own warning.
    error = _get(future, "_exception")
    if _stock_future.cancelled(future):
        outcome = CANCELLED
    elif error is not None:
        failed(lifetime, error)
        outcome = FAILED
    end(state, lifetime, outcome)


def _init_task(wrapped: Any, task: Any, args: Any, kwargs: Any) -> None:
    if len(args) == 1 and starts_eagerly(kwargs) and token_of(task) is None:
        init_eagerly(task, wrapped, args[0], kwargs)
    else:
        wrapped(*args, **kwargs)
    _created_elsewhere(task)


def _created_elsewhere(future: Any) -> None:
    """In debug mode: it was created where the program says so, not in this file."""
    places = _get(future, "_source_traceback")
    if places is not None:
        leave_out_ours(places)
