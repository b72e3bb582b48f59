"""Where in the program's own code a resource was created: "somebody's checkout.py, line 41".

A site is kept as a code object and an instruction offset, two reads on the hot path; the line is
worked out when somebody looks.
"""

import os
import sys
from os.path import dirname, join, sep
from types import CodeType, FrameType
from typing import TYPE_CHECKING, NamedTuple

from . import twin

if TYPE_CHECKING:
    from traceback import FrameSummary

MAX_FILES = 10_000
"""A program that compiles file names without end must not make the table grow without end."""

_here = dirname(dirname(__file__)) + sep
_examples = _here + "examples" + sep
"""In an installed whence."""
_standard_library = dirname(os.__file__)

_plumbing = tuple(
    join(_standard_library, part)
    for part in (
        "asyncio" + sep,
        "concurrent" + sep,
        "contextlib.py",
        "contextvars.py",
        "functools.py",
        "multiprocessing" + sep,
        "selectors.py",
        "threading.py",
    )
)
"""What stands between the program and a resource; never what the program calls its own code."""

PROGRAM = "program"
PLUMBING = "plumbing"

known: dict[str, str] = {}
"""File name -> whose code it is."""
_ours: tuple[str, ...] = (_here,)
"""The folders of whence's own code."""


_RUNS_A_CALLBACK = frozenset({"_run", "_run_once", "run_forever"})
"""Functions of the plumbing beyond which is what started the loop, not what created something."""


class Site(NamedTuple):
    """A place in the program's code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def skip_folder(folder: str) -> None:
    """Let no site be in this folder: it is part of whence."""
    global _ours
    _ours = (*_ours, folder.rstrip(sep) + sep)
    _ask_anew()


def add_plumbing(folder: str) -> None:
    """Let no site be in this folder: it is an event loop's."""
    global _plumbing
    folder = folder.rstrip(sep) + sep
    if folder not in _plumbing:
        _plumbing = (*_plumbing, folder)
        _ask_anew()


def _ask_anew() -> None:
    known.clear()
    forget_files()


def forget_files() -> None:
    """In C whose a file is, is remembered once more; here nowhere else."""


def is_ours(code: CodeType) -> bool:
    """Whether this is code of whence, its examples apart, which are programs like any other."""
    return is_file_of_ours(code.co_filename)


def is_file_of_ours(file: str) -> bool:
    """Whether the code in it is whence's; that of its examples is a program's."""
    return file.startswith(_ours) and not file.startswith(_examples)


def leave_traceback(error: BaseException) -> None:
    """Take whence's frames out of the outer end of a traceback, before it is raised again.

    The program's error shows the program's frames, and no frame of ours keeps its objects alive;
    but for the caller's, which is executing still: it has to `del` what it refers to."""
    traceback = error.__traceback__
    caller = sys._getframe(1)
    while traceback is not None and is_ours(traceback.tb_frame.f_code):
        if traceback.tb_frame is not caller:
            try:
                traceback.tb_frame.clear()
            except RuntimeError:
                """One that is executing: the error has been here before."""
        traceback = traceback.tb_next
    error.__traceback__ = traceback


def leave_out_ours(frames: "list[FrameSummary]") -> None:
    """Take whence's frames out of the place of creation that asyncio's debug mode has noted."""
    frames[:] = [frame for frame in frames if not is_file_of_ours(frame.filename)]


def whose(file: str) -> str:
    """PLUMBING if code in this file is whence's or the event loop's, else PROGRAM."""
    answer = known.get(file)
    if answer is None:
        if len(known) >= MAX_FILES:
            known.clear()
        plumbing = file.startswith(("<frozen", *_plumbing)) or is_file_of_ours(file)
        answer = known[file] = PLUMBING if plumbing else PROGRAM
    return answer


def outside(frame: FrameType | None) -> tuple[CodeType | None, int]:
    """The innermost place of the program's own code from this frame outwards; (None, 0) where only
    the loop is running: what started the loop did not create this."""
    while frame is not None:
        code = frame.f_code
        if whose(code.co_filename) is PROGRAM:
            return code, frame.f_lasti
        if code.co_name in _RUNS_A_CALLBACK:
            break
        frame = frame.f_back
    return None, 0


def code_of(function: object) -> CodeType | None:
    """The code of a function or method; None of an object of the program's that has none, or its
    own ideas of attributes."""
    try:
        code = getattr(getattr(function, "__func__", function), "__code__", None)
    except Exception:
        return None
    return code if type(code) is CodeType else None


def site(code: CodeType | None, lasti: int) -> Site | None:
    """The site as a person reads it."""
    if code is None:
        return None
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= lasti < end and number is not None:
            line = number
    return Site(code.co_filename, line, code.co_qualname)


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import forget_files

    twin.tell(whose=whose)
