"""What a Python has, asked of itself: its version, and which of the packages to be measured."""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "aiohttp",
    "opentelemetry.instrumentation.asyncio",
    "uvloop",
    "whence",
    "whence._engine",
)
C_ENGINE = "whence._engine"


class Interpreter(NamedTuple):
    """A Python to measure with."""

    path: str
    version: str
    packages: frozenset[str]


class NotUsable(Exception):
    """A Python that cannot be measured with; the message says why, on one line."""


def environment() -> dict[str, str]:
    """Return the environment of a measured process: ours, without what would change its speed."""
    settings = ("PYTHON", "WHENCE_", "OTEL_")
    return {
        name: value
        for name, value in os.environ.items()
        if name == "PYTHONPATH" or not name.startswith(settings)
    }


def examine(python: str) -> Interpreter:
    """Start `python` (a path, or a name on PATH) and return what it says of itself."""
    path = shutil.which(python)
    if path is None:
        raise NotUsable(f"--python: expected a Python to run, not {python!r}; give its path")
    command = [path, "-m", "benchmarks.interpreters"]
    answer = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    try:
        said = json.loads(answer.stdout)
    except ValueError:
        reason = answer.stderr.strip().rpartition("\n")[2] or "no answer"
        raise NotUsable(f"--python: {path} cannot run the benchmarks: {reason}") from None
    return Interpreter(path, said["version"], frozenset(said["packages"]))


def _has(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except Exception:
        # A whence that cannot be imported is reported by the processes that need it.
        return False


if __name__ == "__main__":
    json.dump(
        {
            "version": f"{platform.python_implementation()} {platform.python_version()}",
            "packages": [package for package in PACKAGES if _has(package)],
        },
        sys.stdout,
    )
