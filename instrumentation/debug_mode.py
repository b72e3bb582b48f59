"""asyncio's debug mode: the places of creation that it notes are without our frames.

It keeps the innermost frames only: each of ours would take the place of one of the program's.
"""

import traceback
from asyncio import format_helpers
from collections.abc import Iterable
from itertools import chain, islice
from types import FrameType
from typing import Any

from .patching import Patches, is_ours

Frame = tuple[FrameType, int]


def install(patches: Patches) -> None:
    """Have asyncio take the program's frames only."""
    patches.replace(format_helpers, "traceback", _Traceback())


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
