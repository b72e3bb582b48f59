"""Where attached processes have their sockets: a folder that belongs to one user alone.

    $XDG_RUNTIME_DIR/whence/4242.sock, or /tmp/whence-1000/4242.sock

The rules:

- The folder and what is in it belong to the user, and nobody else may enter it (0700).  In a place
  where everybody may write, somebody may have made a folder of that name before: it is not used,
  neither for a socket of ours nor to find others'.
- A process and who looks for it may disagree about $XDG_RUNTIME_DIR, so all places are looked at.
- root sees everybody's processes, as it does with `ps`.

Runs in attached processes: imports nothing heavy.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".sock"
_NAME = "whence"
_LONGEST = 100
"""Bytes of a socket's path: the system takes 107, macOS 103."""


class NotPrivate(Exception):
    """A folder that is not the user's alone: what was expected, and what is there."""


def places() -> list[str]:
    """The folders where this process may have its socket, the best first."""
    user = os.getuid()
    found = []
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        found.append(os.path.join(runtime, _NAME))
    return [*found, *_temporary(user)]


def all_places() -> list[tuple[str, int]]:
    """Every folder where processes may have sockets that this user may ask, and whose it is."""
    user = os.getuid()
    found = dict.fromkeys(places(), user)
    found |= dict.fromkeys(_of_sessions(user), user)
    if user == 0:
        found = {**_of_everybody(), **found}
    return list(found.items())


def make_private(folder: str) -> None:
    """Have it, for this user alone.  Raises NotPrivate, or OSError if it cannot be made."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    check_private(folder, os.getuid())


def check_private(folder: str, owner: int) -> None:
    """Raise NotPrivate unless it is a folder that only this user may enter; OSError without one."""
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivate(f"{folder}: expected a folder, not a link or file")
    if found.st_uid != owner:
        raise NotPrivate(f"{folder}: expected a folder of uid {owner}, it is of uid {found.st_uid}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise NotPrivate(
            f"{folder}: expected a folder that nobody else may enter (chmod 700), "
            f"its mode is {stat.S_IMODE(found.st_mode):o}"
        )


def check_socket(path: str, owner: int) -> None:
    """Raise NotPrivate unless it is a socket of this user; OSError without one."""
    found = os.lstat(path)
    if not stat.S_ISSOCK(found.st_mode):
        raise NotPrivate(f"{path}: expected a socket")
    if found.st_uid != owner:
        raise NotPrivate(f"{path}: expected a socket of uid {owner}, it is of uid {found.st_uid}")


def socket_path(folder: str, pid: int) -> str:
    """The socket of a process."""
    return os.path.join(folder, f"{pid}{SUFFIX}")


def is_short_enough(folder: str) -> bool:
    """Whether the system takes a socket there."""
    return len(os.fsencode(socket_path(folder, 10**9))) <= _LONGEST


def sockets(folder: str) -> "Iterator[tuple[int, str]]":
    """The pid and path of each socket in a folder, in no order."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        pid, suffix = os.path.splitext(name)
        if suffix == SUFFIX and pid.isascii() and pid.isdecimal():
            yield int(pid), os.path.join(folder, name)


def _temporary(user: int) -> list[str]:
    """Where there is no runtime folder: the one that all have.

    $TMPDIR only if there is none: programs look at what is in theirs, and empty it."""
    roots = dict.fromkeys(("/tmp", os.environ.get("TMPDIR", "")))
    return [os.path.join(root, f"{_NAME}-{user}") for root in roots if os.path.isabs(root)]


def _of_sessions(user: int) -> list[str]:
    """Where systemd has a runtime folder, whatever this environment says."""
    return [os.path.join("/run/user", str(user), _NAME)]


def _of_everybody() -> dict[str, int]:
    found = {}
    for name in _names("/run/user"):
        if name.isdecimal():
            found[os.path.join("/run/user", name, _NAME)] = int(name)
    for name in _names("/tmp"):
        prefix, _, user = name.rpartition("-")
        if prefix == _NAME and user.isdecimal():
            found[os.path.join("/tmp", name)] = int(user)
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
