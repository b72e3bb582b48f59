"""Tasks: recognised by the callbacks that asyncio schedules for their steps.

The C task passes an object of a private type, or the builtin `task_wakeup`, to `loop.call_soon`;
the Python task passes its bound methods.  A task that is seen for the first time gets its init
there, which covers create_task, gather, TaskGroup, `Task()` and any task factory alike, and tasks
that were parked before the first hook was enabled.
"""

from asyncio import tasks
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, CoroutineType, MethodType
from typing import TYPE_CHECKING, Any

from . import sites, twin
from .events import Token, create, resolve
from .execution import ThreadState
from .lifetimes import CANCELLED, DONE, FAILED, Lifetime, SpanLifetime
from .recorder import failed, hide
from .resource_types import TASK

AnyTask = Any

_get: Any = object.__getattribute__


class _ProbeLoop:
    """Just enough of a loop to see what a task schedules itself with."""

    step: object = None

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        self.step = callback

    def call_exception_handler(self, context: Any) -> None:
        """The probe's task is dropped unfinished, which is no news to anybody."""


async def _never_run() -> None:
    """The coroutine of the probe's task."""


def _type_of_c_step() -> type:
    loop = _ProbeLoop()
    coroutine = _never_run()
    # With a name: else it would be given a number, and the program's tasks the next ones.
    task: Any = tasks.Task(coroutine, loop=loop, name="probe")  # type: ignore[arg-type]
    task._log_destroy_pending = False
    coroutine.close()
    return type(loop.step)


def _task_of_builtin(callback: Any) -> AnyTask | None:
    task = callback.__self__
    if isinstance(task, task_class) and callback.__name__ == "task_wakeup":
        return task
    return None


_PYTHON_STEPS = frozenset(
    vars(tasks._PyTask)[name]  # type: ignore[attr-defined]
    for name in ("_Task__step", "_Task__wakeup")
    if name in vars(tasks._PyTask)  # type: ignore[attr-defined]
)


def _task_of_method(callback: Any) -> AnyTask | None:
    return callback.__self__ if callback.__func__ in _PYTHON_STEPS else None


task_class: Any = tasks.Task
"""asyncio's own."""

C_STEP = _type_of_c_step()
"""The type of a C task's step; its `__self__` is the task."""

TASK_OF: dict[type, Callable[[Any], AnyTask | None]] = {
    BuiltinFunctionType: _task_of_builtin,
    MethodType: _task_of_method,
}
"""Type of another scheduled callback -> how to tell the task whose step it is, if it is one."""


def token_of(resource: Any) -> Token | None:
    """What a task or future of a class of the program's holds for us.

    Such a class may have its own ideas of attributes: it is not asked."""
    try:
        token: Token = _get(resource, "_whence")
    except AttributeError:
        return None
    return token


def seen_first(state: ThreadState, task: AnyTask, depth: int) -> Lifetime:
    """init of a task: the first step of it that is scheduled while a hook is enabled."""
    lifetime = create(state, TASK, task, state.current, depth + 1)
    lifetime.scope = None
    object.__setattr__(task, "_whence", Token(lifetime))
    if task._source_traceback is not None:
        sites.leave_out_ours(task._source_traceback)
    if isinstance(lifetime, SpanLifetime):
        name_task(lifetime, task.get_coro())
    return lifetime


def name_task(lifetime: SpanLifetime, coroutine: Any) -> None:
    """Call it by what it runs; hide what the loop runs for itself."""
    own = False
    code: CodeType | None
    if type(coroutine) is CoroutineType:
        lifetime.name, code = coroutine.__qualname__, coroutine.cr_code
    else:
        lifetime.name, code = _asked(coroutine)
        own = lifetime.name.startswith("Loop.shutdown_")  # uvloop's
    if code is not None and sites.whose(code.co_filename) is sites.PLUMBING:
        own = code.co_name.startswith(("_", "shutdown_"))
    if own:
        # The loop's own helpers, such as `_accept_connection2` and `shutdown_asyncgens`: not
        # `sleep` or `Queue.get`, which the program asked for.
        hide(lifetime)


def _asked(coroutine: Any) -> tuple[str, CodeType | None]:
    """Name and code of an awaitable of the program's, which may have its own ideas of attributes,
    or of a loop in C."""
    try:
        name = getattr(coroutine, "__qualname__", None)
        code = getattr(coroutine, "cr_code", None)
    except Exception:
        name = code = None
    return (
        name if isinstance(name, str) else type(coroutine).__qualname__,
        code if type(code) is CodeType else None,
    )


def settle(state: ThreadState, lifetime: Lifetime, task: AnyTask) -> str:
    """promise_resolve of a task, inside its last step; gives its outcome."""
    resolve(state, lifetime)
    if task.cancelled():
        return CANCELLED
    # `exception()` would mark it as retrieved and silence asyncio's own warning.
    error = task._exception
    if error is None:
        return DONE
    failed(lifetime, error)
    return FAILED


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import know_tasks

    know_tasks(task_class, C_STEP, _PYTHON_STEPS)
    twin.tell(name_task=name_task, leave_out_ours=sites.leave_out_ours)
