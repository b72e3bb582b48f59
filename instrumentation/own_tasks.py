"""Tasks that a library makes for itself, to run one coroutine of its own: no spans."""

from whence.engine import Lifetime, SpanLifetime, hide
from whence.engine.resource_types import TASK


def hide_own_task(lifetime: Lifetime, coroutine: str) -> None:
    """Make this one transparent, if it is a task of this coroutine.

    A program that awaits the coroutine in a task of another has that seen as ever."""
    if isinstance(lifetime, SpanLifetime) and lifetime.type is TASK and lifetime.name == coroutine:
        hide(lifetime)
