"""Readers, writers and signal handlers on uvloop."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from stories import Executing, story, until
from uvloops import new_uvloop, run_on_uvloop

from telling import told, turns
from whence.testing import record

pytest.importorskip("uvloop")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_a_reader_runs_again_and_again_until_it_is_removed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    seen = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def read(*args: object) -> None:
            seen(*args)
            ours.recv(1)

        loop.add_reader(ours, read, "argument")
        for number in (1, 2):
            theirs.send(b"x")
            await until(lambda n=number: len(seen.ids) == n)  # type: ignore[misc]
        loop.remove_reader(ours)
        loop.remove_reader(ours)

    events = run_on_uvloop(main)
    (reader,) = set(seen.ids)
    assert told(events.of(reader), reader=reader, main=events.ids("Task")[0]) == [
        "init reader Reader by main",
        "before reader",
        "after reader",
        "before reader",
        "after reader",
        "destroy reader",
    ]


def test_a_writer_runs_until_it_is_removed_also_by_itself(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    seen = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def write() -> None:
            seen()
            if len(seen.ids) == 2:
                loop.remove_writer(pair[0].fileno())

        loop.add_writer(pair[0], write)
        await until(lambda: len(seen.ids) == 2)
        await turns()

    events = run_on_uvloop(main)
    (writer,) = events.ids("Writer")
    assert seen.ids == [writer, writer]
    assert events.names(writer) == ["init", "before", "after", "before", "destroy", "after"]


@pytest.mark.parametrize(("kind", "type_"), [("reader", "Reader"), ("writer", "Writer")])
def test_a_replaced_reader_or_writer_is_destroyed(
    pair: tuple[socket.socket, socket.socket], kind: str, type_: str
) -> None:
    with new_uvloop() as loop, record() as events:
        getattr(loop, f"add_{kind}")(pair[0], int)
        getattr(loop, f"add_{kind}")(fileobj=pair[0].fileno(), callback=int)
        assert story(events, type_) == [
            f"init {type_}1 {type_} by top",
            f"init {type_}2 {type_} by top",
            f"destroy {type_}1",
        ]
        getattr(loop, f"remove_{kind}")(fileobj=pair[0])
        assert story(events, type_)[-1] == f"destroy {type_}2"


def test_reader_and_writer_of_one_descriptor_are_two(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with new_uvloop() as loop, record() as events:
        loop.add_reader(pair[0], int)
        loop.add_writer(pair[0], int)
        loop.remove_reader(pair[0])
        loop.remove_writer(pair[0])
    assert story(events, "Reader", "Writer") == [
        "init Reader1 Reader by top",
        "init Writer1 Writer by top",
        "destroy Reader1",
        "destroy Writer1",
    ]


def test_a_reader_that_fails_executes_until_its_loop_has_told_so(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    telling = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: telling())

        def fail() -> None:
            ours.recv(1)
            raise ValueError("on purpose")

        loop.add_reader(ours, fail)
        for number in (1, 2):
            theirs.send(b"x")
            await until(lambda n=number: len(telling.ids) == n)  # type: ignore[misc]
        loop.remove_reader(ours)

    events = run_on_uvloop(main)
    (reader,) = events.ids("Reader")
    assert telling.ids == [reader, reader]
    assert events.names(reader) == [*("init", "before", "after", "before", "after", "destroy")]


def test_what_the_loop_refuses_has_no_events() -> None:
    with new_uvloop() as loop, record() as events:
        with pytest.raises(ValueError, match="Invalid file descriptor"):
            loop.add_reader(-1, int)
        with pytest.raises(ValueError, match="Invalid file object"):
            loop.add_writer("file", int)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            loop.add_reader(0)  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="Invalid file descriptor"):
            loop.remove_reader(-1)
        with pytest.raises(RuntimeError, match="cannot be caught"):
            loop.add_signal_handler(signal.SIGKILL, int)
        with pytest.raises(TypeError, match="sig must be an int"):
            loop.add_signal_handler("INT", int)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            loop.add_signal_handler(signal.SIGUSR1, asyncio.sleep, 1)
        with pytest.raises(RuntimeError, match="SIGCHLD"):
            loop.add_signal_handler(signal.SIGCHLD, int)
    assert events == []


def test_a_signal_handler_runs_as_often_as_the_signal_comes() -> None:
    seen = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, seen, "argument")
        for number in (1, 2):
            os.kill(os.getpid(), signal.SIGUSR1)
            await until(lambda n=number: len(seen.ids) == n)  # type: ignore[misc]
        assert loop.remove_signal_handler(signal.SIGUSR1)
        assert not loop.remove_signal_handler(signal.SIGUSR1)

    events = run_on_uvloop(main)
    assert story(events, "SignalHandle") == [
        "init SignalHandle1 SignalHandle by Task1",
        "before SignalHandle1",
        "after SignalHandle1",
        "before SignalHandle1",
        "after SignalHandle1",
        "destroy SignalHandle1",
    ]
    assert set(seen.ids) == {events.ids("SignalHandle")[0]}


def test_a_replaced_signal_handler_is_destroyed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, int)
        loop.add_signal_handler(sig=signal.SIGUSR1, callback=int)
        loop.remove_signal_handler(sig=signal.SIGUSR1)

    assert story(run_on_uvloop(main), "SignalHandle") == [
        "init SignalHandle1 SignalHandle by Task1",
        "init SignalHandle2 SignalHandle by Task1",
        "destroy SignalHandle1",
        "destroy SignalHandle2",
    ]


def test_a_handler_that_stays_when_it_is_removed_outside_of_the_loop_stays_open() -> None:
    with new_uvloop() as loop, record() as events:
        loop.add_signal_handler(signal.SIGUSR1, int)
        # As long as it does not run, the loop removes none.
        assert not loop.remove_signal_handler(signal.SIGUSR1)
        assert story(events, "SignalHandle") == ["init SignalHandle1 SignalHandle by top"]
        loop.close()
        assert story(events, "SignalHandle")[-1] == "destroy SignalHandle1"


def test_a_reader_from_before_the_first_hook_is_removed_as_ever(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    got: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(pair[0], lambda: got.append(pair[0].recv(1)))
        with record() as events:
            pair[1].send(b"x")
            await until(lambda: got)
            loop.remove_reader(pair[0])
            pair[1].send(b"x")
            await turns()
        assert got == [b"x"]
        assert events.ids("Reader") == []

    run_on_uvloop(main)
