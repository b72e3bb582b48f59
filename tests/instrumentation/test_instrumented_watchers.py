"""Readers, writers and signal handlers of asyncio's own loops: handles that run again and again."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from stories import Executing, new_loop, run_recorded, story, until

from telling import told, turns
from whence.testing import record


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_reader_runs_again_and_again_until_it_is_removed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """SEMANTICS 6, the row of Reader."""
    ours, theirs = pair
    seen = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def read() -> None:
            seen()
            ours.recv(1)

        loop.add_reader(ours, read)
        for number in (1, 2):
            theirs.send(b"x")
            await until(lambda n=number: len(seen.ids) == n)  # type: ignore[misc]
        assert loop.remove_reader(ours)
        assert not loop.remove_reader(ours)

    events = run_recorded(main)
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
    """SEMANTICS 6, the row of Writer."""
    seen = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def write() -> None:
            seen()
            if len(seen.ids) == 2:
                loop.remove_writer(pair[0])

        loop.add_writer(pair[0], write)
        await until(lambda: len(seen.ids) == 2)
        await turns()

    events = run_recorded(main)
    (writer,) = events.ids("Writer")
    assert seen.ids == [writer, writer]
    assert events.names(writer) == [
        *("init", "before", "after", "before"),
        *("destroy", "after"),
    ]


@pytest.mark.parametrize(("add", "type_"), [("add_reader", "Reader"), ("add_writer", "Writer")])
def test_a_replaced_reader_or_writer_is_destroyed(
    pair: tuple[socket.socket, socket.socket], add: str, type_: str
) -> None:
    """SEMANTICS 6, the row of Reader and Writer."""
    with new_loop() as loop, record() as events:
        getattr(loop, add)(pair[0], int)
        getattr(loop, add)(pair[0], int)
        assert story(events, type_) == [
            f"init {type_}1 {type_} by top",
            f"init {type_}2 {type_} by top",
            f"destroy {type_}1",
        ]
        getattr(loop, add.replace("add", "remove"))(pair[0])
        assert story(events, type_)[-1] == f"destroy {type_}2"


def test_reader_and_writer_of_one_descriptor_are_two(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with new_loop() as loop, record() as events:
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


def test_a_descriptor_that_is_refused_leaves_nothing_open(tmp_path: Any) -> None:
    with new_loop() as loop, record() as events, open(tmp_path / "file", "w") as file:
        with pytest.raises(ValueError, match="Invalid file descriptor"):
            loop.add_reader(-1, int)
        with pytest.raises(PermissionError):
            loop.add_writer(file, int)
    assert story(events, "Reader", "Writer", "Handle") == [
        "init Reader1 Reader by top",
        "destroy Reader1",
        "init Writer1 Writer by top",
        "destroy Writer1",
    ]


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="loops have no signals there")


@needs_signals
def test_a_signal_handler_runs_as_often_as_the_signal_comes() -> None:
    """SEMANTICS 6, the row of SignalHandle."""
    seen = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, seen, "argument")
        for number in (1, 2):
            os.kill(os.getpid(), signal.SIGUSR1)
            await until(lambda n=number: len(seen.ids) == n)  # type: ignore[misc]
        assert loop.remove_signal_handler(signal.SIGUSR1)
        assert not loop.remove_signal_handler(signal.SIGUSR1)

    events = run_recorded(main)
    assert story(events, "SignalHandle") == [
        "init SignalHandle1 SignalHandle by Task1",
        "before SignalHandle1",
        "after SignalHandle1",
        "before SignalHandle1",
        "after SignalHandle1",
        "destroy SignalHandle1",
    ]
    assert set(seen.ids) == {events.ids("SignalHandle")[0]}


@needs_signals
def test_a_replaced_signal_handler_is_destroyed_and_a_refused_one_leaves_nothing() -> None:
    """SEMANTICS 6, the row of SignalHandle."""
    with new_loop() as loop, record() as events:
        loop.add_signal_handler(signal.SIGUSR1, int)
        loop.add_signal_handler(sig=signal.SIGUSR1, callback=int)
        with pytest.raises(RuntimeError, match="cannot be caught"):
            loop.add_signal_handler(signal.SIGKILL, int)
        with pytest.raises(TypeError, match="sig must be an int"):
            loop.add_signal_handler([], int)  # type: ignore[arg-type]
        loop.remove_signal_handler(signal.SIGUSR1)
    assert story(events, "SignalHandle", "Handle") == [
        "init SignalHandle1 SignalHandle by top",
        "init SignalHandle2 SignalHandle by top",
        "destroy SignalHandle1",
        "init SignalHandle3 SignalHandle by top",
        "destroy SignalHandle3",
        "destroy SignalHandle2",
    ]
