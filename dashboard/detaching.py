"""A dashboard in the background: a process that nobody waits for.

Whoever calls this ends soon, and what it started then belongs to the system; so a program that was
preceded by it has no child that it does not know.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from whence.commands.running_dashboard import About, find, state_folder

_PATIENCE = 20.0
_LOOK = 0.05


class CannotStart(Exception):
    """It did not come up; the text says why, in one line."""


def start(words: Sequence[str]) -> About:
    """Start `whence dashboard` with these options and wait until it answers.  Raises CannotStart.

    The one that answers already, if there is one and nothing else was asked for.
    """
    running = None if words else find()
    if running is not None:
        return running
    folder = state_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = open(folder / "dashboard.log", "w+", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise CannotStart(f"{folder}: {error.strerror}") from error
    with log:
        command = [sys.executable, "-P", "-m", "whence", "dashboard", *words]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **_apart(),  # type: ignore[call-overload]
        )
        by = time.monotonic() + _PATIENCE
        while time.monotonic() < by:
            about = find()
            if about is not None and about["pid"] == child.pid:
                # It outlives us: that is no resource that was forgotten.
                child.returncode = 0
                return about
            if child.poll() is not None:
                raise CannotStart(_last_line(log) or f"it ended with code {child.returncode}")
            time.sleep(_LOOK)
        child.kill()
        child.wait()
    raise CannotStart(f"it did not answer within {_PATIENCE:g} s ({folder / 'dashboard.log'})")


def _apart() -> dict[str, object]:
    """A terminal that closes, or Ctrl-C in it, is nothing to the dashboard."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
        return {"creationflags": flags}
    return {"start_new_session": True, "cwd": os.sep}


def _last_line(log: "object") -> str:
    log.seek(0)  # type: ignore[attr-defined]
    lines = [line.strip() for line in log if line.strip()]  # type: ignore[attr-defined]
    return lines[-1].removeprefix("whence dashboard: ") if lines else ""
