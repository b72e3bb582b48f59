"""The socket of a real process: when it is there, and that the program notices nothing of it."""

import os
import signal
import socket
import sys

import pytest

from asked import PROGRAM, Asked, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")


def test_a_process_answers_from_its_first_event_to_its_end(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    about = asked.ask(child, "about")
    assert about["pid"] == child.pid
    assert (about["service"], about["command"]) == ("app", "app")
    assert about["counts"]["Task"] == 6
    assert [loop["state"] for loop in about["loops"]] == ["waiting"]
    child.communicate("end\n", timeout=20)
    assert child.returncode == 0
    assert os.listdir(asked.folder) == []


def test_a_process_without_a_loop_has_no_socket(asked: Asked) -> None:
    child = asked.begin("import asyncio; print('ready', flush=True); input()")
    child.communicate("\n", timeout=20)
    assert child.returncode == 0
    assert not asked.folder.exists()


def test_there_is_none_if_the_settings_say_so(asked: Asked) -> None:
    source = """
        import asyncio, sys, time
        async def main():
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
        asyncio.run(main())
    """
    child = asked.begin(source, "--no-live")
    child.communicate("\n", timeout=20)
    assert child.returncode == 0
    assert not asked.folder.exists()


def test_it_is_gone_once_the_agent_is_detached(asked: Asked) -> None:
    source = """
        import asyncio, whence
        async def main():
            print("ready", flush=True)
            await asyncio.to_thread(input)
            whence.detach()
            print("detached", flush=True)
            await asyncio.to_thread(input)
        asyncio.run(main())
    """
    child = asked.start(source)
    assert asked.tell(child, "detach") == "detached"
    assert os.listdir(asked.folder) == []
    child.communicate("\n", timeout=20)
    assert child.returncode == 0


def test_a_loop_that_is_blocked_does_not_keep_it_from_answering(asked: Asked) -> None:
    child = asked.start(PROGRAM, "--slow", "20")
    assert asked.tell(child, "block") == "blocking"

    def blocked() -> object:
        (loop,) = asked.ask(child, "about")["loops"]
        return loop if loop["state"] == "blocked" else None

    loop = until(blocked)
    assert loop["seconds"] >= 0.02
    assert (loop["at"]["function"], os.path.basename(loop["at"]["file"])) == (
        "main.<locals>.command",
        "app.py",
    )
    assert loop["stack"][-1] == loop["at"]
    # Held for half a second it is what keeps the process.
    until(lambda: asked.ask(child, "why")["findings"][0]["kind"] == "blocked")
    shown = asked.whence("ps")
    (line,) = [line for line in shown.out.splitlines() if f"{child.pid} " in line]
    assert "blocked" in line
    assert line.endswith("app.py:22")
    child.kill()


def test_it_is_killed_and_the_next_process_tidies_up(asked: Asked) -> None:
    first = asked.start(PROGRAM)
    first.kill()
    first.wait(20)
    assert asked.socket(first.pid).exists()
    second = asked.start(PROGRAM)
    assert os.listdir(asked.folder) == [f"{second.pid}.sock"]
    assert asked.ask(second, "about")["pid"] == second.pid


FORKS = """
    import asyncio, os, sys, threading
    async def pause():
        await asyncio.sleep(0)
    async def main():
        await asyncio.to_thread(input)
        child = os.fork()
        if child == 0:
            # A loop of its own: the parent's is the parent's.
            asyncio.events._set_running_loop(None)
            print("child", os.getpid(), flush=True)
            new = asyncio.new_event_loop()
            new.run_until_complete(asyncio.sleep(60))
        await asyncio.sleep(0)
        await asyncio.to_thread(input)
        os.kill(child, 9)
        os.waitpid(child, 0)
    print("ready", flush=True)
    asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_has_one_of_its_own_and_the_parent_keeps_its_own(asked: Asked) -> None:
    child = asked.start(FORKS)
    word, pid = asked.tell(child, "fork").split()
    assert word == "child"
    until(lambda: asked.socket(int(pid)).exists())
    forked = asked.whence("ps", pid)
    assert forked.code == 0, forked.err
    assert asked.ask(child, "about")["pid"] == child.pid
    child.communicate("\n", timeout=20)
    assert child.returncode == 0
    assert not asked.socket(child.pid).exists()


PREFORKS = """
    import asyncio, os, sys, time, warnings
    warnings.simplefilter("error")
    async def main():
        await asyncio.sleep(0)
    asyncio.run(main())
    path = os.path.join(os.environ["XDG_RUNTIME_DIR"], "whence", f"{os.getpid()}.sock")
    while not os.path.exists(path):
        time.sleep(0.01)
    for _ in range(20):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        asyncio.run(main())
    print("ready", flush=True)
    assert os.path.exists(path)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_finds_no_thread_of_it(asked: Asked) -> None:
    """From 3.12 on Python warns of a fork in a process of several threads."""
    child = asked.begin(PREFORKS)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (0, "", "")


LISTS = """
    import asyncio, os, threading, sys
    async def main():
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.sleep(0)
        print(sorted(t.name for t in threading.enumerate()), flush=True)
        sys.stdin.readline()
    asyncio.run(main())
"""


def test_the_program_finds_no_thread_of_ours(asked: Asked) -> None:
    child = asked.start(LISTS)
    asked.ask(child, "dump")
    asked.ask(child, "why")
    assert asked.tell(child, "list") == "['MainThread']"
    child.communicate("\n", timeout=20)
    assert child.returncode == 0


def test_a_place_that_is_not_private_is_left_alone_and_said(asked: Asked) -> None:
    asked.folder.mkdir(mode=0o755)
    scratch = asked.runtime / "scratch"
    scratch.mkdir()
    planted = scratch / f"whence-{os.getuid()}"
    planted.symlink_to("/")
    # The last place, which all share, cannot be planted by a test.
    child = asked.begin(PROGRAM, env={"TMPDIR": str(scratch)})
    shared = f"/tmp/whence-{os.getuid()}/{child.pid}.sock"
    until(lambda: os.path.exists(shared))
    assert os.listdir(asked.folder) == []
    child.communicate("end\n", timeout=20)
    assert not os.path.exists(shared)


def test_one_signal_ends_the_program_as_ever(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == -signal.SIGTERM


def test_the_sockets_are_not_inherited(asked: Asked) -> None:
    source = """
        import asyncio, subprocess, sys
        async def main():
            print("ready", flush=True)
            await asyncio.to_thread(input)
            child = subprocess.run(
                [sys.executable, "-I", "-S", "-c", "import os; print(os.listdir('/proc/self/fd'))"],
                close_fds=False, capture_output=True, text=True,
            )
            print(child.stdout, end="", flush=True)
        asyncio.run(main())
    """
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("looks at /proc")
    child = asked.start(source)
    # stdin, stdout, stderr and the listing itself.
    assert len(asked.tell(child, "list").split(",")) == 4


def test_a_program_with_many_descriptors_is_asked_as_well(asked: Asked) -> None:
    source = """
        import asyncio, os, resource
        limit = 2500
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(1500)]
        async def main():
            print("ready", flush=True)
            await asyncio.to_thread(input)
        asyncio.run(main())
    """
    child = asked.start(source)
    assert asked.ask(child, "about")["pid"] == child.pid
    child.communicate("\n", timeout=20)
    assert child.returncode == 0


def test_two_connections_at_once_are_answered_one_after_the_other(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(asked.socket(child.pid)))
        assert asked.ask(child, "about")["pid"] == child.pid
