"""Protocol callbacks run as their transport: the protocol's class is patched at first sight.

Instance attributes, `__class__` swaps and proxies each miss callbacks or break programs; a function
on the class that defines the callback does neither.  It looks its protocol up in a table by
address: an entry is made when the transport gets the protocol, replaced when the address is used
again, and taken out when the connection is lost or the transport collected.  A protocol that is not
in the table is called straight through, and so is one that is executing already.
"""

from asyncio import protocols, sslproto
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

from whence.engine import CLOSED, Lifetime, end, end_span, local
from whence.engine.connected import Connected, connected
from whence.engine.protocols import as_transport

from .patching import Patches, is_method, is_patched, leave_traceback, looks_like

CALLBACKS = (
    "connection_made",
    "connection_lost",
    "data_received",
    "eof_received",
    "get_buffer",
    "buffer_updated",
    "pause_writing",
    "resume_writing",
    "datagram_received",
    "error_received",
    "pipe_data_received",
    "pipe_connection_lost",
    "process_exited",
)


class Connection(Connected):
    """What a protocol's callbacks run as, until the connection is lost."""

    __slots__ = ("_until", "connects", "lost")

    def __init__(self, lifetime: Lifetime, transport: Any, protocol: object) -> None:
        self.lifetime = lifetime
        self.connects = False
        """The program opened it: its span is the connecting."""
        key = id(protocol)

        def collected(_: object) -> None:
            """The transport is gone, and was never told that its connection is lost."""
            # Not of `self`, or it would be a cycle.
            _disconnect(lifetime, key)

        self.transport = ref(transport, collected)
        self.lost = False
        """The transport is lost already, and its end waits for this protocol to be told."""

    def wait_for(self, protocol: object) -> None:
        """Let the end of the transport wait for this protocol to be told, and the transport too."""
        self.lost = True
        transport, key = self.transport(), id(protocol)
        lifetime = self.lifetime
        self.transport = lambda: transport
        try:
            self._until = ref(protocol, lambda _: _disconnect(lifetime, key))
        except TypeError:
            """Without weak references, and sure to be told but for a loop that closes now."""

    def told(self, protocol: object) -> None:
        """The protocol has been told of an end, of the connection or of a process."""
        if self.lost:
            disconnect(self.lifetime, protocol)
            end(local.state, self.lifetime, CLOSED)


connections: dict[int, Connection] = connected  # type: ignore[assignment]
"""Address of a protocol -> its connection."""

arriving: dict[int, Callable[[Any, Any], None]] = {}
"""Address of a protocol -> what to call with it and with the transport that its `connection_made`
is given, by a loop that shows no transport before; it takes the entry out."""


def stack(protocol: object) -> Iterator[object]:
    """The protocols that talk to each other over a connection, from its transport upwards."""
    while protocol is not None:
        yield protocol
        protocol = (
            getattr(protocol, "_app_protocol", None)
            if isinstance(protocol, sslproto.SSLProtocol)
            else None
        )


def connect(lifetime: Lifetime, transport: Any, protocol: object) -> None:
    """Have the protocol's callbacks run as this transport from now on."""
    connections[id(protocol)] = Connection(lifetime, transport, protocol)


def disconnect(lifetime: Lifetime, protocol: object) -> None:
    """Have them run as whatever calls them; nothing if they run as another transport's already."""
    _disconnect(lifetime, id(protocol))


def _disconnect(lifetime: Lifetime, key: int) -> None:
    connection = connections.get(key)
    if connection is not None and connection.lifetime is lifetime:
        del connections[key]


def is_told_of_the_beginning(protocol: object) -> bool:
    """Whether this protocol's `connection_made` ends the span of connecting."""
    return is_patched(getattr(type(protocol), "connection_made", None))


def is_told_of_the_end(protocol: object) -> bool:
    """Whether this protocol's `connection_lost` ends its connection."""
    return is_patched(getattr(type(protocol), "connection_lost", None))


def see(patches: Patches, protocol: object, even_default: tuple[str, ...] = ()) -> None:
    """Patch the callbacks of this protocol's class, each where it is defined; asyncio's own, which
    do nothing, only if they are named."""
    cls = type(protocol)
    key = id(cls), even_default
    known = _seen.get(key)
    if known is not None and known() is cls:
        return
    if not _seen:
        patches.on_undo(_seen.clear)
    _seen[key] = ref(cls, lambda _: _seen.pop(key, None))
    for name in CALLBACKS:
        for owner in cls.__mro__:
            callback = vars(owner).get(name)
            if callback is None:
                continue
            is_default = owner.__module__ == protocols.__name__
            if is_method(callback) and (not is_default or name in even_default):
                _patch(patches, cls, owner, name, callback)
            break


_seen: dict[tuple[int, tuple[str, ...]], Callable[[], type | None]] = {}
"""Classes whose callbacks are patched, by address: a class may be anything but hashable.  What is
put on one later is what the program, or its test, wants to be called."""


def _patch(patches: Patches, cls: type, owner: type, name: str, callback: Any) -> None:
    if is_patched(callback):
        return
    patched = _BY_NAME.get(name, _as_transport)(callback)
    # A class made in C or Cython takes no patch; one derived from it does.
    if not patches.replace(owner, name, patched):
        patches.replace(cls, name, patched)


def _as_transport(callback: Any) -> Callable[..., Any]:
    return looks_like(callback)(as_transport(callback))


def _ending(callback: Any) -> Callable[..., Any]:
    """`connection_lost`, which over TLS comes a turn after the transport's own end."""
    run = _as_transport(callback)

    @looks_like(callback)
    def tell_the_end(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = connections.get(id(self))
        if connection is not None and connection.lifetime is local.state.current:
            # The protocol tells itself, or a method that this one overrides.
            connection = None
        try:
            return run(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            if connection is not None:
                connection.told(self)
            del self, args, kwargs

    return tell_the_end


def _making(callback: Any) -> Callable[..., Any]:
    """`connection_made`, with which connecting is over."""
    run = _as_transport(callback)

    @looks_like(callback)
    def _run(self: Any, *args: Any, **kwargs: Any) -> Any:
        arrive = arriving.get(id(self))
        if arrive is not None:
            arrive(self, args[0] if args else kwargs.get("transport"))
        connection = connections.get(id(self))
        try:
            return run(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            if connection is not None and connection.connects:
                end_span(connection.lifetime)
            del self, args, kwargs, arrive

    return _run


_BY_NAME = {
    "connection_made": _making,
    "connection_lost": _ending,
    "process_exited": _ending,
}
