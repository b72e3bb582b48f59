"""What a user sees, in a terminal that is real: tmux."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from asked import PROGRAM, Asked, until

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")


class Terminal:
    """A pane of a tmux of its own."""

    def __init__(self, asked: Asked, folder: Path) -> None:
        self._asked = asked
        self._tmux = ["tmux", "-S", str(folder / "tmux")]

    def run(self, *words: object, columns: int = 120, lines: int = 34) -> None:
        """Run `whence *words` in it; the picture stays when it has ended."""
        command = shlex.join([*self._asked.launch.whence, *map(str, words)])
        env = self._asked.launch.environment(TERM="screen-256color", **self._asked.env)
        for name in ("COLUMNS", "LINES"):
            # Of whatever the tests run in; programs believe it rather than their own terminal.
            env.pop(name, None)
        shell = f"{command}; echo exit code $?; exec sleep 600"
        size = ["-x", str(columns), "-y", str(lines)]
        subprocess.run(
            [*self._tmux, "-f", os.devnull, "new-session", "-d", *size, "/bin/sh", "-c", shell],
            env=env,
            cwd=self._asked.launch.folder,
            check=True,
        )

    def press(self, *keys: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    @property
    def picture(self) -> str:
        ran = subprocess.run(
            [*self._tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True
        )
        return ran.stdout

    def wait_for(self, text: str) -> str:
        try:
            until(lambda: text in self.picture)
        except AssertionError:
            raise AssertionError(f"there is no {text!r} in\n{self.picture}") from None
        return self.picture

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(asked: Asked) -> Iterator[Terminal]:
    folder = Path(tempfile.mkdtemp(prefix="t"))
    made = Terminal(asked, folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def test_top_draws_and_listens(asked: Asked, terminal: Terminal) -> None:
    pytest.importorskip("textual")
    child = asked.start(PROGRAM)
    terminal.run("top", child.pid, "-i", "0.2")
    picture = terminal.wait_for("app.py:6 Queue.get")
    assert "task consume" in picture
    assert f"pid {child.pid}  app" in picture
    assert "by longest wait" in picture
    terminal.press("s")
    terminal.wait_for("by most run")
    terminal.press("Enter")
    terminal.wait_for("why process")
    terminal.press("q")
    until(lambda: "why process" not in terminal.picture)
    terminal.press("q")
    terminal.wait_for("exit code 0")


def test_ps_and_tree_are_as_wide_as_the_terminal(asked: Asked, terminal: Terminal) -> None:
    child = asked.start(PROGRAM)
    terminal.run("ps", child.pid, columns=80)
    lines = terminal.wait_for("exit code 0").splitlines()
    rows = [line for line in lines if "task consume" in line]
    assert len(rows) == 3
    assert max(map(len, lines)) <= 80


def test_tree_is_drawn(asked: Asked, terminal: Terminal) -> None:
    child = asked.start(PROGRAM)
    terminal.run("tree", child.pid, columns=70)
    picture = terminal.wait_for("exit code 0")
    assert "├─ task consume  \N{MULTIPLICATION SIGN} 3" in picture
    assert "└─ " in picture


def test_top_needs_a_terminal(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    ran = asked.whence("top", child.pid)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "whence top: expected a terminal to draw on; `whence ps` prints\n"


def test_top_says_what_it_needs(asked: Asked, terminal: Terminal) -> None:
    source = """
        import sys
        from importlib import machinery
        real = machinery.PathFinder.find_spec
        def find_spec(name, *rest):
            return None if name == "textual" else real(name, *rest)
        machinery.PathFinder.find_spec = find_spec
        from whence.cli import main
        sys.exit(main(["top", "1"]))
    """
    ran = asked.launch(sys.executable, asked.launch.write("without.py", source))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "whence top: expected Textual, which is not installed: pip install 'whence[top]'\n"
    )
