"""Starts real processes, as a user would, in a folder of their own."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Finished:
    """A process that has ended: its exit code and all that it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """What a program printed that answers in JSON; fails with its stderr if it did not."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    def __repr__(self) -> str:
        return f"<exit {self.code}\nout: {self.out}\nerr: {self.err}>"


class Launcher:
    """Starts real processes in a folder of their own, with an environment that knows no agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = sys.executable
        self.whence = [sys.executable, "-m", "whence"]
        # Else the `whence ps` of other tests would ask these processes too.  The system takes no
        # long name of a socket.
        self._runtime = tempfile.mkdtemp(prefix="w")
        self._children: list[subprocess.Popen[str]] = []

    def write(self, name: str, source: str) -> str:
        """A file in the folder; its name, as it is called from there."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return name

    def environment(self, **variables: str) -> dict[str, str]:
        """The tests' own environment without what is meant for a Python or its agents, but with
        the engine that is tested."""
        meant = ("WHENCE_", "OTEL_", "PYTHON")
        kept = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(meant) or name == "WHENCE_ENGINE"
        }
        return kept | {"XDG_RUNTIME_DIR": self._runtime} | variables

    def start(
        self, *words: str, env: Mapping[str, str] = {}, cwd: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start a process; it is killed at the end of the test if it still runs."""
        child = subprocess.Popen(
            words,
            cwd=cwd or self.folder,
            env=self.environment(**env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._children.append(child)
        return child

    def __call__(
        self,
        *words: str,
        env: Mapping[str, str] = {},
        stdin: str | None = None,
        cwd: Path | None = None,
    ) -> Finished:
        """Run a process to its end."""
        child = self.start(*words, env=env, cwd=cwd)
        out, err = child.communicate(stdin, timeout=60)
        return Finished(child.returncode, out, err)

    def run(self, *words: str, env: Mapping[str, str] = {}, stdin: str | None = None) -> Finished:
        """`whence run *words`, to its end."""
        return self(*self.whence, "run", *words, env=env, stdin=stdin)

    def scripts(self) -> Path:
        """Where this environment has its console scripts."""
        return Path(sysconfig.get_path("scripts"))

    def close(self) -> None:
        for child in self._children:
            with child:
                if child.poll() is None:
                    child.kill()
        shutil.rmtree(self._runtime, ignore_errors=True)
