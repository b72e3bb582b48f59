"""`whence run`: become the program, with the agent attached.

On POSIX by exec, so that pid, signals and exit code are the program's own; elsewhere by a child
whose exit code is passed on.
"""

import os
import sys

from whence.sitecustomize import FOLDER

from ..report import warn
from ..settings import environment
from ..settings.config import DEFAULT, SettingError, Settings, resolve
from ..settings.options import TABLE
from ..settings.project import find_project_settings
from .program import SCRIPT_SUFFIXES, command_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from ..settings.config import Layer

NOT_FOUND = 127
NOT_EXECUTABLE = 126


class CannotRun(Exception):
    """The program cannot be started: why, and the exit code that a shell would give."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def run(options: "Layer", words: "Sequence[str]") -> int:
    """Become the program of the words; returns only where a process cannot become another.

    Raises SettingError for a wrong option or pyproject.toml, CannotRun if there is no such program.
    """
    environ = dict(os.environ)
    environ[environment.COMMAND] = _name(words)
    project = find_project_settings()
    try:
        settings = resolve(options, environ=environ, project=project)
    except SettingError as error:
        if error.variable is None:
            raise
        # Nobody typed it now: it may stand in the image of a service that has to start.
        warn(f"{error}; the program runs without the agent")
        settings = None
    file, argv = find_program(words)
    if settings is None:
        environ = dict(os.environ)
        environ.pop(environment.ATTACH, None)
    else:
        if settings.dashboard:
            from .pointing import point_at_dashboard

            settings = point_at_dashboard(settings, options, environ, project)
        _prepare(environ, settings)
    return _become(file, argv, environ)


def find_program(words: "Sequence[str]") -> tuple[str, list[str]]:
    """The file to execute and its argv.

    `-m` and an existing .py or .pyz file or folder run on this Python; anything else is a command.
    """
    word = words[0]
    if word.startswith("-m"):
        if len(words) == 1 and word == "-m":
            raise CannotRun("-m: expected a module after it", 2)
        return sys.executable, [sys.executable, *words]
    if word.endswith(SCRIPT_SUFFIXES) and os.path.isfile(word):
        if not os.access(word, os.R_OK):
            raise CannotRun(f"{word}: cannot be read (permission denied)", NOT_EXECUTABLE)
        return sys.executable, [sys.executable, *words]
    command = _find_command(word)
    if command is not None:
        return command, list(words)
    if os.path.isfile(os.path.join(word, "__main__.py")):
        return sys.executable, [sys.executable, *words]
    raise _why_not(word)


def _find_command(word: str) -> str | None:
    if os.name == "nt":
        from shutil import which

        return which(word)
    return next((path for path in _candidates(word) if _is_executable(path)), None)


def _candidates(word: str) -> list[str]:
    if os.path.dirname(word):
        return [word]
    return [os.path.join(folder, word) for folder in os.get_exec_path()]


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _why_not(word: str) -> CannotRun:
    if os.path.isdir(word):
        return CannotRun(f"{word}: expected a folder with a __main__.py", NOT_EXECUTABLE)
    if any(os.path.isfile(path) for path in _candidates(word)):
        return CannotRun(f"{word}: not executable (permission denied)", NOT_EXECUTABLE)
    if os.path.isfile(word):
        return CannotRun(f"{word}: no such command on PATH (the file here is ./{word})", NOT_FOUND)
    if os.path.dirname(word) or word.endswith(SCRIPT_SUFFIXES):
        return CannotRun(f"{word}: no such file", NOT_FOUND)
    return CannotRun(f"{word}: no such command on PATH, and no such file", NOT_FOUND)


def _name(words: "Sequence[str]") -> str:
    """The name of the program, also of the one in `python app.py`."""
    program = os.path.basename(words[0]).lower()
    if program.startswith(("python", "pypy")) and not program.endswith(SCRIPT_SUFFIXES):
        return command_name(words[1:])
    return command_name(words)


def _prepare(environ: "MutableMapping[str, str]", settings: Settings) -> None:
    """The variables by which the program and its children attach.

    Options travel as WHENCE_* and never as OTEL_*, which would redirect the program's own SDK.
    """
    environ[environment.ATTACH] = "1"
    environ[environment.RUN_PID] = str(os.getpid())
    environment.add_folder(environ, FOLDER)
    environ.update(travelling(settings))


def travelling(settings: Settings) -> "Mapping[str, str]":
    """The WHENCE_* variables that carry what the environment does not say itself."""
    return {
        row.variable: settings.text(row.name)
        for row in TABLE
        if settings.origin(row.name) not in (DEFAULT, row.variable, *row.otel)
    }


def _become(file: str, argv: list[str], environ: "Mapping[str, str]") -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":
        return _run_as_child(file, argv, environ)
    _restore_signals()
    try:
        os.execve(file, argv, environ)
    except FileNotFoundError:
        # The file is there: its interpreter is not.
        raise CannotRun(f"{file}: its #! line names no existing program", NOT_FOUND) from None
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}", NOT_EXECUTABLE) from None


def _restore_signals() -> None:
    """Undo what this Python did to signals: what is ignored stays ignored over exec."""
    import signal

    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def _run_as_child(file: str, argv: list[str], environ: "Mapping[str, str]") -> int:
    import subprocess

    child = subprocess.Popen(argv, executable=file, env=environ)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            # The console gave the interrupt to the child as well, which decides what it means.
            continue
