"""Where the value of each setting comes from.

    option > WHENCE_* > OTEL_* > [tool.whence] in pyproject.toml > default

Rules:
- Every source gives text, so a value is read in one way wherever it came from.
- Only the winning source is read: an option replaces a wrong variable.
- An empty variable counts as not set, as in OpenTelemetry.

Start-up path of every attached process: imports nothing heavy.
"""

import os
import sys

from ..commands.program import command_name
from .environment import COMMAND
from .options import BY_NAME, TABLE, Setting
from .values import Unreadable, read_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn, TypeAlias

    Layer: TypeAlias = "Mapping[str, tuple[str, str]]"
    """One source: setting -> (what the user called it there, its text)."""

DEFAULT = "default"
"""The origin of a setting that nobody gave."""

DEFAULT_OUTPUT = "whence-%p.jsonl"
"""Where `file` writes if nobody says."""


class SettingError(ValueError):
    """A wrong value.

    The text is one line: the setting as the user gave it, what was expected and what came.
    `variable` is set if it came from the environment.
    """

    def __init__(self, text: str, variable: str | None = None) -> None:
        super().__init__(text)
        self.variable = variable


class Settings:
    """The value of every setting.  Read-only; options.py has units and defaults."""

    __slots__ = (*BY_NAME, "_origins")

    service: str
    endpoint: str | None
    """None: as the OTEL_* variables say."""
    protocol: str | None
    """None: as the OTEL_* variables say."""
    export: tuple[str, ...]
    output: str | None
    """An absolute path; `%p` stands for the pid.  None unless `file` is in `export`."""
    types: frozenset[str] | None
    """None: the types that become spans by default."""
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    disable: tuple[str, ...]
    sample: float | None
    """None: as OTEL_TRACES_SAMPLER says."""
    min_duration: float
    """Milliseconds."""
    max_spans: int
    max_rate: int
    """Spans a second; 0 is any number."""
    segment: float
    """Seconds."""
    stacks: int
    """Frames kept of a creation site; 0 is off, 1 is the site alone."""
    slow: float
    """Milliseconds."""
    metrics_port: int | None
    dashboard: bool | str
    """The address of its page, where `whence run` has found one."""
    on_exit: str
    on_signal: str
    no_messages: bool
    no_live: bool
    no_child: bool
    quiet: bool
    verbose: bool

    _origins: "Mapping[str, tuple[str, str]]"

    def __init__(
        self, values: "Mapping[str, object]", origins: "Mapping[str, tuple[str, str]]"
    ) -> None:
        for name in BY_NAME:
            object.__setattr__(self, name, values[name])
        object.__setattr__(self, "_origins", origins)

    def __setattr__(self, name: str, value: object) -> "NoReturn":
        raise AttributeError(f"settings are read-only, {name} cannot be set")

    def __delattr__(self, name: str) -> "NoReturn":
        raise AttributeError(f"settings are read-only, {name} cannot be deleted")

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._origins)
        return f"Settings({given})"

    def origin(self, name: str) -> str:
        """What the user called the setting where its value came from, or "default"."""
        return self._origins[name][0] if name in self._origins else DEFAULT

    def text(self, name: str) -> str:
        """The value as text that reads back as the same value; what OTEL_* says where it decides;
        empty if there is none."""
        value = getattr(self, name)
        if value is None and name in self._origins:
            return self._origins[name][1]
        return _text(value)

    def output_path(self) -> str | None:
        """`output` for this process: `%p` replaced by its pid."""
        return self.output and self.output.replace("%p", str(os.getpid()))


def resolve(
    *layers: "Layer", environ: "Mapping[str, str]", project: "Layer | None" = None
) -> Settings:
    """The settings out of `layers` (the first wins), then the environment, then `project`.

    Raises SettingError.
    """
    sources = (*layers, _own_variables(environ), _otel_variables(environ), project or {})
    values: dict[str, object] = {}
    origins: dict[str, tuple[str, str]] = {}
    for row in TABLE:
        found = next((source[row.name] for source in sources if row.name in source), None)
        if found is None:
            values[row.name] = row.default
        else:
            origins[row.name] = found
            values[row.name] = _read(row, *found)
    _complete(values, origins, environ)
    return Settings(values, origins)


def keyword_layer(config: "Mapping[str, object]") -> "Layer":
    """The keyword arguments of attach().  None counts as not given."""
    for name in config:
        if name not in BY_NAME:
            raise SettingError(f"{name}: expected a setting out of {', '.join(BY_NAME)}")
    return {name: (name, _text(value)) for name, value in config.items() if value is not None}


def project_layer(table: "Mapping[str, object]", path: str) -> "Layer":
    """What [tool.whence] of the pyproject.toml at `path` says."""
    where = f"in [tool.whence] of {path}"
    layer = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in BY_NAME:
            raise SettingError(f"{key} {where}: expected a setting out of {', '.join(BY_NAME)}")
        layer[name] = (f"{key} {where}", _text(value))
    return layer


def disabled_by(environ: "Mapping[str, str]") -> str | None:
    """The variable that switches the agent off in this environment, whatever else it says."""
    if is_on(environ.get("WHENCE_DISABLED")):
        return "WHENCE_DISABLED"
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "OTEL_SDK_DISABLED"
    return None


def is_on(text: str | None) -> bool:
    """Whether a switch such as WHENCE_ATTACH is on: set, and neither empty nor a word for no."""
    return (text or "").strip().lower() not in ("", "0", "false", "no", "off")


def _own_variables(environ: "Mapping[str, str]") -> "Layer":
    return {
        row.name: (row.variable, environ[row.variable])
        for row in TABLE
        if environ.get(row.variable)
    }


def _otel_variables(environ: "Mapping[str, str]") -> "Layer":
    layer = {}
    for row in TABLE:
        for variable in row.otel:
            text = environ.get(variable, "").strip()
            if variable == "OTEL_RESOURCE_ATTRIBUTES":
                text = _service_name(text)
            if text:
                layer[row.name] = (variable, text)
                break
    return layer


def _service_name(attributes: str) -> str:
    for attribute in attributes.split(","):
        key, _, value = attribute.partition("=")
        if key.strip() == "service.name":
            if "%" in value:
                from urllib.parse import unquote

                value = unquote(value)
            return value.strip()
    return ""


def _read(row: Setting, label: str, text: str) -> object:
    if row.left_to_otel and label in row.otel:
        return None
    try:
        return row.read(text)
    except Unreadable as error:
        variable = label if label == row.variable or label in row.otel else None
        raise SettingError(f"{label}: {error}", variable) from None


def _complete(
    values: "dict[str, object]",
    origins: "Mapping[str, tuple[str, str]]",
    environ: "Mapping[str, str]",
) -> None:
    """The defaults that depend on other settings."""
    if values["service"] is None:
        values["service"] = environ.get(COMMAND) or command_name(sys.orig_argv[1:])
    if "endpoint" not in origins:
        over_grpc = "grpc" in (values["protocol"], origins.get("protocol", ("", ""))[1])
        values["endpoint"] = f"http://localhost:{4317 if over_grpc else 4318}"
    values["export"], values["output"] = _exports_and_file(values, origins)
    _check_globs(values, origins)


def _exports_and_file(
    values: "Mapping[str, object]", origins: "Mapping[str, tuple[str, str]]"
) -> tuple[object, object]:
    exports, output = values["export"], values["output"]
    assert isinstance(exports, tuple)
    if output is None:
        return exports, read_path(DEFAULT_OUTPUT) if "file" in exports else None
    if "export" not in origins:
        return ("file",), output
    if "none" in exports:
        label, text = origins["output"]
        raise SettingError(
            f"{label}: expected an export to write to {text!r}, but {origins['export'][0]} is none",
            label if label == BY_NAME["output"].variable else None,
        )
    return tuple(dict.fromkeys((*exports, "file"))), output


def _check_globs(values: "Mapping[str, object]", origins: "Mapping[str, tuple[str, str]]") -> None:
    """The module that creates something is known by its site."""
    if values["stacks"] == 0:
        for name in ("include", "exclude"):
            label, text = origins.get(name, ("", ""))
            if "module:" in text:
                raise SettingError(
                    f"{label}: expected creation sites to match {text!r} with, "
                    f"but {origins['stacks'][0]} is off",
                    label if label == BY_NAME[name].variable else None,
                )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, (set, frozenset)):
        return ",".join(sorted(map(str, value)))
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)
