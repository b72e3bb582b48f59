"""The dashboard that runs on this machine: where it is, and starting it.

It writes down where it is when it starts; whoever looks for it asks there whether it still is one.
Nothing of the dashboard itself is imported: that needs libraries that a program may not have.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

About = dict[str, Any]
"""What `/api/about` of the dashboard says."""

PROGRAM = "whence-dashboard"
_PATIENCE = 2.0
"""Seconds for an answer."""
_STARTING = 40.0
_STATE = "dashboard.json"


class CannotStart(Exception):
    """There is no dashboard; the text says why, in one line."""


def state_folder() -> Path:
    """Where a user's dashboard keeps its files."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_STATE_HOME")
    if base and os.path.isabs(base):
        return Path(base, "whence")
    try:
        return Path.home() / ".local" / "state" / "whence"
    except RuntimeError:
        return Path(tempfile.gettempdir(), f"whence-{getattr(os, 'getuid', int)()}")


def write_state(about: About) -> Path | None:
    """Say where a dashboard is; None if that cannot be written."""
    path = state_folder() / _STATE
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({"url": about["url"], "pid": about["pid"]}), encoding="utf-8")
        new.replace(path)
    except OSError:
        return None
    return path


def remove_state(path: Path | None) -> None:
    """A dashboard ends: unless another has begun meanwhile."""
    if path is None:
        return
    try:
        if json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid():
            path.unlink()
    except (OSError, ValueError, KeyError, TypeError):
        pass


def find() -> About | None:
    """The dashboard that runs here and answers."""
    try:
        state = json.loads((state_folder() / _STATE).read_text(encoding="utf-8"))
        port = int(str(state["url"]).rpartition(":")[2])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return _ask(port)


def find_or_start() -> About:
    """The same; started in the background where there is none.  Raises CannotStart."""
    return find() or _start()


def _ask(port: int) -> About | None:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/api/about", headers={"Host": f"localhost:{port}"})
        about = json.loads(connection.getresponse().read(1 << 20))
        return about if about["program"] == PROGRAM else None
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def _start() -> About:
    """By a process that ends at once, so that the dashboard is nobody's child."""
    if os.getpid() == 1:
        # What nobody waits for becomes a child of process 1, which the program is about to be.
        raise CannotStart("in a container's first process it would be the program's own child")
    import subprocess

    from whence.sitecustomize import FOLDER

    from ..settings import environment

    environ = dict(os.environ)
    environment.leave_children_alone(environ, FOLDER)
    command = [sys.executable, "-P", "-m", "whence", "dashboard", "--detach"]
    try:
        done = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_STARTING,
            text=True,
            errors="replace",
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotStart(str(error)) from None
    about = find()
    if done.returncode == 0 and about is not None:
        return about
    lines = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
    raise CannotStart(lines[-1].removeprefix("whence dashboard: "))
