"""What is left on a loop of uvloop that is closed."""

import asyncio
import gc
import signal
import socket
import weakref
from pathlib import Path

import pytest
from stories import until
from uvloops import new_uvloop

from whence.instrumentation.protocols import arriving, connections
from whence.testing import record

uvloop = pytest.importorskip("uvloop")

# That the program has left something open is what uvloop warns of; if that is made an error, its
# close() stops half-way and waits for ever, with whence or without.
warns_of_leftovers = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@warns_of_leftovers
def test_everything_left_on_a_loop_that_closes_is_destroyed_once(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, record() as events:
        loop = uvloop.new_event_loop()
        left: list[object] = []

        async def leave() -> None:
            path = str(tmp_path / "socket")
            left.append(await loop.create_unix_server(asyncio.Protocol, path))
            await loop.create_unix_connection(asyncio.Protocol, path)
            await until(lambda: len(events.ids("Transport")) == 2)
            loop.add_reader(ours, int)
            loop.add_writer(theirs, int)
            loop.add_signal_handler(signal.SIGUSR1, int)

        loop.run_until_complete(leave())
        left += [loop.call_soon(int), loop.call_later(10, int)]
        before = len(events)
        loop.close()
        destroyed = sorted(events.type_of(e[1]) for e in events[before:] if e[0] == "destroy")
        assert {e[0] for e in events[before:]} == {"destroy"}
        loop.close()
        left.clear()
    assert destroyed == [
        *("Handle", "Reader", "Server", "SignalHandle", "TimerHandle"),
        *("Transport", "Transport", "Writer"),
    ]
    assert all(events.names(i).count("destroy") == 1 for i in events.ids())
    gc.collect()
    assert (dict(connections), dict(arriving)) == ({}, {})


def test_a_loop_that_cannot_close_keeps_what_it_has() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(10, int)
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()
        assert events.names(events.ids("TimerHandle")[0]) == ["init"]
        timer.cancel()
        assert events.names(events.ids("TimerHandle")[0]) == ["init", "destroy"]

    with record() as events:
        uvloop.run(main())


def test_a_loop_is_collected_as_ever() -> None:
    def use() -> "weakref.ref[asyncio.AbstractEventLoop]":
        ours, theirs = socket.socketpair()
        with ours, theirs, new_uvloop() as loop:
            loop.add_reader(ours, int)
            loop.call_soon(loop.stop)
            loop.run_forever()
            return weakref.ref(loop)

    with record():
        reference = use()
        gc.collect()
        assert reference() is None
