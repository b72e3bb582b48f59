"""How the agent travels from process to process: its variables, and who may speak.

`whence run` sets them, the attached process reads them, its children inherit them.
Start-up path: imports nothing heavy.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

PREFIX = "WHENCE_"
ATTACH = "WHENCE_ATTACH"
RUN_PID = "WHENCE_RUN_PID"
"""The pid of the process that `whence run` became, the only one that prints."""
FIRST_PID = "WHENCE_FIRST_PID"
"""The pid of the first process that attached, if it was not `whence run` that began."""
COMMAND = "WHENCE_COMMAND"
"""The name of the command, the default service name of all the processes that it starts."""
STARTED = "WHENCE_STARTED"
"""The pid of the process that has said that it starts: what it becomes by exec does not again."""
PYTHONPATH = "PYTHONPATH"


def is_run_process(environ: "Mapping[str, str]") -> bool:
    """Whether this is the very process that `whence run` became (on Windows: its child)."""
    marker = environ.get(RUN_PID)
    if os.name == "nt":
        return marker == str(os.getppid())
    return marker == str(os.getpid())


def first_pid(environ: "MutableMapping[str, str]") -> int:
    """The pid of the first process that attached, and began the others: maybe this one."""
    if is_run_process(environ):
        return os.getpid()
    marker = environ.get(RUN_PID) or environ.setdefault(FIRST_PID, str(os.getpid()))
    return int(marker) if marker.isdecimal() else 0


def is_multiprocessing_helper(argv: "Sequence[str]") -> bool:
    """Whether this interpreter serves multiprocessing and never runs the user's code."""
    return _multiprocessing_module(argv) == "resource_tracker"


def is_forkserver(argv: "Sequence[str]") -> bool:
    """Whether this interpreter only forks the processes that run the user's code."""
    return _multiprocessing_module(argv) == "forkserver"


def _multiprocessing_module(argv: "Sequence[str]") -> str | None:
    if "-c" not in argv[:-1]:
        return None
    package, _, code = argv[argv.index("-c") + 1].partition(".")
    return code.partition(" ")[0] if package == "from multiprocessing" else None


def add_folder(environ: "MutableMapping[str, str]", folder: str) -> None:
    """Put the folder first on PYTHONPATH, once."""
    rest = _without(environ.get(PYTHONPATH, ""), folder)
    # An empty entry would be the current directory: never add one.
    environ[PYTHONPATH] = folder + os.pathsep + rest if rest else folder


def leave_children_alone(environ: "MutableMapping[str, str]", folder: str) -> None:
    """Take our variables out, and our folder off PYTHONPATH: children find what the user set."""
    for name in [name for name in environ if name.startswith(PREFIX)]:
        del environ[name]
    if folder in environ.get(PYTHONPATH, "").split(os.pathsep):
        rest = _without(environ[PYTHONPATH], folder)
        if rest:
            environ[PYTHONPATH] = rest
        else:
            del environ[PYTHONPATH]


def _without(path: str, folder: str) -> str:
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if entry != folder)
