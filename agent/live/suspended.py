"""Where a task is suspended: down through what it awaits, to the line that does not return.

Coroutines, generators and async generators show what they await.  The awaitables in between that
do not (`__anext__()`, `asend()`, `__await__()` of a coroutine) show it only to the collector.
"""

from gc import get_referents
from types import AsyncGeneratorType, CodeType, CoroutineType, GeneratorType
from typing import Any

from ..engine.sites import Site, is_ours
from ..engine.stacks import Stack

MAX_DEPTH = 500
"""Awaits that are followed; a recursion may be deeper."""

_IN_BETWEEN = frozenset(
    {"anext_awaitable", "async_generator_asend", "async_generator_athrow", "coroutine_wrapper"}
)

_SAYS_NOTHING = frozenset({"_ContextManagerMixin.__aenter__"})
"""`async with lock:`, which calls `Lock.acquire`."""

_AWAITS = ("cr_await", "ag_await", "gi_yieldfrom")
_FRAMES = ("cr_frame", "ag_frame", "gi_frame")
_SUSPENDED = (CoroutineType, AsyncGeneratorType, GeneratorType)


def chain(coroutine: Any) -> list[Any]:
    """The coroutine and what it awaits, the outermost first, as far as they have frames."""
    found: list[Any] = []
    awaited = coroutine
    for _ in range(MAX_DEPTH):
        if type(awaited).__name__ in _IN_BETWEEN:
            awaited = next((r for r in get_referents(awaited) if _has_frame(r)), None)
        elif _has_frame(awaited):
            found.append(awaited)
            awaited = _first_of(awaited, _AWAITS)
        else:
            break
    return found


def stack_of(suspended: list[Any]) -> Stack:
    """Where each of them is."""
    frames = [place for one in reversed(suspended) if (place := _place(one)) is not None]
    return Stack(frames)


def sites_of(stack: Stack) -> tuple[Site, ...]:
    """Its places, the innermost last."""
    return tuple(
        Site(code.co_filename, line, code.co_qualname) for code, line in reversed(stack.frames)
    )


def called_at(stack: Stack) -> tuple[Site | None, str | None]:
    """The innermost line of the program's own, and what it has called that does not return."""
    at, called = stack.site, None
    for code, line in stack.frames:
        if at == (code.co_filename, line, code.co_qualname):
            break
        if code.co_qualname not in _SAYS_NOTHING:
            called = code.co_qualname
    return at, called


def called_outside(suspended: list[Any]) -> str | None:
    """The same of a coroutine that has no frame, of uvloop's say."""
    return next((one.__qualname__ for one in suspended if _is_of_cython(one)), None)


def _place(suspended: Any) -> tuple[CodeType, int] | None:
    frame: Any = None if _is_of_cython(suspended) else _first_of(suspended, _FRAMES)
    code: CodeType | None = getattr(frame, "f_code", None)
    if code is None or is_ours(code):
        return None
    return code, frame.f_lineno or code.co_firstlineno


def _has_frame(awaited: Any) -> bool:
    return isinstance(awaited, _SUSPENDED) or _is_of_cython(awaited)


def _is_of_cython(awaited: Any) -> bool:
    """A coroutine of uvloop, say: it looks like Python's, but its file is none that one has."""
    kind = type(awaited)
    return kind.__module__.startswith("_cython") and kind.__name__.endswith("coroutine")


def _first_of(suspended: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return getattr(suspended, name)
        except AttributeError:
            continue
    return None
