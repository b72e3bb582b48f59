"""Brackets in C of protocols' callbacks: their edges."""

import asyncio
import gc
import os
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import whence
from telling import recorded
from whence.engine import RecordedLifetime, local, site, twin
from whence.engine.connected import Connected, connected
from whence.engine.events import create
from whence.engine.protocols import as_transport
from whence.engine.resource_types import TRANSPORT
from whence.testing import record

if not twin.IN_C:
    pytest.skip("the engine in C is not in use", allow_module_level=True)


class Transport:
    """Stands for one; what executes refers to it."""


class Protocol:
    """Notes what executes while it is told something."""

    def told(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Give it back."""
        return (
            whence.execution_async_id(),
            whence.execution_async_resource(),
            local.state.current.resource,
            args,
            kwargs,
        )

    told = as_transport(told)

    def left(self) -> None:
        """Fail."""
        raise LookupError("on purpose")

    left = as_transport(left)


@pytest.fixture
def protocol() -> Iterator[Any]:
    protocol = Protocol()
    yield protocol
    connected.pop(id(protocol), None)


def connect(protocol: Any, transport: Any) -> Connected:
    connection = Connected()
    connection.lifetime = create(local.state, TRANSPORT, transport, local.state.current)
    connection.transport = weakref.ref(transport)
    connected[id(protocol)] = connection
    return connection


def test_it_executes_as_its_transport(protocol: Any) -> None:
    transport = Transport()
    with record() as events:
        lifetime = connect(protocol, transport).lifetime
        executing, *resources, args, kwargs = protocol.told(1, 2, key=3)
        assert executing == lifetime.async_id
        assert resources == [transport, transport]
        assert (args, kwargs) == ((1, 2), {"key": 3})
        with pytest.raises(LookupError, match="on purpose"):
            protocol.left()
    assert whence.execution_async_id() == 1
    assert lifetime.resource is None
    assert events.names(lifetime.async_id) == ["init", *["before", "after"] * 2]


def test_an_exception_of_its_shows_the_program_alone(protocol: Any) -> None:
    with record():
        transport = Transport()
        connect(protocol, transport)
        with pytest.raises(LookupError) as caught:
            protocol.left()
    assert [str(entry.path) for entry in caught.traceback] == [__file__, __file__]
    assert caught.value.__context__ is None


@pytest.mark.parametrize("how", ["gone", "failing", "none"])
def test_a_transport_that_cannot_be_had_is_no_resource(protocol: Any, how: str) -> None:
    class Failing(Connected):
        __slots__ = ()

        def transport(self) -> Any:
            raise LookupError("no transport")

    with record() as events:
        transport = Transport()
        connection = connect(protocol, transport)
        if how == "gone":
            del transport
        elif how == "failing":
            failing = connected[id(protocol)] = Failing()
            failing.lifetime = connection.lifetime
        else:
            del connection.transport
        executing, resource, *_ = protocol.told()
    assert executing == connection.lifetime.async_id
    assert resource is None
    assert events.names(executing) == ["init", "before", "after"]


def test_it_executes_as_what_is_in_the_table_now(protocol: Any) -> None:
    first, second = Transport(), Transport()
    with record():
        connection = connect(protocol, first)
        seen = [protocol.told()[1] for _ in range(2)]
        connect(protocol, second)
        seen += [protocol.told()[1] for _ in range(2)]
        del connected[id(protocol)]
        assert [protocol.told()[0] for _ in range(2)] == [1, 1]
        connected[id(protocol)] = connection
        seen.append(protocol.told()[1])
        connected.clear()
        assert protocol.told()[0] == 1
    assert seen == [first, first, second, second, first]


def test_each_of_many_protocols_executes_as_its_own_transport() -> None:
    protocols = [Protocol() for _ in range(3000)]
    transports = [Transport() for _ in protocols]
    try:
        with record():
            for protocol, transport in zip(protocols, transports, strict=True):
                connect(protocol, transport)
            for _ in range(2):
                assert [protocol.told()[1] for protocol in protocols] == transports
    finally:
        for protocol in protocols:
            connected.pop(id(protocol), None)


def test_what_is_no_connection_is_called_straight_through(protocol: Any) -> None:
    with record() as events:
        for nothing in (Connected(), object(), None):
            connected[id(protocol)] = nothing  # type: ignore[assignment]
            assert protocol.told()[0] == 1
    assert events == []


def test_a_connection_has_a_lifetime_and_a_transport_and_nothing_else() -> None:
    connection = Connected()
    for name in ("lifetime", "transport", "anything"):
        with pytest.raises(AttributeError):
            getattr(connection, name)
    with pytest.raises(TypeError, match="expected a Lifetime"):
        connection.lifetime = 5  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        connection.anything = 5  # type: ignore[attr-defined]


def test_a_connection_in_a_cycle_is_collected() -> None:
    class Derived(Connected):
        """Takes weak references and attributes."""

    connection: Any = Derived()
    connection.transport = connection
    reference = weakref.ref(connection)
    del connection
    gc.collect()
    assert reference() is None


def test_a_protocol_that_forks_goes_on_in_both_processes() -> None:
    class Forking:
        def told(self) -> int:
            child = os.fork()
            gc.collect()
            return child

        told = as_transport(told)

    with record() as events:
        forking, transport = Forking(), Transport()
        connect(forking, transport)
        child = forking.told()
        if child == 0:
            os._exit(0 if local.state.current.async_id == 1 else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert events.names(events.ids()[0]) == ["init", "before", "after"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_it_creates_in_the_loops_own_code_is_not_what_started_the_loop(loop: str) -> None:
    """A server's task is made by asyncio's streams, as its connection is made."""
    if loop == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop
    else:
        factory = asyncio.new_event_loop
    lifetimes: list[Any] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lifetimes.append(local.state.current)
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(host, port)
            await reader.read()
            writer.close()

    def starting_the_loop() -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    with recorded():
        starting_the_loop()
    (lifetime,) = lifetimes
    assert isinstance(lifetime, RecordedLifetime)
    made = site(lifetime.code, lifetime.lasti)
    assert made is None or made.function.endswith("main")
    assert local.state.current.async_id == 1
