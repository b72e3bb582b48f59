"""Which of the two engines this process runs: plain Python, or its twin in C.

It is settled here, once, for the life of the process.  A module that has a twin ends by taking the
twin's names in place of its own; so every other module gets what runs under the names that it
always imports, and whatever is cold is there once, in Python, for both.

`tell` and `use` give the twin what of Python's it calls and looks at.
"""

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

_DEFAULT = "python"


def _load() -> ModuleType | None:
    if os.environ.get("WHENCE_ENGINE", _DEFAULT) != "c":
        return None
    from .. import _engine  # type: ignore[attr-defined]

    return _engine  # type: ignore[no-any-return]


_twin: Any = _load()

IN_C = _twin is not None


def tell(**functions: Callable[..., object]) -> None:
    """Name functions that C calls where something rare happens."""
    if IN_C:
        _twin.tell(**functions)


def use(**singletons: object) -> None:
    """Name objects that C looks at for every event."""
    if IN_C:
        _twin.use(**singletons)
