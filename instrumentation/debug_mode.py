"""asyncio's debug mode: the places of creation that it notes are without our frames.

It keeps the innermost frames only: each of ours would take the place of one of the program's.  For
coroutines Python itself keeps them, and ours are left out when it warns of one never awaited.
"""

import traceback
import warnings
from asyncio import format_helpers
from collections.abc import Iterable
from itertools import chain, islice
from types import FrameType, FunctionType
from typing import Any

from whence.engine.sites import is_file_of_ours

from .patching import Patches, is_ours, leave_traceback, looks_like

Frame = tuple[FrameType, int]


def install(patches: Patches) -> None:
    """Have asyncio take the program's frames only."""
    patches.replace(format_helpers, "traceback", _Traceback())
    stock = getattr(warnings, "_warn_unawaited_coroutine", None)
    if type(stock) is FunctionType:
        patches.replace(warnings, stock.__name__, _warning_of_coroutines(stock))


class _Traceback:
    """The module, as asyncio's format_helpers uses it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)

    @property
    def StackSummary(self) -> Any:
        return _StackSummary


class _StackSummary:
    @staticmethod
    def extract(
        frames: Iterable[Frame], *, limit: int | None = None, **options: Any
    ) -> traceback.StackSummary:
        # A constructor of the engine, called by asyncio's or by what called it, takes itself out.
        walk = iter(frames)
        innermost = [*islice(walk, 2)]
        kept = [frame for frame in innermost if not _is_passing(frame)]
        if limit is not None and any(is_ours(frame.f_code) for frame, _ in kept):
            limit += 1
        frames = chain(kept, (frame for frame in walk if not is_ours(frame[0].f_code)))
        return traceback.StackSummary.extract(frames, limit=limit, **options)


def _is_passing(frame: Frame) -> bool:
    code = frame[0].f_code
    return is_ours(code) and code.co_name != "__init__"


def _warning_of_coroutines(stock: FunctionType) -> Any:
    """What Python calls for a coroutine that was never awaited.

    Its warning is for the place that is one frame out, so what words it is not what gives it."""

    @looks_like(stock)
    def _warn_unawaited_coroutine(coro: Any) -> None:
        given: dict[str, Any] = {}

        def warn(message: str, **how: Any) -> None:
            given.update(how, message=message)

        word = FunctionType(stock.__code__, {**stock.__globals__, "warn": warn})
        try:
            word(_Coroutine(coro))
            warnings.warn(**{**given, "source": coro})
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            del coro

    return _warn_unawaited_coroutine


class _Coroutine:
    """A coroutine, as it is shown that was never awaited."""

    def __init__(self, coro: Any) -> None:
        self.__qualname__ = coro.__qualname__
        places = coro.cr_origin
        self.cr_origin = places and tuple(at for at in places if not is_file_of_ours(at[0]))
