"""Protocol classes: patched at first sight, called as before, and put back."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from stories import until

import whence
from telling import listening
from whence.instrumentation import protocols
from whence.instrumentation.patching import Patches, is_patched
from whence.testing import Events, record


class Base(asyncio.Protocol):
    """What several protocols have in common."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.transport: Any = None
        self.is_lost = False

    def note(self, callback: str) -> None:
        self.seen.append((callback, whence.execution_async_id()))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("connection_made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("connection_lost")
        self.is_lost = True


class Derived(Base):
    """Overrides one callback, calls another's base, has one of its own."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.note("made in the derived one")

    def data_received(self, data: bytes) -> None:
        self.note("data_received")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


async def connected(protocol: Any, pair: Pair) -> None:
    """Let a protocol be told of a connection, of data, and of the end."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, sock=pair[0])
    pair[1].send(b"x")
    await until(lambda: len(protocol.seen) > len(["connection_made"]))
    await asyncio.sleep(0.01)
    transport.close()
    await until(lambda: protocol.is_lost)


def run(protocol: Any, pair: Pair) -> Events:
    with record() as events:
        asyncio.run(connected(protocol, pair))
    return events


def the_transport(events: Events) -> int:
    (async_id,) = events.ids("Transport")
    return async_id


def test_callbacks_are_patched_where_they_are_defined_and_put_back(pair: Pair) -> None:
    before = {cls: dict(vars(cls)) for cls in (Base, Derived)}

    async def main() -> None:
        await connected(Derived(), pair)
        assert is_patched(vars(Base)["connection_lost"])
        assert is_patched(vars(Derived)["connection_made"])
        assert is_patched(vars(Derived)["data_received"])
        assert "connection_lost" not in vars(Derived)
        assert not is_patched(vars(asyncio.Protocol)["data_received"])

    with record():
        asyncio.run(main())
    for cls, attributes in before.items():
        assert dict(vars(cls)) == attributes
        assert all(vars(cls)[name] is value for name, value in attributes.items())


def test_an_overridden_callback_that_calls_its_base_is_one_callback(pair: Pair) -> None:
    protocol = Derived()
    events = run(protocol, pair)
    transport = the_transport(events)
    assert protocol.seen == [
        ("connection_made", transport),
        ("made in the derived one", transport),
        ("data_received", transport),
        ("connection_lost", transport),
    ]
    assert events.names(transport) == ["init", *["before", "after"] * 3, "destroy"]


def test_what_the_program_calls_itself_is_not_told_twice(pair: Pair) -> None:
    class Calling(Derived):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if len(data) == 1:
                self.data_received(b"called by itself")

    protocol = Calling()
    events = run(protocol, pair)
    assert [seen[0] for seen in protocol.seen].count("data_received") == 2
    assert events.names(the_transport(events)).count("before") == 3


def test_a_protocol_without_a_connection_is_called_straight_through(pair: Pair) -> None:
    protocol, other = Derived(), Derived()

    async def main() -> int:
        await connected(protocol, pair)
        other.data_received(b"x")
        return whence.execution_async_id()

    with record():
        main_id = asyncio.run(main())
    assert other.seen == [("data_received", main_id)]


def test_arguments_results_and_errors_pass(pair: Pair) -> None:
    class Odd(Derived):
        def data_received(self, data: bytes = b"default", *, more: int = 0) -> Any:
            super().data_received(data)
            if more:
                raise ValueError(more)
            return data

    protocol = Odd()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: protocol, sock=pair[0])
        assert protocol.data_received() == b"default"
        assert protocol.data_received(b"given") == b"given"
        with pytest.raises(ValueError, match="5"):
            protocol.data_received(more=5)
        transport.close()
        await until(lambda: protocol.is_lost)

    with record() as events:
        asyncio.run(main())
    assert {seen[1] for seen in protocol.seen} == {the_transport(events)}


def test_a_protocol_with_slots_and_one_without_weak_references_are_followed(pair: Pair) -> None:
    class Slotted(asyncio.Protocol):
        __slots__ = ("is_lost", "seen", "transport")

        __init__ = Base.__init__
        note = Base.note
        connection_made = Base.connection_made
        connection_lost = Base.connection_lost
        data_received = Derived.data_received

    protocol: Any = Slotted()
    with pytest.raises(TypeError):
        weakref.ref(protocol)
    transport = the_transport(run(protocol, pair))
    assert {seen[1] for seen in protocol.seen} == {transport}
    assert protocols.connections == {}


def test_the_callbacks_of_a_mock_stay_mocks(pair: Pair) -> None:
    received = mock.Mock()
    cls = type("Mocked", (Base,), {"data_received": received})
    protocol = cls()
    received.side_effect = lambda data: protocol.seen.append(("data_received", 0))
    events = run(protocol, pair)
    received.assert_called_once_with(b"x")
    assert vars(cls)["data_received"] is received
    assert the_transport(events) in {seen[1] for seen in protocol.seen}


def test_an_autospecced_callback_stays_what_the_test_has_made_it(pair: Pair) -> None:
    protocol = Derived()
    with mock.patch.object(Derived, "data_received", autospec=True) as received:
        received.side_effect = lambda self, data: self.seen.append(("data_received", 0))
        run(protocol, pair)
        received.assert_called_once_with(protocol, b"x")
    assert Derived.data_received.__name__ == "data_received"


def test_a_class_made_in_c_takes_no_patch_and_one_derived_from_it_does(pair: Pair) -> None:
    import io

    class Writing(io.BytesIO, Base):
        """`write` in C as a callback: a protocol whose methods come from a class made in C."""

        def __init__(self) -> None:
            io.BytesIO.__init__(self)
            Base.__init__(self)

    patches = Patches()
    before = protocols.CALLBACKS
    try:
        protocols.CALLBACKS = ("write", "connection_made")  # type: ignore[assignment]
        protocols.see(patches, Writing())
        assert is_patched(vars(Writing)["write"])
        protocol = Writing()
        assert protocol.write(b"written") == 7
        assert protocol.getvalue() == b"written"
    finally:
        protocols.CALLBACKS = before
        patches.undo()
    assert "write" not in vars(Writing)
    assert io.BytesIO().write(b"x") == 1


def test_a_class_that_refuses_is_left_alone(pair: Pair) -> None:
    class Closed(type):
        def __setattr__(cls, name: str, value: object) -> None:
            raise AttributeError("closed")

    class Refusing(Derived, metaclass=Closed):
        def data_received(self, data: bytes) -> None:
            self.note("data_received")

    protocol = Refusing()
    events = run(protocol, pair)
    assert [seen[0] for seen in protocol.seen][-1] == "connection_lost"
    assert [seen for seen in protocol.seen if seen[1] == the_transport(events)]


def test_a_hook_that_comes_and_goes_during_a_connection(pair: Pair) -> None:
    hook, events = listening()
    protocol = Derived()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        hook.enable()
        transport, _ = await loop.create_connection(lambda: protocol, sock=pair[0])
        hook.disable()
        assert not is_patched(vars(Derived)["data_received"])
        pair[1].send(b"x")
        await until(lambda: len(protocol.seen) == 3)
        hook.enable()
        pair[1].send(b"x")
        await until(lambda: len(protocol.seen) == 4)
        transport.close()
        await until(lambda: protocol.is_lost)
        hook.disable()

    asyncio.run(main())
    transport = the_transport(events)
    assert events.names(transport) == ["init", "before", "after", "destroy"]


def test_a_class_that_is_dropped_is_collected(pair: Pair) -> None:
    def short_lived() -> type:
        class Short(Derived):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)

        return Short

    with record():
        cls = short_lived()
        asyncio.run(connected(cls(), pair))
        reference = weakref.ref(cls)
        del cls
        gc.collect()
        assert reference() is None


def test_the_address_of_a_dead_protocol_means_nothing(pair: Pair) -> None:
    with record():
        for _ in range(3):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                asyncio.run(connected(Derived(), (ours, theirs)))
        assert protocols.connections == {}


def test_a_protocol_shared_by_two_connections_is_each_ones_in_turn(pair: Pair) -> None:
    shared = Derived()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            first, _ = await loop.create_connection(lambda: shared, sock=pair[0])
            second, _ = await loop.create_connection(lambda: shared, sock=ours)
            first.close()
            await until(lambda: shared.is_lost)
            shared.is_lost = False
            second.close()
            await until(lambda: shared.is_lost)
            await asyncio.sleep(0)

    with record() as events:
        asyncio.run(main())
    assert [events.names(i)[-1] for i in events.ids("Transport")] == ["destroy", "destroy"]
    assert protocols.connections == {}
