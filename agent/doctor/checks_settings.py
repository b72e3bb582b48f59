"""The settings as a program would get them: each one, where it comes from, and what is wrong."""

import re

from ..settings.config import DEFAULT, SettingError, disabled_by, resolve
from ..settings.environment import ATTACH, COMMAND, FIRST_PID, PREFIX, RUN_PID
from ..settings.options import TABLE
from ..settings.project import find_project_settings
from .findings import ERROR, WARNING, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..settings.config import Layer, Settings

_KNOWN = {row.variable for row in TABLE} | {
    ATTACH,
    COMMAND,
    FIRST_PID,
    RUN_PID,
    "WHENCE_DISABLED",
    "WHENCE_ENGINE",
    "WHENCE_HANDLES",
}
_USER_INFO = re.compile("//[^/@]*@")
"""Of a URL: a report is shown to others, and that may be a password."""
_NAMED_LATER = "(the command's name)"


class Read:
    """The settings with what is wrong left out, and what that was."""

    __slots__ = ("settings", "wrong", "wrong_variables")

    def __init__(self, settings: "Settings", wrong: list[str], wrong_variables: list[str]) -> None:
        self.settings = settings
        self.wrong = wrong
        self.wrong_variables = wrong_variables


def read_settings(options: "Layer", environ: "Mapping[str, str]") -> Read:
    """All that is wrong at once, not one after the other.  Raises SettingError for an option."""
    left = {**environ, COMMAND: _NAMED_LATER}
    wrong: list[str] = []
    wrong_variables: list[str] = []
    project: Layer | None = None
    try:
        project = find_project_settings()
    except SettingError as error:
        wrong.append(str(error))
    while True:
        try:
            settings = resolve(options, environ=left, project=project)
            return Read(settings, wrong, wrong_variables)
        except SettingError as error:
            if error.variable in left:
                wrong_variables.append(error.variable)
                del left[error.variable]
            elif project:
                project = None
            else:
                raise
            wrong.append(str(error))


def settings_as_json(settings: "Settings") -> list[dict[str, object]]:
    """Every setting."""
    return [
        {
            "name": row.name,
            "value": _USER_INFO.sub("//", settings.text(row.name)),
            "origin": settings.origin(row.name),
            "is_default": settings.origin(row.name) == DEFAULT,
        }
        for row in TABLE
    ]


def check_settings(read: Read, environ: "Mapping[str, str]") -> "Iterator[Finding]":
    """What is wrong, misspelt, or switches all off."""
    for text in read.wrong:
        yield Finding(ERROR, text, "programs run without the agent", "correct or unset it")
    switch = disabled_by(environ)
    if switch is not None:
        yield Finding(ERROR, f"{switch} is set", "no program attaches", f"unset {switch}")
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in _KNOWN:
            yield Finding(WARNING, f"{name} is no setting", "it does nothing", _near(name))


def _near(name: str) -> str:
    from difflib import get_close_matches

    # The prefix alone makes any two names rather alike.
    near = get_close_matches(name, _KNOWN, n=1, cutoff=0.8)
    return f"did you mean {near[0]}?" if near else "`whence run --help` lists them"
