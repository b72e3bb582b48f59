"""Eager tasks, of Python 3.12 and later: the first step runs inside the constructor.

So there is no callback by which such a task could be recognised (`tasks.py`).  It is seen where it
is constructed: by the name `asyncio.Task`, by a factory, or by a class of the program's.
"""

import asyncio
import copyreg
import inspect
from asyncio import tasks
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import sites, twin
from .events import Token, create, end, enter, leave
from .execution import local
from .lifetimes import CANCELLED, OPEN, RecordedLifetime, SpanLifetime
from .recorder import clock
from .resource_types import TASK
from .scopes import leave_scopes
from .standin import StandIn, pickled
from .tasks import AnyTask, name_task, settle, task_class


def starts_eagerly(kwargs: dict[str, Any]) -> bool:
    """Whether a task that is constructed with these arguments runs its first step at once."""
    loop = kwargs.get("loop") or asyncio._get_running_loop()
    return bool(kwargs.get("eager_start")) and loop is not None and loop.is_running()


def start_eagerly(task_class: Any, coro: Any, kwargs: dict[str, Any]) -> AnyTask:
    """Construct a task whose first step may run inside its constructor, as that step's bracket."""
    if not starts_eagerly(kwargs):
        return _created_elsewhere(task_class(coro, **kwargs))
    task = task_class.__new__(task_class)
    init_eagerly(task, task.__init__, coro, kwargs)
    return _created_elsewhere(task)


def init_eagerly(
    task: AnyTask, init: Callable[..., None], coro: Any, kwargs: dict[str, Any]
) -> None:
    """Call the `__init__` of a task that starts eagerly.

    The task is not finished when its init is delivered (SEMANTICS 6.13)."""
    state = local.state
    previous = state.current
    lifetime = create(state, TASK, task, previous, 4)
    lifetime.scope = None
    object.__setattr__(task, "_whence", Token(lifetime))
    if isinstance(lifetime, SpanLifetime):
        name_task(lifetime, coro)
    outcome = CANCELLED
    try:
        enter(state, lifetime, task)
        init(coro, **kwargs)
        outcome = settle(state, lifetime, task) if task.done() else OPEN
    except BaseException as error:
        sites.leave_traceback(error)
        raise
    finally:
        if state.current is not lifetime:
            leave_scopes(state, lifetime)
        leave(state, lifetime, previous)
        if outcome is not OPEN:
            end(state, lifetime, outcome)
        elif isinstance(lifetime, RecordedLifetime):
            # As after any step: its next one may have been scheduled inside of this one.
            lifetime.scheduled = clock()
        del task, init, coro, kwargs


class EagerStandIn(StandIn):
    """Of `asyncio.Task`, which gives the original's instances, seen from their first step on."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Construct one."""
        try:
            if kwargs.get("eager_start") and len(args) == 1:
                return start_eagerly(task_class, args[0], kwargs)
            return _created_elsewhere(task_class(*args, **kwargs))
        except BaseException as error:
            sites.leave_traceback(error)
            raise


copyreg.pickle(EagerStandIn, pickled)


def _created_elsewhere(task: AnyTask) -> AnyTask:
    """In debug mode: the task was created where the program says so, not in this file."""
    if task._source_traceback is not None:
        sites.leave_out_ours(task._source_traceback)
    return task


_metaclass: Any = EagerStandIn


def construct_eagerly(stand_in: type) -> None:
    """In C it is the class that knows how it is called; here its metaclass does."""


def eager_task_stand_in() -> type:
    """A class to be called `asyncio.Task`."""
    stock: Any = tasks.Task
    stand_in: type = _metaclass(
        stock.__name__,
        (stock,),
        {
            "__module__": stock.__module__,
            "__qualname__": stock.__qualname__,
            "__doc__": stock.__doc__,
            "__signature__": inspect.signature(stock),
            "_stands_for": stock,
            "_gives_way": True,
        },
    )
    construct_eagerly(stand_in)
    return stand_in


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import construct_eagerly, init_eagerly, know_eager_tasks, start_eagerly

    know_eager_tasks(asyncio._get_running_loop)
    _metaclass = StandIn
