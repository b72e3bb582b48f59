"""Subprocesses of asyncio: from their start to their exit."""

import asyncio
import signal
import sys
from asyncio import base_subprocess
from typing import Any

import pytest
from stories import run_recorded, story, until

import whence
from telling import recorded
from whence.engine import open_lifetimes, recorder, ring
from whence.testing import record

PYTHON = sys.executable


def test_a_subprocess_lives_from_its_start_to_its_exit() -> None:
    """SEMANTICS 6, the row of Process."""

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(PYTHON, "-c", "print(5)", stdout=-1)
        assert story(events, "Process") == ["init Process1 Process by Task1"]
        assert (await process.communicate())[0] == b"5\n"
        assert process.returncode == 0

    with record() as events:
        asyncio.run(main())
    assert story(events, "Process") == ["init Process1 Process by Task1", "destroy Process1"]


@pytest.mark.parametrize("how", ["kill", "terminate", "fails", "shell"])
def test_a_subprocess_ends_once_however_it_ends(how: str) -> None:
    """SEMANTICS 6, the row of Process; 7.2."""

    async def main() -> None:
        if how == "shell":
            process = await asyncio.create_subprocess_shell("exit 0")
        elif how == "fails":
            process = await asyncio.create_subprocess_exec(PYTHON, "-c", "exit(3)")
        else:
            sleeping = "import time; print(flush=True); time.sleep(60)"
            process = await asyncio.create_subprocess_exec(PYTHON, "-c", sleeping, stdout=-1)
            assert process.stdout is not None
            await process.stdout.readline()
            getattr(process, how)()
        expected = {"kill": -signal.SIGKILL, "terminate": -signal.SIGTERM, "fails": 3, "shell": 0}
        assert await process.wait() == expected[how]
        with pytest.raises(ProcessLookupError):
            process.kill()

    assert story(run_recorded(main), "Process") == [
        "init Process1 Process by Task1",
        "destroy Process1",
    ]


def test_a_subprocess_that_cannot_start_is_none() -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nowhere/to/be/found")

    events = run_recorded(main)
    assert story(events, "Process") == []
    open_ones = [i for i in events.ids() if "destroy" not in events.names(i)]
    assert [events.type_of(i) for i in open_ones if events.type_of(i) != "Future"] == []


def test_a_protocol_of_the_programs_hears_of_its_subprocess() -> None:
    class Protocol(asyncio.SubprocessProtocol):
        def __init__(self) -> None:
            self.seen: list[tuple[int, bytes]] = []
            self.exited: Any = asyncio.get_running_loop().create_future()
            self.trigger = 0

        def pipe_data_received(self, fd: int, data: bytes) -> None:
            self.seen.append((fd, data))
            self.trigger = whence.trigger_async_id()

        def process_exited(self) -> None:
            self.exited.set_result(None)

    async def main() -> Protocol:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            Protocol, PYTHON, "-c", "print('said')", stdin=None, stderr=None
        )
        await protocol.exited
        await until(lambda: protocol.seen)
        transport.close()
        return protocol

    with record() as events:
        protocol = asyncio.run(main())
    assert [seen[0] for seen in protocol.seen][:1] == [1]
    assert b"".join(seen[1] for seen in protocol.seen).startswith(b"said")
    assert events.type_of(protocol.trigger) == "Transport"
    assert [events.names(i) for i in events.ids("Process")] == [["init", "destroy"]]


def test_the_pipes_of_a_subprocess_are_connections_that_end() -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            PYTHON, "-c", "print(input())", stdin=-1, stdout=-1, stderr=-1
        )
        assert await process.communicate(b"said\n") == (b"said\n", b"")

    events = run_recorded(main)
    pipes = events.ids("Transport")
    assert len(pipes) == 3
    assert [events.names(i)[-1] for i in pipes] == ["destroy"] * 3


def test_what_is_recorded_is_the_programs_name_and_never_its_arguments() -> None:
    async def main() -> None:
        for process in (
            await asyncio.create_subprocess_exec(PYTHON, "-c", "exit('secret')", stderr=-3),
            await asyncio.create_subprocess_shell("exit 0 # secret"),
        ):
            await process.wait()

    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        try:
            asyncio.run(main())
        finally:
            recorder.min_duration = before
        spans = [span for span in ring.drain(10_000) if span.type.name == "Process"]
        found = {span.name: span for span in spans}
    name = PYTHON.rpartition("/")[2]
    assert sorted(str(each) for each in found) == sorted([name, "shell"])
    assert (found[name].attributes or {})["process.exit.code"] == 1
    assert (found[name].outcome, found["shell"].outcome) == ("failed", "done")
    assert "secret" not in repr([span.attributes for span in spans])


def test_nothing_is_left_open_after_subprocesses_without_pipes() -> None:
    async def main() -> None:
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(PYTHON, "-c", "")
            await process.wait()

    with recorded():
        asyncio.run(main())
        # On 3.11 a thread waits for each, and may still be about to end.
        assert {lifetime.type.name for lifetime in open_lifetimes.values()} <= {"Thread"}


def test_a_subprocess_older_than_the_hook_exits_as_ever() -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(PYTHON, "-c", "input()", stdin=-1)
        with record() as events:
            assert process.stdin is not None
            process.stdin.close()
            assert await process.wait() == 1
        assert story(events, "Process") == []

    asyncio.run(main())


def test_the_methods_of_subprocess_transports_are_put_back() -> None:
    transport = base_subprocess.BaseSubprocessTransport
    names = ("__init__", "_process_exited")
    before = [vars(transport)[name] for name in names]
    with record():
        assert [vars(transport)[name] for name in names] != before
    assert [vars(transport)[name] for name in names] == before


def test_the_future_that_asyncio_makes_for_no_pipe_is_not_left_over() -> None:
    """It never settles it; the report would count it among those of the program."""
    from whence.engine.resource_types import FUTURE

    async def main() -> None:
        for stdin in (None, -1, asyncio.subprocess.DEVNULL):
            process = await asyncio.create_subprocess_exec(PYTHON, "-c", "", stdin=stdin)
            await process.communicate(b"" if process.stdin else None)

    whence.attach(export=("none",))
    try:
        leaked, open_before = FUTURE.leaked, FUTURE.created - FUTURE.destroyed
        asyncio.run(main())
        assert FUTURE.leaked == leaked
        assert FUTURE.created - FUTURE.destroyed == open_before
    finally:
        whence.detach()
