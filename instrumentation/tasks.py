"""Eager tasks, whose first step runs inside their constructor (3.12 and later).

All other tasks are seen by what they schedule (`whence.engine.tasks`).
"""

import asyncio
import sys
from asyncio import tasks
from typing import Any

from whence.engine.eager_tasks import eager_task_stand_in, start_eagerly

from .patching import Patches, leave_traceback, looks_like

IMPOSSIBLE = {
    "the first step of an eager task made by a name of Task bound before the first hook, or by a "
    "class whose constructor makes it eager": (
        "it runs inside a constructor in C; the task is seen when it is next scheduled"
    ),
}


def install(patches: Patches) -> None:
    """See the constructor called by name, and by asyncio's eager task factories."""
    if sys.version_info < (3, 12):
        return
    patches.replace(asyncio, "Task", eager_task_stand_in())
    for module in (tasks, asyncio):
        patches.replace(module, "create_eager_task_factory", _create_eager_task_factory)
    factory: Any = asyncio.eager_task_factory
    (cell,) = factory.__closure__
    stock = cell.cell_contents
    cell.cell_contents = _constructor(stock)

    def put_back() -> None:
        cell.cell_contents = stock

    patches.on_undo(put_back)


if sys.version_info >= (3, 12):
    _stock_create_eager_task_factory = tasks.create_eager_task_factory

    @looks_like(_stock_create_eager_task_factory)
    def _create_eager_task_factory(custom_task_constructor: Any) -> Any:
        if not callable(custom_task_constructor):
            return _stock_create_eager_task_factory(custom_task_constructor)
        return _stock_create_eager_task_factory(_constructor(custom_task_constructor))


def _constructor(task_class: Any) -> Any:
    if not isinstance(task_class, type):
        return task_class

    def construct(coro: Any, **kwargs: Any) -> Any:
        try:
            return start_eagerly(task_class, coro, kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise

    return construct
