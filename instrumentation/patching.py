"""Patches: replace or wrap an attribute, remember it, put the very same object back.

The only file that imports wrapt; and only to wrap what neither a plain function nor one of
`lookalikes` can look like: a function of a module, a static or class method.

An attribute is put back only while it is still ours: what somebody else has put on top since stays,
and calls ours, which then does nothing.  What another instrumentation has put on top is put back
before it, in whichever order they are undone.
"""

import sys
from collections.abc import Callable
from functools import WRAPPER_ASSIGNMENTS
from itertools import count
from os.path import dirname
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, WrapperDescriptorType
from typing import Any, TypeVar
from weakref import ref

from whence.engine.methods import Method, preceded
from whence.engine.methods import calling as calling
from whence.engine.sites import code_of, skip_folder
from whence.engine.sites import is_ours as is_ours
from whence.engine.sites import leave_traceback as leave_traceback

from .lookalikes import AsyncMethod, Lookalike

_ABSENT = object()
_CO_COROUTINE = 0x80
_CO_VARIABLE = 0x04 | 0x08
skip_folder(dirname(__file__))

F = TypeVar("F", bound=Callable[..., Any])

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""(wrapped, instance, args, kwargs), as wrapt has it."""

_covered: list[Callable[[], bool]] = []
"""What could not be put back for something on top of it; tried again with every undo."""


class Patches:
    """The patches of one instrumentation."""

    def __init__(self) -> None:
        self._undo: dict[int, tuple[str, Callable[[], bool]]] = {}
        self._next = count().__next__
        self._in_force = [True]
        self.skipped: dict[str, str] = {}
        """Attribute -> why it is not patched, of those that there was the wish to patch."""

    @property
    def patched(self) -> list[str]:
        """The attributes that are patched now, such as `threading.Thread.start`."""
        return sorted({place for place, _ in list(self._undo.values()) if place})

    def replace(self, owner: Any, name: str, new: Any) -> bool:
        """Put another object in place of an attribute; whether the owner has one of that name, and
        can be given another.

        What refers to the program's classes is weak: one that it makes and drops must not stay for
        our sake.  Nor for the sake of the original, which may refer to the class; so that is kept
        by what replaces it, if it can, and else here."""
        original = vars(owner).get(name, _ABSENT)
        if original is _ABSENT and found(owner, name) is None:
            self.skipped[_place(owner, name)] = "absent"
            return False
        undo, key, place = self._undo, self._next(), _place(owner, name)
        owner_ref, new_ref = _weakly(owner, lambda _: undo.pop(key, None)), _weakly(new)
        try:
            setattr(owner, name, new)
        except (TypeError, AttributeError):
            self.skipped[place] = "its type takes no attribute"
            return False
        kept = None if _original_of(new) is original else original

        def put_back() -> bool:
            owner, new = owner_ref(), new_ref()
            if owner is None or new is None:
                return True
            if vars(owner).get(name) is not new:
                return False
            before = _original_of(new) if kept is None else kept
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
            return True

        undo[key] = (place, put_back)
        return True

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Have `wrapper(wrapped, instance, args, kwargs)` called instead of a method or function.

        For cold surfaces.  An async def stays one in the eyes of the program; the wrapper gives on
        its coroutine as it is, or is an async def itself."""
        original = found(owner, name)
        if original is None:
            self.skipped[_place(owner, name)] = "absent"
            return
        call = _unseen(wrapper, original, self._in_force)
        self.replace(owner, name, _stand_in(owner, original)(original, call))

    def precede(
        self,
        owner: type,
        name: str,
        look: Callable[..., object],
        among: dict[int, Any] | None = None,
    ) -> None:
        """Have `look` called with the arguments of a method, the instance first, before it runs.

        For what is called for every request.  `look` must raise nothing, and knows by itself
        whether it is still wanted, of which instance too: with `among`, it may not be called for
        those whose id is not in there."""
        original = found(owner, name)
        if preceded is not None and is_method(original):
            self.replace(owner, name, looks_like(original)(preceded(look, original, among)))
            return

        def first_look(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            look(instance, *args, **kwargs)
            return wrapped(*args, **kwargs)

        self.wrap(owner, name, first_look)

    def take_over(
        self,
        owner: type,
        name: str,
        make: Callable[[Any, list[bool]], F],
        *,
        is_async: bool = True,
    ) -> None:
        """Have an async def of ours, which `make(original, in_force)` gives, in place of one in a
        class, or a plain def in place of one; where the first item of `in_force` is false, it does
        nothing but call the original.

        For what is called for every request: it is `wrap` without the layers."""
        original = found(owner, name)
        if is_coroutine_function(original) != is_async or not is_method(original):
            expected = "no async def" if is_async else "no plain def"
            self.skipped[_place(owner, name)] = "absent" if original is None else expected
            return
        self.replace(owner, name, looks_like(original)(make(original, self._in_force)))

    def on_undo(self, undo: Callable[[], None], place: str = "") -> None:
        """Have something else undone with the rest; `place` is the attribute, if it is one."""

        def undone() -> bool:
            undo()
            return True

        self._undo[self._next()] = (place, undone)

    def undo(self) -> None:
        """Put everything back, last first."""
        self._in_force[0] = False
        before = None
        left = [put_back for _, put_back in reversed(list(self._undo.values()))] + _covered
        self._undo.clear()
        while len(left) != before:
            before = len(left)
            left = [put_back for put_back in left if not put_back()]
        _covered[:] = left


def found(owner: Any, name: str) -> Any:
    """What an attribute of a module or class is, as it stands there or in a base; None if absent.

    Not by getattr: Python 3.13 gives a class no more than a thousand versions of what is looked up
    on it, a look-up between two changes takes one, and a class that has had them all is slow for
    ever."""
    for namespace in owner.__mro__ if isinstance(owner, type) else (owner,):
        if name in vars(namespace):
            return vars(namespace)[name]
    return None if isinstance(owner, type) else getattr(owner, name, None)


def _place(owner: Any, name: str) -> str:
    """What people call an attribute of a module or class."""
    within = getattr(owner, "__qualname__", None)
    if within is None:
        return f"{getattr(owner, '__name__', type(owner).__qualname__)}.{name}"
    return f"{owner.__module__}.{within}.{name}"


def _stand_in(owner: Any, original: Any) -> Callable[[Any, Wrapper], Any]:
    """What makes a callable that can take the place of an attribute."""
    if isinstance(owner, type) and is_method(original):
        return AsyncMethod if is_coroutine_function(original) else _method
    if isinstance(original, BuiltinFunctionType):
        return Lookalike
    from wrapt import FunctionWrapper

    return FunctionWrapper


def _method(original: Any, call: Wrapper) -> Callable[..., Any]:
    @looks_like(original)
    def method(self: Any = _ABSENT, /, *args: Any, **kwargs: Any) -> Any:
        try:
            if self is _ABSENT:
                return original(**kwargs)
            return call(original.__get__(self, type(self)), self, args, kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del self, args, kwargs

    return method


def _unseen(wrapper: Wrapper, original: Any, in_force: list[bool]) -> Wrapper:
    """The wrapper, out of every traceback, and keeping nothing of the program's in its frame."""
    if is_coroutine_function(wrapper):

        @looks_like(original)
        async def call_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            try:
                if not in_force[0]:
                    return await wrapped(*args, **kwargs)
                return await wrapper(wrapped, instance, args, kwargs)
            except BaseException as error:
                leave_traceback(error)
                raise
            finally:
                del wrapped, instance, args, kwargs

        return call_async

    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            if not in_force[0]:
                return wrapped(*args, **kwargs)
            return wrapper(wrapped, instance, args, kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del wrapped, instance, args, kwargs

    return call


def is_coroutine_function(function: Any) -> bool:
    """As inspect would say, which what is patched first has not imported."""
    code = code_of(function)
    return code is not None and bool(code.co_flags & _CO_COROUTINE)


def parameters_of(function: Any) -> tuple[str, ...]:
    """The parameters of a function that has nothing but positional ones, without defaults; or
    none."""
    code = code_of(function)
    if code is None or code.co_kwonlyargcount or code.co_flags & _CO_VARIABLE:
        return ()
    return () if getattr(function, "__defaults__", None) else code.co_varnames[: code.co_argcount]


def looks_like(original: Any) -> Callable[[F], F]:
    """Have a function look like the one that it replaces, and keep it.

    Not by `functools.wraps`: asyncio shows where a callback is defined by what `__wrapped__` says,
    for a method only if it has one."""

    def dress(function: F) -> F:
        for name in WRAPPER_ASSIGNMENTS:
            if hasattr(original, name):
                setattr(function, name, getattr(original, name))
        vars(function).update(getattr(original, "__dict__", {}))
        function._whence_original = original  # type: ignore[attr-defined]
        inspect = sys.modules.get("inspect")
        if inspect is not None:
            try:
                function.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
            except (TypeError, ValueError):
                """Made in C, and saying nothing of its arguments; or a class method."""
        return function

    return dress


def is_patched(method: object) -> bool:
    """Whether there is a function of ours, or on top of one."""
    return hasattr(method, "_whence_original")


def _weakly(target: Any, gone: Callable[[Any], object] | None = None) -> Callable[[], Any]:
    """A weak reference, or a strong one to what takes none."""
    try:
        return ref(target, gone)
    except TypeError:
        return lambda: target


def _original_of(new: Any) -> Any:
    if type(new) in (FunctionType, Method):
        return vars(new).get("_whence_original")
    return getattr(new, "__wrapped__", None)


def is_method(candidate: object) -> bool:
    """Whether an attribute of a class is a method that a function of ours may stand in for: one
    written in Python, C or Cython, or a wrapper that looks like one; not a test's mock."""
    return (
        isinstance(candidate, FunctionType | MethodDescriptorType | WrapperDescriptorType | Method)
        or type(candidate).__name__ == "cython_function_or_method"
    )
