"""`--on-exit why` and `--on-signal why`, on real processes."""

import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from launching import Launcher

pytestmark = pytest.mark.skipif(os.name == "nt", reason="tells of POSIX signals")

HANGS = """
    import asyncio

    async def consume(queue):
        await queue.get()  # never comes

    async def main():
        consumer = asyncio.create_task(consume(asyncio.Queue()))
        await asyncio.sleep(0)
        print("ready", flush=True)
        await consumer

    asyncio.run(main())
"""

THREAD = """
    import threading

    stop = threading.Event()

    def work():
        print("ready", flush=True)
        stop.wait()

    threading.Thread(target=work, name="worker").start()
"""

ENDS = """
    import asyncio
    asyncio.run(asyncio.sleep(0))
"""


def started(launch: Launcher, source: str, *options: str) -> subprocess.Popen[str]:
    program = launch.write("app.py", source)
    child = launch.start(*launch.whence, "run", "--export", "none", *options, program)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def interrupted(child: subprocess.Popen[str]) -> str:
    """What it says when Ctrl-C has ended it."""
    for _ in range(10):
        child.send_signal(signal.SIGINT)
        try:
            return child.communicate(timeout=3)[1]
        except subprocess.TimeoutExpired:
            continue  # it came before the program was where it waits
    raise AssertionError("Ctrl-C does not end it")


def told(child: subprocess.Popen[str], pattern: str) -> str:
    """Its lines on stderr, up to one that matches."""
    assert child.stderr is not None
    lines = []
    for line in child.stderr:
        lines.append(line)
        if re.search(pattern, line):
            break
    return "".join(lines)


def test_ctrl_c_says_what_the_program_was_waiting_for(launch: Launcher) -> None:
    child = started(launch, HANGS, "--on-exit", "why")
    said = interrupted(child)
    assert re.search(r"whence: why process \d+ went on: ", said)
    assert "1. task consume" in said
    assert "app.py:5" in said
    assert "await queue.get()  # never comes" in said
    assert "\x1b" not in said
    assert child.returncode == -signal.SIGINT


def test_without_being_asked_it_says_no_such_thing(launch: Launcher) -> None:
    assert "whence: why" not in interrupted(started(launch, HANGS))


def test_ctrl_c_says_which_thread_held_the_process(launch: Launcher) -> None:
    said = interrupted(started(launch, THREAD, "--on-exit", "why"))
    assert said.count("1. thread worker is no daemon") == 1
    assert "app.py:8" in said


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="it starts no thread at the end")
def test_a_thread_that_holds_the_process_is_named_while_it_does(launch: Launcher) -> None:
    child = started(launch, THREAD, "--on-exit", "why")
    said = told(child, r"stop\.wait\(\)")
    assert "1. thread worker is no daemon" in said
    assert "app.py:8" in said
    # It is said once.
    assert "1. thread" not in interrupted(child)


def test_a_program_that_nothing_holds_says_so(launch: Launcher) -> None:
    program = launch.write("app.py", ENDS)
    said = launch(*launch.whence, "run", "--export", "none", "--on-exit", "why", program)
    assert said.code == 0
    assert "whence: nothing was open at the end" in said.err


def test_a_signal_is_answered_and_the_program_goes_on(launch: Launcher) -> None:
    child = started(launch, HANGS, "--on-signal", "why")
    for _ in range(2):
        child.send_signal(signal.SIGUSR1)
        assert "1. task consume" in told(child, r"await queue\.get\(\)")
    assert child.poll() is None


def test_a_blocked_loop_answers_a_signal_with_the_line_that_blocks(launch: Launcher) -> None:
    source = """
        import asyncio, time

        async def main():
            print("ready", flush=True)
            time.sleep(3600)  # blocks

        asyncio.run(main())
    """
    child = started(launch, source, "--on-signal", "why")
    found = threading.Event()

    def ask() -> None:
        """Again and again: the first time it may not sleep yet."""
        while not found.is_set():
            child.send_signal(signal.SIGUSR1)
            found.wait(1)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    said = told(child, r"time\.sleep\(3600\)  # blocks")
    found.set()
    asking.join()
    assert "task main" in said
    assert "app.py:6" in said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_forked_child_answers_for_itself(launch: Launcher) -> None:
    source = """
        import os, signal, time

        child = os.fork()
        if not child:
            def work():
                print("ready", flush=True)
                while True:
                    time.sleep(0.01)

            import threading
            threading.Thread(target=work, name="worker").start()
        else:
            os.waitpid(child, 0)
    """
    parent = started(launch, source, "--on-signal", "why")
    with open(f"/proc/{parent.pid}/task/{parent.pid}/children", encoding="ascii") as listed:
        child = int(listed.read())
    try:
        os.kill(child, signal.SIGUSR1)
        said = told(parent, r"app\.py:\d+ +time\.sleep")
        assert f"whence: why process {child} goes on" in said
        assert "thread worker" in said
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_handler_of_the_program_stays(launch: Launcher) -> None:
    source = """
        import os, signal, sys, time
        heard = []

        def mine(number, frame):
            heard.append(number)

        signal.signal(signal.SIGUSR1, mine)
        print("ready", flush=True)
        while not heard:
            time.sleep(0.01)
        print("mine")
    """
    child = started(launch, source, "--on-signal", "why")
    child.send_signal(signal.SIGUSR1)
    out, err = child.communicate(timeout=30)
    assert out == "mine\n"
    assert "whence: why" not in err


def test_without_being_asked_the_signal_does_what_it_always_did(launch: Launcher) -> None:
    child = started(launch, HANGS)
    child.send_signal(signal.SIGUSR1)
    child.communicate(timeout=30)
    assert child.returncode == -signal.SIGUSR1
