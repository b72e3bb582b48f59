"""Which of the two engines this process runs: plain Python, or its twin in C.

It is settled here, once, for the life of the process: what WHENCE_ENGINE says, and Python wherever
the twin cannot be loaded or, as `choosing.py` finds, does not do what it was built for.  A module
that has a twin ends by taking the twin's names in place of its own; so every other module gets what
runs under the names that it always imports, and whatever is cold is there once, in Python, for
both.

`tell` and `use` give the twin what of Python's it calls and looks at.
"""

import os
import sys
from _imp import extension_suffixes
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

VARIABLE = "WHENCE_ENGINE"
PYTHON, C = "python", "c"
DEFAULT = C

asked_for = os.environ.get(VARIABLE, "").strip()
wanted = asked_for if asked_for in (PYTHON, C) else DEFAULT

why_not = ""
"""Why the twin does not run though it was wanted, on one line."""

slower: dict[str, str] = {}
"""What of the twin is not used though it runs -> why, on one line."""


def _load() -> ModuleType | None:
    """The twin, if it is wanted and can be had."""
    global why_not
    if wanted == PYTHON:
        return None
    name = f"{__package__.rpartition('.')[0]}._engine"
    try:
        if any(map(_is_cut_off, _files())):
            why_not = "its file is cut off: it was not installed to the end"
            return None
        return import_module(name)
    except ModuleNotFoundError as error:
        why_not = _not_built() if error.name == name else on_one_line(error)
    except Exception as error:
        why_not = on_one_line(error)
    return None


def on_one_line(error: Exception) -> str:
    """What went wrong."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _files() -> list[str]:
    """Where this Python would find it; whoever has frozen the program may have it elsewhere."""
    folder = os.path.dirname(os.path.dirname(__file__))
    paths = [os.path.join(folder, f"_engine{suffix}") for suffix in extension_suffixes()]
    return [path for path in paths if os.path.isfile(path)]


def _is_cut_off(path: str) -> bool:
    """Whether it is an ELF file that lacks its end, which the system loads all the same: it would
    end the process where it is missed.  Last in a file is the table of its sections."""
    with open(path, "rb") as file:
        head = file.read(64)
    if head[:4] != b"\x7fELF" or len(head) < 64:
        return head[:4] == b"\x7fELF"
    order: Any = "little" if head[5] == 1 else "big"
    place, width, sizes = (0x28, 8, 0x3A) if head[4] == 2 else (0x20, 4, 0x2E)
    table = int.from_bytes(head[place : place + width], order)
    size, number = (int.from_bytes(head[at : at + 2], order) for at in (sizes, sizes + 2))
    return os.path.getsize(path) < table + size * number


def _not_built() -> str:
    if "t" in getattr(sys, "abiflags", ""):
        return "it is written for the GIL, and this Python is free-threaded"
    folder = os.path.dirname(os.path.dirname(__file__))
    try:
        builds = [name for name in sorted(os.listdir(folder)) if _is_build(name)]
    except OSError:
        builds = []
    if builds:
        return f"it is built for other Pythons: {', '.join(builds)}"
    return "it was not built when whence was installed: that takes a C compiler"


def _is_build(name: str) -> bool:
    return name.startswith("_engine.") and name.endswith((".so", ".pyd"))


_twin: Any = _load()

IN_C = _twin is not None


def give_up(why: str) -> None:
    """Run the engine in Python after all; for `choosing.py`, which has it imported anew."""
    global IN_C, why_not
    IN_C, why_not = False, why


def complaint() -> str:
    """What to say to somebody who asked for an engine and gets another, on one line; or nothing."""
    if asked_for not in ("", PYTHON, C):
        return f"{VARIABLE}: expected {PYTHON} or {C}, not {asked_for!r}; the default is used"
    if asked_for == C and not IN_C:
        return f"{VARIABLE}: the engine in C does not run ({why_not}); the one in Python does"
    return ""


def return_async_ids(first: int, last: int) -> None:
    """Have the twin give these once more, unless it has given another since: those of a self-test
    are nobody's."""
    _twin.return_async_ids(first, last)


def tell(**functions: Callable[..., object]) -> None:
    """Name functions that C calls where something rare happens."""
    if IN_C:
        _twin.tell(**functions)


def use(**singletons: object) -> None:
    """Name objects that C looks at for every event."""
    if IN_C:
        _twin.use(**singletons)
