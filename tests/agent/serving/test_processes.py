"""Finding processes, and saying why one cannot be asked."""

import os
import subprocess
import sys

import pytest

from asked import PROGRAM, Asked
from launching import Launcher
from whence.serving.asking import NoAnswer
from whence.serving.processes import find, the_process, why_not

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")


def test_a_process_is_found_by_its_pid_and_by_its_service(asked: Asked) -> None:
    child = asked.start(PROGRAM, "--service", "a shop of its own")
    for word in (child.pid, "a shop of its own"):
        shown = asked.whence("ps", word)
        assert "task main" in shown.out, shown.err


def test_of_several_of_one_service_none_is_meant(asked: Asked) -> None:
    pids = {asked.start(PROGRAM, "--service", "twins").pid for _ in range(2)}
    shown = asked.whence("why", "twins")
    assert shown.code == 1
    assert shown.err.startswith("whence why: expected a pid, several are of service twins: ")
    assert all(f"{pid} (twins)" in shown.err for pid in pids)


def test_another_service_is_said_to_be_none(asked: Asked) -> None:
    shown = asked.whence("ps", "nobody-is-called-so")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err == (
        "whence ps: expected a pid, or the service of a process with the agent, "
        "not 'nobody-is-called-so'\n"
    )


def test_a_process_that_has_ended_is_said_to_be_none(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    child.kill()
    child.wait(20)
    assert asked.whence("ps", child.pid).err == f"whence ps: pid {child.pid} has ended\n"
    listed = asked.whence("ps")
    assert str(child.pid) not in listed.out
    asked.socket(child.pid).unlink()
    shown = asked.whence("ps", child.pid)
    assert shown.err == f"whence ps: pid {child.pid}: there is no such process\n"


def test_a_process_without_the_agent_is_said_to_be_so(launch: Launcher) -> None:
    child = launch.start(sys.executable, "-c", "input()")
    with pytest.raises(NoAnswer) as refused:
        the_process(str(child.pid))
    assert str(refused.value) == (
        f"pid {child.pid} cannot be asked: the agent is not attached there, has --no-live, or no "
        "event loop has run yet; start it with `whence run`, or with WHENCE_ATTACH=1"
    )


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_a_process_of_another_user_is_said_to_be_so(launch: Launcher) -> None:
    """As that user sees a process of root's."""
    child = launch.start(sys.executable, "-c", "input()")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        # No test goes on here, whatever happens.
        try:
            os.setuid(4321)
            os.write(writing, why_not(child.pid, []).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    os.waitpid(pid, 0)
    assert text == (
        f"pid {child.pid} is another user's (uid 0): only that user and root may ask it"
    )


@pytest.mark.parametrize("word", ["99999999999999999999", "4194305"])
def test_a_number_that_is_no_pid_is_no_process(word: str) -> None:
    with pytest.raises(NoAnswer, match="there is no such process"):
        the_process(word)


def test_a_folder_that_is_not_private_is_named(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(asked.runtime))
    asked.folder.mkdir(mode=0o755)
    assert any(
        problem.startswith(f"not looked at: {asked.folder}: expected a folder that nobody else")
        for problem in find().problems
    )
    listed = asked.whence("ps")
    assert listed.code == 1
    assert f"whence ps: not looked at: {asked.folder}: expected" in listed.err


def test_without_any_process_the_list_says_how_to_begin(asked: Asked) -> None:
    """As a user has it who runs none: everybody's are found by root."""
    listed = asked.whence("ps")
    if not listed.out:
        assert listed.err == "no process here has the agent: start one with `whence run`\n"
    assert listed.code in (0, 1)


def test_a_reader_that_has_enough_is_no_error(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    words = [*asked.launch.whence, "ps", str(child.pid), "--all", "--json"]
    piped = subprocess.Popen(
        words,
        env=asked.launch.environment(**asked.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert piped.stdout is not None
    assert piped.stderr is not None
    piped.stdout.close()
    assert piped.stderr.read() == ""
    assert piped.wait(20) == 0
    piped.stderr.close()
