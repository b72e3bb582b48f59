"""Start the examined Python as a program would find itself started, and have it answer."""

import json
import pkgutil
import subprocess

from whence.sitecustomize import FOLDER

from ..commands.run import travelling
from ..settings import environment
from .probe import EVERYTHING, MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from .checks_settings import Read

PATIENCE = 60.0
"""Seconds that a Python has to answer; it imports every library that is instrumented."""

_DISABLING = ("WHENCE_DISABLED", "OTEL_SDK_DISABLED")
_OF_THIS_PROCESS = (environment.RUN_PID, environment.FIRST_PID)


class NoAnswer(Exception):
    """It is no Python, or none that can start; the text says what happened instead."""


class Answer:
    """What a Python said: the facts of probe.py, and its lines on stderr."""

    __slots__ = ("facts", "said")

    def __init__(self, facts: "dict[str, Any]", said: list[str]) -> None:
        self.facts = facts
        self.said = said


def as_run(environ: "Mapping[str, str]", read: "Read") -> dict[str, str]:
    """The environment that `whence run` gives a program, without what keeps the agent off."""
    made = by_environment(environ, read.wrong_variables)
    environment.add_folder(made, FOLDER)
    made.update(travelling(read.settings))
    return made


def by_environment(environ: "Mapping[str, str]", leave_out: "Iterable[str]") -> dict[str, str]:
    """The environment as it is, with WHENCE_ATTACH alone."""
    unwanted = {*_OF_THIS_PROCESS, *_DISABLING, *leave_out}
    made = {name: text for name, text in environ.items() if name not in unwanted}
    made[environment.ATTACH] = "1"
    return made


def ask(python: "Sequence[str]", environ: "Mapping[str, str]", *, everything: bool) -> Answer:
    """Have it run the probe.  Raises NoAnswer."""
    probe = pkgutil.get_data(__package__, "probe.py")
    assert probe is not None, "the probe stands beside this file"
    words = [*python, "-c", probe.decode(), *([EVERYTHING] if everything else [])]
    try:
        ran = subprocess.run(
            words,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"no answer within {PATIENCE:g} s") from None
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from None
    said = [line for line in ran.stderr.splitlines() if line.strip()]
    for line in reversed(ran.stdout.splitlines()):
        if line.startswith(MARK):
            return Answer(json.loads(line.removeprefix(MARK)), said)
    raise NoAnswer(f"{said[-1] if said else 'no answer'}, exit code {ran.returncode}")
