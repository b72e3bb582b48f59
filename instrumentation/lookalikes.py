"""What stands in for what no function in Python can look like: an async def of a class, a function
written in C.

Whatever it is asked, the original answers, its class included; set on it is set on the original.
wrapt has the like, and stands in for all else that no plain function can.  But every program with a
loop has some of these two, and to import wrapt takes longer than all else at its start.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

from whence.engine.sites import leave_traceback

_OWN = frozenset(
    {"__call__", "__copy__", "__deepcopy__", "__get__", "__reduce_ex__", "__wrapped__"},
)
"""The attributes that are not the original's."""


class Lookalike:
    """In place of a function of a module."""

    __slots__ = ("__weakref__", "__wrapped__", "_wrapper")

    def __init__(self, original: Any, wrapper: Callable[..., Any]) -> None:
        _set_original(self, original)
        _set_wrapper(self, wrapper)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the wrapper."""
        try:
            return _wrapper(self)(_original(self), None, args, kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del self, args, kwargs

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN:
            return object.__getattribute__(self, name)
        return getattr(_original(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_original(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_original(self), name)

    def __repr__(self) -> str:
        return repr(_original(self))

    def __eq__(self, other: object) -> bool:
        return self is other or bool(_original(self) == other)

    def __hash__(self) -> int:
        return hash(_original(self))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__qualname__


class AsyncMethod(Lookalike):
    """In place of an async def of a class.

    Bound it is a method like any other, so that it can be compared, copied, pickled, and held by a
    `weakref.WeakMethod`."""

    __slots__ = ()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the wrapper with the instance, which comes first."""
        try:
            original = _original(self)
            if not args:
                return original(**kwargs)
            instance = args[0]
            bound = original.__get__(instance, type(instance))
            return _wrapper(self)(bound, instance, args[1:], kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del self, args, kwargs


# The slots' own, past the methods above, which ask the original.
_original: Callable[[Lookalike], Any] = vars(Lookalike)["__wrapped__"].__get__
_wrapper: Callable[[Lookalike], Callable[..., Any]] = vars(Lookalike)["_wrapper"].__get__
_set_original = vars(Lookalike)["__wrapped__"].__set__
_set_wrapper = vars(Lookalike)["_wrapper"].__set__
