"""The watchdog: there while the program has a loop, asleep while nothing runs, gone afterwards."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from launching import Launcher
from whence import watchdog
from whence.engine import local
from whence.engine.blocks import blocks
from whence.engine.execution import threads

TASKS = Path("/proc/self/task")

on_linux = pytest.mark.skipif(not TASKS.exists(), reason="counts the threads of the system")


def new_uvloop() -> Any:
    return pytest.importorskip("uvloop").new_event_loop()


@pytest.fixture(params=[asyncio.new_event_loop, new_uvloop])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a coroutine on each of the loops."""

    def run(coroutine: Any) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run


@pytest.fixture(autouse=True)
def detached() -> Iterator[None]:
    """The agent is gone afterwards."""
    yield
    whence.detach()
    blocks.worst = None


def attach(slow: float = 20) -> None:
    """`slow` milliseconds are too long; of our threads there is the watchdog's alone."""
    whence.attach(export=("none",), slow=slow, no_live=True)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.001)


def be_seen(times: int = 1) -> None:
    """Hold the loop until a stack was taken of it."""
    state = local.state
    until(lambda: len(state.samples) >= times)


def system_threads() -> set[str]:
    return set(os.listdir(TASKS))


def switches(thread: str) -> int:
    """How often a thread went to sleep by itself."""
    status = (TASKS / thread / "status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("voluntary"))
    return int(line.split()[1])


def test_what_holds_a_loop_is_seen_while_it_does(run: Callable[..., Any]) -> None:
    attach()

    async def main() -> None:
        be_seen()

    run(main())
    assert blocks.worst is not None
    assert blocks.worst.site is not None
    assert blocks.worst.site.file == __file__
    assert blocks.worst.nanoseconds >= 20_000_000


def test_a_loop_of_another_thread_is_watched_as_well(run: Callable[..., Any]) -> None:
    attach()
    seen: list[int] = []

    async def main() -> None:
        be_seen()
        seen.append(threading.get_ident())

    thread = threading.Thread(target=lambda: run(main()))
    thread.start()
    run(main())
    thread.join()
    assert len(set(seen)) == 2


def test_what_comes_after_a_long_rest_is_seen(run: Callable[..., Any]) -> None:
    attach()

    async def main() -> None:
        be_seen()
        assert watchdog._watchdog is not None
        loop = asyncio.get_running_loop()
        rested = loop.create_future()

        def wait_for_rest() -> None:
            # In a thread that tells nobody of itself: an event would wake the watchdog.
            local.state.muted = True
            until(lambda: watchdog._watchdog is None or watchdog._watchdog._waits_for_event)
            loop.call_soon_threadsafe(rested.set_result, None)

        import _thread

        _thread.start_new_thread(wait_for_rest, ())
        await rested
        be_seen()

    run(main())


def test_a_step_that_goes_on_is_looked_at_again() -> None:
    attach(slow=5)

    async def main() -> None:
        be_seen(times=4)
        samples = local.state.samples
        assert len({sample.step for sample in samples}) == 1
        moments = [sample.at for sample in samples]
        assert moments == sorted(moments)

    asyncio.run(main())
    assert local.state.samples == ()


@on_linux
def test_it_sleeps_while_the_loop_does(run: Callable[..., Any]) -> None:
    before = system_threads()
    attach(slow=2)

    async def main() -> int:
        be_seen()
        assert watchdog._watchdog is not None
        (thread,) = system_threads() - before
        # Three looks after the last callback it is at rest; this one wakes it, and it rests again.
        await asyncio.sleep(0.5)
        start = switches(thread)
        await asyncio.sleep(1)
        return switches(thread) - start

    # Without rest there would be 500; each of the two callbacks wakes it for a few.
    assert run(main()) < 30


@on_linux
def test_there_is_none_before_the_first_event_and_one_at_the_most() -> None:
    before = system_threads()
    attach()
    assert system_threads() == before

    async def main() -> set[str]:
        be_seen()
        whence.detach()
        attach()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        be_seen()
        return system_threads() - before

    assert len(asyncio.run(main())) == 1


@on_linux
def test_it_is_gone_after_detaching() -> None:
    before = system_threads()
    attach()

    async def main() -> None:
        be_seen()

    asyncio.run(main())
    whence.detach()
    until(lambda: system_threads() == before)


def test_the_program_does_not_find_it() -> None:
    attach()
    events: list[str] = []
    before = threading.enumerate()

    async def main() -> None:
        with whence.create_hook(init=lambda i, type, *_: events.append(type)):
            be_seen()
        assert threading.enumerate() == before

    asyncio.run(main())
    assert events == []


def test_before_a_loop_runs_nothing_blocks() -> None:
    attach(slow=2)
    time.sleep(0.05)

    async def main() -> None:
        await asyncio.sleep(0)

    with asyncio.Runner() as runner:
        runner.run(main())
        time.sleep(0.05)
        runner.run(main())
    assert local.state.samples == ()


def test_threads_that_have_ended_are_not_remembered_for_ever() -> None:
    attach()
    before = len(threads)

    async def main() -> None:
        """A loop of its own."""

    for _ in range(200):
        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        thread.join()
    assert len(threads) - before < 50


DEBUGGING = """
import asyncio, json, pdb, time
import whence
from whence.engine import local
from whence.engine.blocks import blocks

whence.attach(export=("none",), slow=20)

class Person:
    def readline(self):
        # Thinks until the watchdog has looked, and then goes on.
        deadline = time.monotonic() + 30
        while not local.state.samples:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return "continue\\n"

async def main():
    debugger = pdb.Pdb(stdin=Person(), nosigint=True, readrc=False)
    debugger.use_rawinput = False
    debugger.set_trace()
    here = "the line at which it stops"

asyncio.run(main())
assert blocks.worst is None, blocks.worst
"""


def test_who_is_stopped_in_pdb_blocks_nothing(launch: Launcher) -> None:
    launch.write("app.py", DEBUGGING)
    finished = launch(launch.python, "app.py")
    assert finished.code == 0, finished.err
    assert "main()" in finished.out, "it was stopped"


def test_a_thread_that_ended_inside_a_callback_is_forgotten() -> None:
    attach()

    async def main() -> None:
        gone = type(local.state).__new__(type(local.state))
        gone.entered, gone.samples, gone.busy = 1, (), 0
        threads[1] = gone
        be_seen()
        until(lambda: 1 not in threads)

    asyncio.run(main())


FORKING = """
import asyncio, json, os, sys, time, warnings
import whence
from whence.engine import local
from whence.engine.blocks import blocks

warnings.simplefilter("error")
whence.attach(export=("none",), slow=20)

def be_seen():
    deadline = time.monotonic() + 30
    while not local.state.samples:
        assert time.monotonic() < deadline
        time.sleep(0.001)

async def block():
    be_seen()

async def main():
    await block()
    pid = os.fork()
    if pid == 0:
        # Nothing of the parent's is the child's, which has a loop of its own.
        os._exit(in_child())
    _, status = os.waitpid(pid, 0)
    await asyncio.sleep(0)
    await block()
    print(json.dumps({"child": os.waitstatus_to_exitcode(status), "worst": blocks.worst.name}))

def in_child():
    asyncio._set_running_loop(None)
    if blocks.worst is not None:
        return 2
    asyncio.run(block())
    return 0 if blocks.worst is not None else 3

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_parent_and_child_of_a_fork_are_watched(launch: Launcher) -> None:
    launch.write("app.py", FORKING)
    finished = launch(launch.python, "app.py")
    assert (finished.code, finished.err) == (0, "")
    assert finished.json == {"child": 0, "worst": "main"}


def test_the_interpreter_ends_while_it_watches(launch: Launcher) -> None:
    launch.write(
        "app.py",
        """
        import asyncio, threading, time
        import whence

        whence.attach(export=("none",), slow=1)

        async def forever():
            while True:
                await asyncio.sleep(0)
                time.sleep(0.002)

        def run():
            asyncio.run(forever())

        for _ in range(3):
            threading.Thread(target=run, daemon=True).start()
        time.sleep(0.3)
        """,
    )
    finished = launch(launch.python, "app.py")
    assert (finished.code, finished.err, finished.out) == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")
def test_what_a_callback_left_behind_by_an_exception_is_not_held_for_ever(
    run: Callable[..., Any],
) -> None:
    attach()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        loop.set_exception_handler(lambda *_: told.set())

        def fail() -> None:
            be_seen()
            raise LookupError

        loop.call_soon(fail)
        await told.wait()

    run(main())
    assert local.state.entered == 0
    assert blocks.worst is not None


WAITING_FOR_A_SIGNAL = """
import asyncio, os, signal
import whence

whence.attach(export=("none",))

async def main():
    # The watchdog is there.
    await asyncio.sleep(0.05)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0.05)
    print(signal.sigwait({signal.SIGUSR1}).name)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals for a thread")
def test_a_signal_that_the_program_waits_for_does_not_end_it(launch: Launcher) -> None:
    launch.write("app.py", WAITING_FOR_A_SIGNAL)
    finished = launch(launch.python, "app.py")
    assert (finished.code, finished.out) == (0, "SIGUSR1\n"), finished.err
