"""Finding the processes that can be asked, and saying why one cannot."""

import os
import sys
from typing import Any, NamedTuple

from .asking import PATIENCE, NoAnswer, NobodyListens, ask
from .folders import NotPrivate, all_places, check_private, sockets

_START = "start it with `whence run`, or with WHENCE_ATTACH=1"


class Process(NamedTuple):
    """A process with a socket."""

    pid: int
    path: str
    owner: int

    def ask(self, question: str, *, patience: float = PATIENCE, **details: Any) -> dict[str, Any]:
        """Its answer, see `whence.serving.answers`.  Raises NoAnswer."""
        return ask(self.path, self.pid, self.owner, question, patience=patience, **details)


class Found(NamedTuple):
    """What there is: processes, the newest first, and what was not looked at, as lines."""

    processes: list[Process]
    problems: list[str]


def find() -> Found:
    """Every process that may be asked, alive or not.  Raises NoAnswer where none can be."""
    if sys.platform == "win32":
        raise NoAnswer("expected a system whose Python has unix sockets: Windows' has none")
    processes: dict[int, Process] = {}
    problems = []
    for folder, owner in all_places():
        try:
            check_private(folder, owner)
        except NotPrivate as error:
            problems.append(f"not looked at: {error}")
        except OSError:
            continue  # there is none
        else:
            for pid, path in sockets(folder):
                processes.setdefault(pid, Process(pid, path, owner))
    return Found(sorted(processes.values(), reverse=True), problems)


def the_process(word: str) -> Process:
    """The one that a person means: by its pid, its service's name, or as the only one that there
    is, if the word is empty.  Raises NoAnswer."""
    if word.isascii() and word.isdecimal():
        return _with_pid(int(word))
    answering = answers(find(), "about")
    wanted = [(process, told) for process, told in answering if word in ("", told["service"])]
    if len(wanted) == 1:
        return wanted[0][0]
    listed = ", ".join(f"{process.pid} ({told['service']})" for process, told in wanted[:8])
    if wanted:
        which = f"several are of service {word}" if word else "there are several"
        raise NoAnswer(f"expected a pid, {which}: {listed}")
    if word:
        raise NoAnswer(f"expected a pid, or the service of a process with the agent, not {word!r}")
    raise NoAnswer(f"no process here has the agent: {_START}")


def answers(
    found: Found, question: str, patience: float = PATIENCE
) -> list[tuple[Process, dict[str, Any]]]:
    """What each of them answers; why one does not is added to `found.problems`.

    The sockets of those that have ended are removed by the next process that attaches."""
    told = []
    for process in found.processes:
        try:
            told.append((process, process.ask(question, patience=patience)))
        except NobodyListens:
            continue
        except NoAnswer as error:
            found.problems.append(str(error))
    return told


def _with_pid(pid: int) -> Process:
    found = find()
    for process in found.processes:
        if process.pid == pid:
            return process
    raise NoAnswer(why_not(pid, found.problems))


def why_not(pid: int, problems: list[str]) -> str:
    """Why a pid cannot be asked."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return f"pid {pid}: there is no such process"
    except PermissionError:
        return f"pid {pid} is {_owner_of(pid)}: only that user and root may ask it"
    owner = _uid_of(pid)
    if owner not in (None, os.getuid()) and os.getuid() != 0:
        return f"pid {pid} is {_owner_of(pid)}: only that user and root may ask it"
    hint = f" ({problems[0]})" if problems else ""
    return (
        f"pid {pid} cannot be asked: the agent is not attached there, has --no-live, "
        f"or no event loop has run yet; {_START}{hint}"
    )


def _uid_of(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def _owner_of(pid: int) -> str:
    uid = _uid_of(pid)
    return "another user's" if uid is None else f"another user's (uid {uid})"
