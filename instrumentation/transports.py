"""Connections of asyncio's selector loops: from the transport's construction to `connection_lost`.

An accepted one is triggered by its Server, another by what executes; both end when their protocol
has been told that the connection is lost.  The span of an outgoing connection begins with
`create_connection` and ends with `connection_made`.
"""

from asyncio import base_events, selector_events
from typing import Any
from weakref import ref

from whence.engine import CLOSED, Lifetime, SpanLifetime, clock, create, end, local
from whence.engine.types import TRANSPORT

from .patching import Patches
from .protocols import Connection, connections, see

_patches: Patches

_connecting: dict[int, int] = {}
"""Id of the task that is connecting -> since when."""


def install(patches: Patches) -> None:
    """See the methods that make transports, and the one that loses them."""
    global _patches
    _patches = patches
    loop = selector_events.BaseSelectorEventLoop
    patches.wrap(loop, "_make_socket_transport", _make_socket_transport)
    transport = selector_events._SelectorTransport  # type: ignore[attr-defined]
    patches.wrap(transport, "_call_connection_lost", _call_connection_lost)
    patches.wrap(base_events.BaseEventLoop, "create_connection", _create_connection)
    patches.on_undo(connections.clear)


async def _create_connection(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    task = local.state.current.async_id
    _connecting[task] = clock()
    try:
        return await wrapped(*args, **kwargs)
    finally:
        _connecting.pop(task, None)


def _make_socket_transport(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    protocol = args[1] if len(args) > 1 else kwargs["protocol"]
    state = local.state
    if state.muted:
        return wrapped(*args, **kwargs)
    see(_patches, protocol)
    transport = wrapped(*args, **kwargs)
    server = getattr(kwargs.get("server"), "_whence", None)
    lifetime = create(state, TRANSPORT, transport, server or state.current)
    if isinstance(lifetime, SpanLifetime):
        _describe(lifetime, accepted=kwargs.get("server") is not None)
    transport._whence = lifetime
    connections[id(protocol)] = Connection(lifetime, ref(transport))
    return transport


def _describe(lifetime: SpanLifetime, accepted: bool) -> None:
    if accepted:
        lifetime.name = "accept"
        return
    lifetime.name = "connect"
    since = _connecting.pop(lifetime.execution_async_id, None)
    if since is not None:
        lifetime.created = since
    lifetime.attributes = {"kind": "client"}


def _call_connection_lost(wrapped: Any, transport: Any, args: Any, kwargs: Any) -> Any:
    protocol = transport._protocol
    try:
        return wrapped(*args, **kwargs)
    finally:
        lifetime: Lifetime | None = getattr(transport, "_whence", None)
        if lifetime is not None:
            connection = connections.get(id(protocol))
            if connection is not None and connection.lifetime is lifetime:
                del connections[id(protocol)]
            end(local.state, lifetime, CLOSED)
