"""Which Python runs a program: what `whence doctor` examines."""

import os
import sys

from ..commands.program import SCRIPT_SUFFIXES
from ..commands.run import CannotRun, find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PYTHONS = ("python", "pypy")
_LONGEST_FIRST_LINES = 1024


def find_interpreter(words: "Sequence[str]") -> list[str]:
    """The words that start the Python of a program, its own options included.

    The program may be a Python, the folder of a virtual environment, a script, `-m module` or an
    installed command, whose first line names its Python; nothing is this one.  Raises CannotRun.
    """
    if not words:
        return [sys.executable]
    python = _of_environment(words[0])
    if python is not None:
        return [python, *_options(words[1:])]
    file, argv = find_program(words)
    if file == sys.executable and argv[1:] == list(words):
        return [file]
    if _is_python(words[0]):
        # Not the file behind a link: a virtual environment is known by the path of its link.
        return [file, *_options(words[1:])]
    interpreter = _named_in(file)
    if interpreter is None:
        raise CannotRun(
            f"{words[0]}: expected a Python, a virtual environment, or a program that names its "
            "Python on the first line",
            2,
        )
    return interpreter


def _of_environment(folder: str) -> str | None:
    """The Python of a virtual environment."""
    if not os.path.isfile(os.path.join(folder, "pyvenv.cfg")):
        return None
    for place in (("bin", "python"), ("Scripts", "python.exe")):
        python = os.path.join(folder, *place)
        if os.path.isfile(python):
            return python
    return None


def _is_python(word: str) -> bool:
    name = os.path.basename(word).lower()
    return name.startswith(_PYTHONS) and not name.endswith(SCRIPT_SUFFIXES)


def _options(words: "Sequence[str]") -> list[str]:
    """Python's own: up to its script, -c or -m."""
    rest, options = list(words), []
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        options.append(word)
        if word.startswith("--"):
            takes_value = word == "--check-hash-based-pycs"
        else:
            # A cluster such as -Im: the first letter that takes a value takes all that follows.
            at = next((at for at, letter in enumerate(word) if letter in "cmXW"), None)
            if at is not None and word[at] in "cm":
                options[-1:] = [word[:at]] if at > 1 else []
                break
            takes_value = at == len(word) - 1
        if takes_value and rest:
            options.append(rest.pop(0))
    return options


def _named_in(file: str) -> list[str] | None:
    """By the first line of a script, or the second: pip writes two where a path is long."""
    try:
        with open(file, "rb") as script:
            first, second = (script.readline(_LONGEST_FIRST_LINES).strip() for _ in range(2))
    except OSError:
        return None
    if not first.startswith(b"#!"):
        return None
    words = os.fsdecode(first[2:]).split()
    if second.startswith(b"'''exec'"):
        from shlex import split

        words = split(os.fsdecode(second))[1:2]
    if words and os.path.basename(words[0]) == "env":
        del words[0]
        while words and (words[0].startswith("-") or "=" in words[0]):
            del words[0]
    if not words or not _is_python(words[0]):
        return None
    return [find_program(words[:1])[0], *_options(words[1:])]
