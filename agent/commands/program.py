"""The name of a program, from the words that start it.  Start-up path: imports nothing heavy."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT_SUFFIXES = (".py", ".pyz")
_NAMELESS = "python"


def command_name(words: "Sequence[str]") -> str:
    """What a person would call the program that `python *words` runs.

    `app.py` is app, `-m package.module` is package.module, `/bin/uvicorn` is uvicorn, a folder or
    its `__main__.py` is the folder's name; code by `-c` or from stdin has no name, and is python.
    """
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "-":
            return _NAMELESS
        if not word.startswith("-"):
            return _script_name(word)
        if word.startswith("--"):
            if word == "--check-hash-based-pycs":
                rest = rest[1:]
            continue
        # A cluster such as -Im: the first letter that takes a value takes all that follows.
        for at, letter in enumerate(word[1:], 2):
            if letter in "cmXW":
                value = word[at:] or (rest.pop(0) if rest else "")
                if letter == "m" and value:
                    return value
                if letter == "c":
                    return _NAMELESS
                break
    return _NAMELESS


def _script_name(path: str) -> str:
    name = os.path.basename(path.rstrip(os.sep))
    if name in ("__main__.py", "", ".", ".."):
        name = _folder_name(path if name != "__main__.py" else os.path.dirname(path))
    stem, suffix = os.path.splitext(name)
    return (stem if suffix.lower() in (*SCRIPT_SUFFIXES, ".exe") else name) or _NAMELESS


def _folder_name(path: str) -> str:
    try:
        return os.path.basename(os.path.abspath(path))
    except OSError:  # the current directory is gone
        return ""
