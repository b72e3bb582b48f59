"""Where a thread is, looked at from another one: its stack as text, and the line to blame.

No frame is kept, nor any value: a frame that is held here while its function returns would have
the program's objects end in our thread.  So `look` comes right after a wait, when Python leaves
this thread running for a while, and does little.
"""

import os
import sys
from os.path import basename, dirname
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple

from . import twin
from .execution import ThreadState, threads
from .sites import PLUMBING, PROGRAM, Site, is_ours, whose

MAX_DEPTH = 2000
"""Frames that are looked at, from the innermost outwards."""
MAX_INNER, MAX_OUTER = 48, 16
"""Frames that are told, of those next to the line to blame and of those that led there."""

_DEBUGGERS = frozenset({"bdb.py", "pydevd.py"})
"""Files of which a frame on the stack says that a person has stopped the program to look at it."""

_standard_library = dirname(os.__file__)
_INSTALLED = ("site-packages", "dist-packages")


class Stack(NamedTuple):
    """The frames of one callback, innermost first: code and line."""

    frames: list[tuple[CodeType, int]]

    @property
    def in_debugger(self) -> bool:
        """Whether a debugger has stopped it there."""
        return any(basename(code.co_filename) in _DEBUGGERS for code, _ in self.frames)

    @property
    def site(self) -> Site | None:
        """The innermost place in the program's own files; of what is installed if there is none,
        or else of anything."""
        for is_wanted in (_is_own, _is_installed, _is_any):
            for code, line in self.frames:
                if is_wanted(code.co_filename):
                    return Site(code.co_filename, line, code.co_qualname)
        return None

    def __str__(self) -> str:
        """As Python prints it, the innermost last."""
        lines = [
            f'  File "{code.co_filename}", line {line}, in {code.co_qualname}'
            for code, line in self.frames
        ]
        if len(lines) > MAX_INNER + MAX_OUTER:
            left_out = len(lines) - MAX_INNER - MAX_OUTER
            lines[MAX_INNER:-MAX_OUTER] = [f"  [{left_out} frames left out]"]
        return "\n".join(reversed(lines))


class Sample(NamedTuple):
    """A stack that the watchdog took."""

    step: int
    """When the step began that was running, by `ThreadState.entered`."""
    at: int
    """When it was taken.  Nanoseconds of the engine's clock, both."""
    stack: Stack


class Blamed(NamedTuple):
    """A part of the step that is running, and how much of it was blamed: in nanoseconds."""

    began: int
    ended: int
    time: int


def look(thread_id: int) -> Stack | None:
    """The stack of what a thread's loop has called, empty if it is not inside a callback; None if
    there is no such thread."""
    frames: list[tuple[CodeType, int]] = []
    callback = 0
    state = threads.get(thread_id)
    within = 0 if state is None else frames_within(state)
    frame = sys._current_frames().get(thread_id)
    if frame is None:
        return None
    for number in range(MAX_DEPTH):
        if frame is None:
            break
        if within and number == within:
            callback = len(frames)
            break
        code = frame.f_code
        if not is_ours(code):
            frames.append((code, frame.f_lineno))
        elif code.co_name == "_run":
            # Within it is what the loop has called; beyond, how the loop itself was.
            callback = len(frames)
        frame = frame.f_back
    else:
        callback = len(frames)
    del frame
    del frames[callback:]
    while len(frames) > 1 and whose(frames[-1][0].co_filename) is PLUMBING:
        # How asyncio itself calls its callbacks.
        frames.pop()
    return Stack(frames)


def frames_within(state: ThreadState) -> int:
    """How many frames the thread has within the callback that its loop has called; 0 if that has a
    frame of ours, by which it is told."""
    return 0


def _is_own(file: str) -> bool:
    return _is_installed(file) and not any(part in file for part in _INSTALLED)


def _is_installed(file: str) -> bool:
    library = file.startswith(("<frozen", _standard_library))
    return whose(file) is PROGRAM and (not library or any(part in file for part in _INSTALLED))


def _is_any(file: str) -> bool:
    return True


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import frames_within
