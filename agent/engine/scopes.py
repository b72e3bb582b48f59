"""Scopes: a resource that executes inside a task, across the task's steps; a request.

On a keep-alive connection one task serves request after request, so the task cannot be the
resource. While a scope is open, each step of its task is: before task, before scope, ..., after
scope, after task; and what the step creates is triggered by the scope.  Scopes of one task nest.
"""

from typing import TYPE_CHECKING, Any
from weakref import ref

from . import twin
from .events import create, end, enter, leave
from .execution import ThreadState
from .lifetimes import DONE, Lifetime, RecordedLifetime, Scope
from .resource_types import TASK, ResourceType


def open_scope(state: ThreadState, row: ResourceType, resource: Any) -> Scope | None:
    """Create a resource that executes inside the current task from here on.

    None if it is no task that executes: there would be nothing to carry it."""
    carrier = state.current
    task = carrier if carrier.type is TASK else _task_of_scope(carrier)
    if task is None:
        return None
    resource_ref = ref(resource)
    lifetime = create(state, row, resource, carrier, 2)
    scope = Scope(lifetime, resource_ref, task, task.scope)
    task.scope = lifetime.scope = scope
    enter(state, lifetime, resource)
    return scope


def _task_of_scope(lifetime: Lifetime) -> Lifetime | None:
    scope = getattr(lifetime, "scope", None)
    return None if scope is None else scope.task


def close_scope(state: ThreadState, scope: Scope, outcome: str = DONE) -> None:
    """End the resource; its task goes on without it."""
    if state.current is scope.lifetime:
        leave(state, scope.lifetime, scope.task if scope.outer is None else scope.outer.lifetime)
    scope.task.scope = scope.outer
    scope.lifetime.scope = None
    end(state, scope.lifetime, outcome)


def enter_scopes(state: ThreadState, scope: Scope) -> None:
    """The step of a task with open scopes begins, outermost first."""
    if scope.outer is not None:
        enter_scopes(state, scope.outer)
    lifetime, task = scope.lifetime, scope.task
    if isinstance(lifetime, RecordedLifetime) and isinstance(task, RecordedLifetime):
        lifetime.scheduled = task.scheduled
    enter(state, lifetime, scope.resource())


def leave_scopes(state: ThreadState, task: Lifetime) -> None:
    """The step ends: out of the scopes that are open now, innermost first."""
    scope = task.scope
    while scope is not None:
        outer = task if scope.outer is None else scope.outer.lifetime
        leave(state, scope.lifetime, outer)
        scope = scope.outer


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import close_scope, open_scope
