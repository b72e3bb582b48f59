"""Classes that stand in for asyncio's own under the same name.

While a hook is enabled, `asyncio.events.Handle`, `TimerHandle` and `asyncio.Future` name subclasses
of ours.  `isinstance` and `issubclass` with such a name must answer as with the original, or
objects made before, and by code that holds the original, would no longer be recognised.
"""

from abc import ABCMeta
from typing import Any


class StandIn(ABCMeta):
    """A class that answers type checks for the class it stands in for.

    An ABCMeta, so that the program can go on deriving from it together with an abstract class."""

    def __instancecheck__(cls, instance: Any) -> bool:
        original = cls.__dict__.get("_stands_for")
        if original is None:
            return super().__instancecheck__(instance)
        return isinstance(instance, original)

    def __subclasscheck__(cls, subclass: type) -> bool:
        original = cls.__dict__.get("_stands_for")
        if original is None:
            return super().__subclasscheck__(subclass)
        return issubclass(subclass, original)
