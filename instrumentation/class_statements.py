"""Class statements that derive from asyncio's Future or Task together with a metaclass.

`class Own(asyncio.Future, metaclass=Meta)` names a stand-in (`whence.engine.standin`), which has a
metaclass itself: Python refuses to have both, before anything of ours is asked.  So such a
statement is given the original.

Python looks up `__build_class__` for every class statement.  What is to build the class is decided
before it is called, by the names that the statement has for its bases: no frame of ours is between
a class and its module where none of these names is one of asyncio's two.
"""

import builtins
from collections.abc import Callable
from inspect import CO_OPTIMIZED
from opcode import EXTENDED_ARG, opmap, opname
from sys import _getframe
from types import CodeType, FrameType, GenericAlias
from typing import Any

from whence.engine.standin import StandIn, original

from .patching import Patches, leave_traceback

_NAMES = ("Future", "Task")
_LOAD_BUILD_CLASS = bytes([opmap["LOAD_BUILD_CLASS"]])


def install(patches: Patches) -> None:
    """See class statements that name a stand-in."""
    patches.replace(builtins, "__build_class__", BuildClass(builtins.__build_class__))


class BuildClass:
    """Stands in for `builtins.__build_class__`."""

    __slots__ = ("__weakref__", "__wrapped__", "_from_originals", "_last")

    def __init__(self, build: Callable[..., Any]) -> None:
        self.__wrapped__ = build
        self._from_originals = _building_from_originals(build)
        self._last: tuple[CodeType | None, dict[int, str]] = None, {}
        """The last code, and which of the names it has: it may have a thousand class statements."""

    @property
    def __call__(self) -> Callable[..., Any]:
        """What Python goes on to call."""
        frame = _getframe(1)
        code, wanted = self._last
        if frame.f_code is not code:
            names = frame.f_code.co_names
            wanted = {names.index(name): name for name in _NAMES if name in names}
            self._last = frame.f_code, wanted
        if wanted and _names_a_stand_in(frame, wanted):
            return self._from_originals
        return self.__wrapped__

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)


# What `help` shows.
BuildClass.__doc__ = builtins.__build_class__.__doc__


def _building_from_originals(build: Callable[..., Any]) -> Callable[..., Any]:
    def build_class(*what: Any, **keywords: Any) -> Any:
        given = tuple(_original(part) for part in what)
        try:
            cls = build(*given, **keywords)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del keywords
        if given != what and isinstance(cls, type) and StandIn._derived is not None:
            StandIn._derived(cls)
        return cls

    return build_class


def _original(base: Any) -> Any:
    if type(base) is GenericAlias:
        origin: Any = base.__origin__
        return GenericAlias(original(origin), base.__args__)
    return original(base) if isinstance(base, type) else base


def _names_a_stand_in(frame: FrameType, wanted: dict[int, str]) -> bool:
    """Whether the class statement that this frame executes has such a name for a base."""
    code, end = frame.f_code.co_code, frame.f_lasti
    extended = 0
    for at in range(_beginning(code, end), end, 2):
        operation, argument = code[at], code[at + 1] | extended
        extended = argument << 8 if operation == EXTENDED_ARG else 0
        # Some instructions have a flag below the number of the name.
        name = wanted.get(argument) or wanted.get(argument >> 1)
        if name is not None and (opname[operation] == "LOAD_ATTR" or _is_stand_in(frame, name)):
            return True
    return False


def _is_stand_in(frame: FrameType, name: str) -> bool:
    value, space = frame.f_globals.get(name), frame.f_locals
    # The namespace of a class may be a mapping of the program's, which is not to be asked.
    if type(space) is dict or frame.f_code.co_flags & CO_OPTIMIZED:
        value = space.get(name, value)
    return issubclass(type(value), StandIn)


def _beginning(code: bytes, end: int) -> int:
    """Where the statement that calls `__build_class__` at `end` has loaded it."""
    at = code.rfind(_LOAD_BUILD_CLASS, 0, end)
    while at % 2 and at > 0:
        at = code.rfind(_LOAD_BUILD_CLASS, 0, at)
    return max(at, 0)
