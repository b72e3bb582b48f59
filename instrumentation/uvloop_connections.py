"""Connections of uvloop, datagram sockets and pipes: `connection_made` to `connection_lost`.

An accepted connection is triggered by its Server, every other one by the task that opens it.  Over
TLS the program talks to a transport on top of another; the one below is the resource, as on
asyncio's own loops.
"""

from collections.abc import Callable
from gc import get_referents
from typing import Any

import uvloop

from whence.engine import CLOSED, Lifetime, SpanLifetime, create, end, local
from whence.engine.resource_types import DATAGRAM_TRANSPORT, SSL_PROTOCOL, TRANSPORT, ResourceType

from .patching import Patches, leave_traceback
from .protocols import Connection, connections, disconnect, see
from .uvloop_arrivals import TOLD, Arrival, expecting
from .uvloop_leftovers import Leftovers, left_on
from .uvloop_sealed import replace_sealed, sealed

_patches: Patches

IMPOSSIBLE = {
    "a connection before its `connection_made`, so one that fails, or whose TLS handshake does": (
        "uvloop shows its transport to nobody before"
    ),
    "TLS handshakes and records": "they happen in C",
    "the transport as the resource in `connection_lost` over TLS": "uvloop has dropped it by then",
    "connections from before the first hook, and of servers from before": (
        "the transport keeps the protocol's callbacks, the server the protocol factory"
    ),
    "several connections of one protocol object at once": (
        "its callbacks are not told of which they are; all execute as the last one"
    ),
    "callbacks that a protocol has as attributes of its own, or makes up when asked": (
        "its class has none to patch"
    ),
}

CONNECT = "connect"

_METHODS = {
    "create_connection": CONNECT,
    "create_unix_connection": CONNECT,
    "connect_accepted_socket": "accept",
    "connect_read_pipe": "pipe",
    "connect_write_pipe": "pipe",
    "create_datagram_endpoint": None,
}
"""Method of the loop -> the name of the transport that it makes."""


def install(patches: Patches) -> None:
    """See transports come, change their protocol, and be lost."""
    global _patches
    _patches = patches
    for method, name in _METHODS.items():
        patches.wrap(uvloop.Loop, method, expecting(patches, begin, name))
    patches.wrap(uvloop.Loop, "start_tls", _start_tls)
    for transport in (sealed.UVBaseTransport, sealed._SSLProtocolTransport):
        replace_sealed(patches, transport, "set_protocol", _setting_protocol)
    patches.on_undo(connections.clear)


class _Connection(Connection):
    """Ends when its protocol is told so, and the TLS on it with it."""

    __slots__ = ("tls",)

    def __init__(self, lifetime: Lifetime, transport: Any, protocol: object) -> None:
        super().__init__(lifetime, transport, protocol)
        self.lost = True
        self.tls: Lifetime | None = None

    def told(self, protocol: object) -> None:
        """`connection_lost` has been called."""
        super().told(protocol)
        if self.tls is not None:
            end(local.state, self.tls, CLOSED)


def begin(arrival: Arrival, protocol: Any, transport: Any) -> None:
    """init of a transport, and of the TLS on it."""
    state = local.state
    if state.muted:
        return
    tls, name, leftovers = _tls_of(transport), arrival.expected.name, arrival.expected.leftovers
    carrier = transport if tls is None else _carrier_of(tls)
    lifetime = create(state, _row_of(carrier), carrier, arrival.trigger)
    arrival.expected.placed(lifetime)
    leftovers.hold(carrier, lifetime)
    connection = connections[id(protocol)] = _Connection(lifetime, carrier, protocol)
    if isinstance(lifetime, SpanLifetime):
        lifetime.name = name
        if name == CONNECT:
            connection.connects = True
            lifetime.created = max(arrival.expected.since, arrival.trigger.created)
            lifetime.attributes = {"kind": "client"}
    if tls is not None:
        _begin_tls(connection, tls, carrier, leftovers)


def _row_of(transport: Any) -> ResourceType:
    return DATAGRAM_TRANSPORT if isinstance(transport, sealed.UDPTransport) else TRANSPORT


def _tls_of(transport: Any) -> Any:
    if isinstance(transport, sealed._SSLProtocolTransport):
        return transport.get_extra_info("uvloop.sslproto")
    return None


def _carrier_of(tls: Any) -> Any:
    """The transport that this TLS goes over, or that the TLS below it does; only the collector
    knows it.  What the program talks to is a transport as well."""
    for referent in get_referents(tls):
        below = _tls_of(referent)
        if isinstance(referent, sealed.UVBaseTransport):
            return referent
        if below is not None and below is not tls:
            return _carrier_of(below)
    return None


def _begin_tls(connection: _Connection, tls: Any, carrier: Any, leftovers: Leftovers) -> None:
    connection.tls = create(local.state, SSL_PROTOCOL, tls, connection.lifetime)
    leftovers.hold(carrier, connection.tls)


async def _start_tls(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    """The connection goes on, with another transport for the program to talk to."""
    transport = args[0] if args else kwargs.get("transport")
    protocol = args[1] if len(args) > 1 else kwargs.get("protocol")
    if hasattr(transport, "get_protocol") and protocol is not None:
        see(_patches, protocol, TOLD)
        _hand_over(transport.get_protocol(), protocol)
    upgraded = await wrapped(*args, **kwargs)
    connection, tls = connections.get(id(protocol)), _tls_of(upgraded)
    if isinstance(connection, _Connection) and tls is not None and not local.state.muted:
        _begin_tls(connection, tls, connection.transport(), left_on(loop))
    return upgraded


def _setting_protocol(original: Any) -> Callable[[Any, Any], None]:
    def set_protocol(self: Any, protocol: Any) -> None:
        before = self.get_protocol()
        # `start_tls` puts one of these between; the program's protocol stays the connection's.
        is_tls = isinstance(protocol, sealed.SSLProtocol)
        try:
            if not is_tls:
                see(_patches, protocol, TOLD)
            original(self, protocol)
        except BaseException as error:
            leave_traceback(error)
            raise
        if not is_tls:
            _hand_over(before, protocol)

    return set_protocol


def _hand_over(before: Any, protocol: Any) -> None:
    """From now on this protocol is told what the other was."""
    connection = connections.get(id(before))
    if isinstance(connection, _Connection) and protocol is not before:
        carrier = connection.transport()
        if carrier is not None:
            disconnect(connection.lifetime, before)
            successor = _Connection(connection.lifetime, carrier, protocol)
            successor.tls = connection.tls
            connections[id(protocol)] = successor
