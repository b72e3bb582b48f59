"""The settings that a project keeps in its pyproject.toml, under [tool.whence]."""

import os

from .config import SettingError, project_layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .config import Layer


def find_project_settings(folder: str | None = None) -> "Layer | None":
    """[tool.whence] of the nearest pyproject.toml that has one, from the folder upwards.

    The default folder is the current one.  Raises SettingError if that file is no TOML or the table
    holds something else than settings.
    """
    if folder is None:
        try:
            folder = os.getcwd()
        except OSError:  # it is gone
            return None
    while True:
        path = os.path.join(folder, "pyproject.toml")
        table = _read(path)
        if table is not None:
            return project_layer(table, path)
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _read(path: str) -> dict[str, object] | None:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return None
    # Parsing takes longer than all else that `whence run` does, and most projects do not name us.
    if b"whence" not in content:
        return None
    import tomllib

    try:
        tool = tomllib.loads(content.decode()).get("tool", {})
    except ValueError as error:
        raise SettingError(f"{path}: expected TOML: {error}") from None
    table = tool.get("whence") if isinstance(tool, dict) else None
    if table is None or isinstance(table, dict):
        return table
    raise SettingError(f"whence in [tool] of {path}: expected a table of settings, not {table!r}")
