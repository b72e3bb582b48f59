"""A program that Ctrl-C ends dies of it, whatever is evaluated at its end."""

import os
import signal

import pytest

from launching import Launcher

pytestmark = pytest.mark.skipif(os.name == "nt", reason="tells of POSIX signals")

AT_EXIT = """\
import atexit
from whence.interrupts import interrupted, remember_interrupt

def at_exit():
    was_interrupted = interrupted()
    exec("'as imports do'")
    if was_interrupted:
        remember_interrupt()

atexit.register(at_exit)
"""

INTERRUPTED = """
def wait():
    raise KeyboardInterrupt

wait()
"""
CAUGHT = """
try:
    raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
"""
CONSOLE = """
import code
code.InteractiveConsole().runsource("raise KeyboardInterrupt")
"""


def code_of(launch: Launcher, program: str, *words: str) -> int:
    launch.write("app.py", AT_EXIT + program)
    return launch(launch.python, *words).code


@pytest.mark.parametrize("words", [["app.py"], ["-m", "app"]], ids=["script", "module"])
def test_an_interrupt_that_nobody_caught_is_remembered(words: list[str], launch: Launcher) -> None:
    assert code_of(launch, INTERRUPTED, *words) == -signal.SIGINT


@pytest.mark.parametrize(
    ("program", "code"),
    [(CAUGHT, 0), (CONSOLE, 0), ("raise SystemExit(3)", 3), ("raise ValueError", 1)],
    ids=["caught", "console", "exit", "failure"],
)
def test_nothing_else_is_taken_for_one(program: str, code: int, launch: Launcher) -> None:
    assert code_of(launch, program, "app.py") == code
