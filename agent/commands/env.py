"""`whence env`: the settings, where each comes from, and the lines that attach by environment."""

import os

from whence.sitecustomize import FOLDER

from ..settings import environment
from ..settings.config import disabled_by, resolve
from ..settings.options import TABLE
from ..settings.project import find_project_settings
from .run import travelling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..settings.config import Layer

_NAMED_LATER = "(the command's name)"


def describe(options: "Layer") -> str:
    """Text for a shell: the settings as comments, then one assignment a line.

    Raises SettingError.
    """
    environ = dict(os.environ)
    environ[environment.COMMAND] = _NAMED_LATER
    settings = resolve(options, environ=environ, project=find_project_settings())
    rows = [(row.name, settings.text(row.name) or "-", settings.origin(row.name)) for row in TABLE]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    comment = "rem" if os.name == "nt" else "#"
    lines = [
        f"{comment} {name:<{widths[0]}}  {text:<{widths[1]}}  {origin}".rstrip()
        for name, text, origin in rows
    ]
    switched_off = disabled_by(environ)
    if switched_off:
        lines.append(f"{comment} {switched_off} is set: the agent stays off")
    variables = {environment.ATTACH: "1", **travelling(settings)}
    path = {environment.PYTHONPATH: os.environ.get(environment.PYTHONPATH, "")}
    environment.add_folder(path, FOLDER)
    lines += [_assignment(name, text) for name, text in (variables | path).items()]
    return "\n".join(lines) + "\n"


def _assignment(name: str, text: str) -> str:
    if os.name == "nt":
        return f"set {name}={text}"
    from shlex import quote

    return f"export {name}={quote(text)}"
