"""Subprocesses on uvloop: from connection_made to their exit."""

import asyncio
import signal
import sys
from typing import Any

import pytest
from stories import Executing, story, until
from uvloops import run_on_uvloop

import whence
from whence.testing import record

uvloop = pytest.importorskip("uvloop")

PYTHON = sys.executable


@pytest.mark.parametrize("shell", [False, True])
def test_a_process_lives_until_it_exits(shell: bool) -> None:
    async def main() -> None:
        if shell:
            process = await asyncio.create_subprocess_shell("exit 3")
        else:
            process = await asyncio.create_subprocess_exec(PYTHON, "-c", "exit(3)")
        assert story(events, "Process")[0] == "init Process1 Process by Task1"
        assert await process.wait() == 3
        await until(lambda: story(events, "Process")[-1] == "destroy Process1")

    with record() as events:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
        names = events.names(events.ids("Process")[0])
    assert names.count("init") == names.count("destroy") == 1
    assert names[-1] == "destroy"


def test_communicating_and_killing_end_a_process_once() -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            PYTHON, "-c", "print(input())", stdin=-1, stdout=-1, stderr=-1
        )
        assert await process.communicate(b"hello\n") == (b"hello\n", b"")
        process = await asyncio.create_subprocess_exec(PYTHON, "-c", "input()", stdin=-1)
        process.kill()
        assert await process.wait() == -signal.SIGKILL

    events = run_on_uvloop(main)
    for async_id in events.ids("Process"):
        names = events.names(async_id)
        assert names.count("init") == names.count("destroy") == 1
        assert events.trigger_of(async_id) == events.ids("Task")[0]


def test_a_program_that_is_not_there_has_no_events() -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nowhere/to/be/found")

    assert run_on_uvloop(main).ids("Process") == []


def test_a_protocol_of_the_programs_executes_as_the_process_until_it_has_exited() -> None:
    class Watching(asyncio.SubprocessProtocol):
        def __init__(self) -> None:
            self.seen = {name: Executing() for name in ("made", "data", "exited")}
            self.lost = False

        def connection_made(self, transport: Any) -> None:
            self.seen["made"]()
            self.transport = transport

        def pipe_data_received(self, fd: int, data: bytes) -> None:
            if not self.seen["data"].ids:
                self.transport.get_pipe_transport(0).write(b"x\n")
            self.seen["data"]()

        def process_exited(self) -> None:
            self.seen["exited"]()

        def connection_lost(self, exc: BaseException | None) -> None:
            self.lost = True

    async def main() -> None:
        loop = asyncio.get_running_loop()
        program = "print('ready', flush=True); input()"
        transport, protocol = await loop.subprocess_exec(Watching, PYTHON, "-c", program)
        await until(lambda: protocol.lost)
        got.append((transport, protocol))

    got: list[Any] = []
    events = run_on_uvloop(main)
    ((transport, protocol),) = got
    (process,) = events.ids("Process")
    for notes in protocol.seen.values():
        assert set(notes.ids) == {process}
        assert set(notes.resources) == {transport}
    assert protocol.transport is transport


# Made an error, the warning would have uvloop's close() wait for ever, with whence or without.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_process_left_when_its_loop_closes_ends_with_it() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.subprocess_exec(asyncio.SubprocessProtocol, "cat")

    with record() as events:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
            assert story(events, "Process")[-1] != "destroy Process1"
        assert story(events, "Process")[-1] == "destroy Process1"


def test_what_a_span_of_a_process_says() -> None:
    from whence.engine import SpanLifetime, open_lifetimes

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "100")
        spans = [s for s in open_lifetimes.values() if s.type.name == "Process"]
        process.kill()
        await process.wait()
        found.extend(spans)
        pids.append(process.pid)

    found: list[Any] = []
    pids: list[int] = []
    whence.attach(export=("none",))
    try:
        uvloop.run(main())
    finally:
        whence.detach()
    (span,) = found
    assert isinstance(span, SpanLifetime)
    assert span.name == "sleep"
    assert span.attributes == {"process.pid": pids[0], "process.exit.code": -signal.SIGKILL}
    assert span.outcome == "failed"


def test_on_uvloop_the_future_that_asyncio_makes_for_no_pipe_is_not_left_over() -> None:
    """It never settles it; the report would count it among those of the program."""
    from whence.engine.resource_types import FUTURE

    async def main() -> None:
        for stdin in (None, -1, asyncio.subprocess.DEVNULL):
            process = await asyncio.create_subprocess_exec(PYTHON, "-c", "", stdin=stdin)
            await process.communicate(b"" if process.stdin else None)

    whence.attach(export=("none",))
    try:
        leaked, open_before = FUTURE.leaked, FUTURE.created - FUTURE.destroyed
        uvloop.run(main())
        assert FUTURE.leaked == leaked
        assert FUTURE.created - FUTURE.destroyed == open_before
    finally:
        whence.detach()
