"""When the whole process stood still, and when it only looked like it."""

import sys
from collections.abc import Callable

import pytest

from launching import Launcher
from whence.engine.standstill import Standstill

SECOND = 1_000_000_000


class Process:
    """A process whose activity the test makes up."""

    def __init__(self, measure: Callable[[], int] | None = None) -> None:
        self.activity = 0
        self.now = 5 * SECOND
        self.standstill = Standstill()
        self.standstill._measure = lambda: self.activity
        self.standstill.begin(self.now)

    def pass_by(self, seconds: float, switches: int = 0) -> None:
        self.now += int(seconds * SECOND)
        self.activity += switches

    def look(self) -> None:
        self.standstill.look(self.now)

    def stood(self) -> float:
        return self.standstill.within(0, self.now) / SECOND


def test_a_time_without_any_activity_is_one() -> None:
    process = Process()
    process.pass_by(60, switches=3)
    process.look()
    assert process.stood() == 60


def test_a_time_in_which_threads_asked_for_the_lock_is_none() -> None:
    """Code in C holds it, and others ask for it every 5 ms."""
    process = Process()
    process.pass_by(60, switches=12_000)
    process.look()
    assert process.stood() == 0


def test_a_short_time_is_none() -> None:
    """It may be a slow machine."""
    process = Process()
    process.pass_by(0.9)
    process.look()
    assert process.stood() == 0


def test_frequent_looks_see_nothing_but_the_stop() -> None:
    process = Process()
    for _ in range(100):
        process.pass_by(0.1, switches=1)
        process.look()
    process.pass_by(3600, switches=2)
    process.look()
    for _ in range(100):
        process.pass_by(0.1, switches=1)
        process.look()
    assert process.stood() == 3600


def test_only_the_part_within_a_step_is_taken_off_it() -> None:
    process = Process()
    began = process.now
    process.pass_by(60)
    process.look()
    assert process.standstill.within(began + 50 * SECOND, process.now + SECOND) == 10 * SECOND
    assert process.standstill.within(began - SECOND, began + 5 * SECOND) == 5 * SECOND
    assert process.standstill.within(process.now, process.now + SECOND) == 0


@pytest.mark.parametrize("rests", [True, False])
def test_a_process_that_was_idle_did_not_stand_still(rests: bool) -> None:
    process = Process()
    if rests:
        process.standstill.rest()
    process.pass_by(60)
    if rests:
        process.look()
    process.standstill.begin(process.now)
    process.pass_by(0.5)
    process.look()
    assert process.stood() == 0


def test_a_time_that_two_threads_see_at_once_counts_once() -> None:
    process = Process()
    other: list[int] = []

    def measure() -> int:
        if not other:
            # The thread that measures loses Python's lock here.
            other.append(process.now)
            process.look()
        return process.activity

    process.standstill._measure = measure
    process.pass_by(60)
    process.look()
    assert other == [process.now]
    assert process.stood() == 60


def test_who_never_began_to_look_sees_nothing() -> None:
    standstill = Standstill()
    standstill.look(SECOND)
    standstill.look(1000 * SECOND)
    assert standstill.within(0, 2000 * SECOND) == 0


HOLDING = """
import asyncio, ctypes, json, os, signal, subprocess, sys, time
import whence
from whence.engine.blocks import blocks
from whence.engine.measures import blocked
from whence.engine.standstill import standstill

# Where another thread waits for Python's lock, the watchdog may be the last to have it.
whence.attach(export=("none",), no_live="1")

def hold_the_lock():
    ctypes.PyDLL(None).usleep(1_500_000)

def be_stopped():
    # By somebody else, who also has it go on.
    code = (
        "import os, signal, sys, time; pid = int(sys.argv[1]); os.kill(pid, signal.SIGSTOP);"
        "time.sleep(2); os.kill(pid, signal.SIGCONT)"
    )
    other = subprocess.Popen([sys.executable, "-I", "-S", "-c", code, str(os.getpid())])
    other.wait()

async def main():
    # Until the watchdog is there: what it has to import is imported.
    while standstill._measure is time.process_time_ns:
        await asyncio.sleep(0.01)
    {act}()

asyncio.run(main())
told = {{"number": blocked.number, "seconds": blocked.time / 1e9}}
if blocks.worst is not None:
    told["name"], told["line"] = blocks.worst.name, blocks.worst.site.line
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="stopped by a signal")
def test_a_process_that_was_stopped_did_not_block(launch: Launcher) -> None:
    launch.write("app.py", HOLDING.format(act="be_stopped"))
    finished = launch(launch.python, "app.py")
    assert finished.code == 0, finished.err
    # What it takes to start the other process is left.
    assert finished.json["seconds"] < 1.5


@pytest.mark.skipif(sys.platform == "win32", reason="sleeps in the C library")
def test_code_in_c_that_holds_the_lock_and_does_nothing_did(launch: Launcher) -> None:
    """And it is known where: the watchdog comes as soon as it may."""
    launch.write("app.py", HOLDING.format(act="hold_the_lock"))
    finished = launch(launch.python, "app.py")
    assert finished.code == 0, finished.err
    assert (finished.json["number"], finished.json["name"]) == (1, "main")
    lines = HOLDING.splitlines()
    assert "usleep" in lines[finished.json["line"] - 1]
    assert 1.5 <= finished.json["seconds"] < 5
