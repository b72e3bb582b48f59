"""Runs one program plainly, with the agent attached, and with hooks alone; all must print the same.

Addresses and what else differs from process to process is evened out; nothing that whence could
change is.
"""

import difflib
import re
import textwrap
from pathlib import Path

import pytest

from launching import Finished, Launcher

_PRELUDE = """
import asyncio
import runpy
import sys

mode, program = sys.argv[1:]
sys.argv[:] = [program]
if mode == "hooked":
    import whence

    def listen(*event):
        pass

    names = ("init", "before", "after", "destroy", "promise_resolve")
    whence.create_hook(dict.fromkeys(names, listen)).enable()
elif mode == "attached":
    import whence

    assert whence.attached()
runpy.run_path(program, run_name="__main__")
"""

MODES = ("attached", "hooked")

_ATTACHED = {"WHENCE_ATTACH": "1", "WHENCE_EXPORT": "none", "WHENCE_ON_EXIT": "none"}

_VARIES = (
    (re.compile(r"0x[0-9a-f]+"), "0x"),
    (re.compile(r"(pid=|port=|fd=|connected to 127\.0\.0\.1:|'127\.0\.0\.1', )\d+"), r"\1N"),
    (re.compile(r"started \d+"), "started N"),
    (re.compile(r"when=\d+\.\d+"), "when=N"),
    (re.compile(r"took \d+\.\d+ seconds"), "took N seconds"),
    # uvloop calls with arguments in another line than without; ours keep the arguments themselves.
    (re.compile(r'(cbhandles\.pyx", line )\d+'), r"\1N"),
)


class Undisturbed:
    """Runs programs in each mode and says what they print."""

    def __init__(self, launch: Launcher) -> None:
        self._launch = launch
        launch.write("prelude.py", _PRELUDE)

    def says(self, program: str, mode: str) -> str:
        """What the program prints on both streams, and how it ends."""
        self._launch.write("program.py", textwrap.dedent(program))
        env = _ATTACHED if mode == "attached" else {}
        finished = self._launch(self._launch.python, "prelude.py", mode, "program.py", env=env)
        return self._evened_out(finished)

    def _evened_out(self, finished: Finished) -> str:
        text = f"{finished.out}\n--- stderr\n{finished.err}\n--- exit {finished.code}"
        text = text.replace(str(Path(self._launch.folder)), "FOLDER")
        for pattern, same in _VARIES:
            text = pattern.sub(same, text)
        return text

    def check(self, program: str, *shown: str) -> None:
        """Fail unless every mode prints what the plain program does, and that shows these texts."""
        plain = self.says(program, "plain")
        missing = [text for text in shown if text not in plain]
        assert not missing, f"the program does not show {missing}:\n{plain}"
        for mode in MODES:
            said = self.says(program, mode)
            changes = difflib.unified_diff(
                plain.splitlines(), said.splitlines(), "plain", mode, lineterm="", n=2
            )
            if said != plain:
                pytest.fail("\n".join(changes), pytrace=False)
