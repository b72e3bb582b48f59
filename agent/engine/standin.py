"""Classes that stand in for asyncio's own under the same name.

While a hook is enabled, `asyncio.events.Handle`, `TimerHandle`, `asyncio.Future` and `asyncio.Task`
name subclasses of ours.  `isinstance` and `issubclass` with such a name must answer as with the
original, or objects made before, and by code that holds the original, would no longer be
recognised.

A class that can answer so has a metaclass of its own, and whatever derives from it has that too,
which no class can have together with an unrelated metaclass of the program's.  So what a program
derives from a stand-in may get the original as its base instead, and `type` for its metaclass.
"""

import copyreg
import sys
from _abc import _abc_init  # type: ignore[import-not-found]
from abc import ABCMeta
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from . import twin
from .sites import leave_traceback


class StandIn(ABCMeta):
    """A class that answers type checks for the class it stands in for.

    `_stands_for` is that class.  With `_gives_way`, a class that is derived from the stand-in is
    derived from the original, and `_derived` is told of it.

    An ABCMeta, so that the program can go on deriving from it together with an abstract class."""

    _derived: Callable[[type], None] | None = None

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any
    ) -> Any:
        """Define a stand-in, or what the program derives from one."""
        if not any("_gives_way" in vars(base) for base in bases):
            return super().__new__(mcs, name, bases, namespace, **keywords)
        if "__module__" not in namespace:
            # Made by a call: Python takes it for a class of the module that calls.
            module = sys._getframe(1).f_globals.get("__name__")
            namespace = {**namespace, "__module__": module}
        try:
            cls = type(name, tuple(map(original, bases)), namespace, **keywords)
        except BaseException as error:
            leave_traceback(error)
            raise
        if StandIn._derived is not None:
            StandIn._derived(cls)
        return cls

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


def original(base: type) -> type:
    """The class itself, or what it stands in for if it gives way to that."""
    return vars(base)["_stands_for"] if "_gives_way" in vars(base) else base


def pickled(cls: StandIn) -> Any:
    """How a stand-in is pickled: by its name, or if that is the original's still, as the original.

    By what every Python can unpickle, for the other one may be without us."""
    named = getattr(sys.modules.get(cls.__module__), cls.__qualname__, None)
    if named is cls or "_stands_for" not in vars(cls):
        return cls.__qualname__
    return itemgetter(0), ((vars(cls)["_stands_for"],),)


copyreg.pickle(StandIn, pickled)


def stand_in_of_c(cls: Any, stands_for: type, **names: object) -> Any:
    """Have a class that was made in C stand in for another, with more `names` in it."""
    set_metaclass(cls, StandIn)
    _abc_init(cls)
    for name, value in (("_stands_for", stands_for), *names.items()):
        setattr(cls, name, value)
    return cls


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import set_metaclass
else:

    def set_metaclass(cls: type, metaclass: type) -> None:
        """Only of classes in C."""
        raise NotImplementedError
