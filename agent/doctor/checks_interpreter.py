"""Whether whence runs on this Python."""

from .findings import ERROR, WARNING, Finding
from .versions import PYTHON, read_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def check_interpreter(python: "dict[str, Any]") -> "Iterator[Finding]":
    """Its version, who made it, and how it is built."""
    first, beyond = PYTHON
    version = read_version(python["version"])
    tested = f"{_text(first)} to {_text((beyond[0], beyond[1] - 1))}"
    name = f"this is Python {python['version']}"
    if version < first:
        yield Finding(ERROR, name, f"whence needs {_text(first)} or later", f"use {tested}")
    elif version >= beyond:
        yield Finding(WARNING, name, f"whence is tested with {tested}", "try it before you deploy")
    if python["implementation"] != "CPython":
        yield Finding(
            WARNING,
            f"this Python is {python['implementation']}",
            "whence is tested with CPython",
            "try it before you deploy",
        )
    if python["free_threaded"]:
        yield Finding(
            WARNING,
            "this Python is free-threaded",
            "whence is tested with the GIL",
            "use the usual build",
        )
    if python["main_interpreter"] is False:
        yield Finding(
            WARNING,
            "this is a subinterpreter",
            "whence is tested in main interpreters",
            "try it before you deploy",
        )


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
