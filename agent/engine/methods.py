"""What stands in a class in place of a method: a callable of ours that brackets it.

With this engine a plain function; the one in C has a type of its own, which makes no frame.
"""

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from . import twin

Method: type = FunctionType
"""What such a callable is; it has a `__dict__`."""


preceded: "Callable[[Callable[..., object], Any, dict[int, Any] | None], Any] | None" = None
"""`preceded(look, original, among)`: a method that has `look` called with its arguments before it
runs, if `among` is None or has the id of the instance; what that raises goes no further.  Only in
C: without a frame, it need not be what the original is, such as an async def."""


def calling(method: Any) -> Callable[..., Any]:
    """How to call a method with the instance as its first argument."""
    if type(method) is FunctionType:
        return method

    def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
        return method.__get__(instance, type(instance))(*args, **kwargs)

    return call


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Method, preceded
