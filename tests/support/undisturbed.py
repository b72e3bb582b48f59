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
from whence.engine import twin

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

    def check_keeps_no_more(self, program: str, *shown: str, counts: bool = False) -> None:
        """The same of a program that prints what is alive and how many refer to it.

        The engine in C has no frames, and so keeps less than asyncio does: there what is "gone" may
        have been "alive", and a number may be smaller; with `counts`, down to nothing."""
        if not twin.IN_C:
            self.check(program, *shown)
            return
        plain = self.says(program, "plain")
        missing = [text for text in shown if text not in plain]
        assert not missing, f"the program does not show {missing}:\n{plain}"
        for mode in MODES:
            most, kept = _numbers(plain), _numbers(self.says(program, mode))
            assert set(kept) <= set(most) if counts else set(kept) == set(most)
            more = {
                what: (most[what], kept[what]) for what in kept if not _no_more(kept, most, what)
            }
            assert more == {}


def _numbers(text: str) -> dict[str, list[int]]:
    """What stands in each line beside numbers, of which "alive" is 1 and "gone" 0."""
    found: dict[str, list[int]] = {}
    for line in text.splitlines():
        line = re.sub(r"\balive$", "1", re.sub(r"\bgone$", "0", line))
        what = re.sub(r"(?<!\S)\d+", "N", line)
        found.setdefault(what, []).extend(int(n) for n in re.findall(r"(?<!\S)\d+", line))
    return found


def _no_more(kept: dict[str, list[int]], most: dict[str, list[int]], what: str) -> bool:
    here, there = kept[what], most[what]
    return len(here) == len(there) and all(a <= b for a, b in zip(here, there, strict=True))
