"""TLS of asyncio's own loops: the SSLProtocol between a transport and the program's protocol."""

from asyncio import sslproto
from typing import Any

from whence.engine import CLOSED, Token, create, end, local
from whence.engine.resource_types import SSL_PROTOCOL

from .patching import Patches
from .protocols import connect, connections, is_told_of_the_end, see

_patches: Patches


def install(patches: Patches) -> None:
    """See TLS connections begin and end, and which protocol of the program's talks over them."""
    global _patches
    _patches = patches
    patches.wrap(sslproto.SSLProtocol, "__init__", _init)
    patches.wrap(sslproto.SSLProtocol, "_set_app_protocol", _set_app_protocol)
    patches.wrap(sslproto.SSLProtocol, "connection_lost", _connection_lost)


def _init(wrapped: Any, protocol: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    state = local.state
    if not state.muted:
        protocol._whence = Token(create(state, SSL_PROTOCOL, protocol, state.current))


def _set_app_protocol(wrapped: Any, protocol: Any, args: Any, kwargs: Any) -> None:
    connection = connections.get(id(protocol))
    if not local.state.muted:
        # Before it keeps the callbacks of a BufferedProtocol.
        see(_patches, args[0] if args else kwargs.get("app_protocol"))
    wrapped(*args, **kwargs)
    if connection is not None:
        connect(connection.lifetime, connection.transport(), protocol._app_protocol)


def _connection_lost(wrapped: Any, protocol: Any, args: Any, kwargs: Any) -> None:
    before, app_protocol = protocol._app_state, protocol._app_protocol
    try:
        wrapped(*args, **kwargs)
    finally:
        if protocol._app_state is not before and is_told_of_the_end(app_protocol):
            connection = connections.get(id(app_protocol))
            if connection is not None:
                connection.wait_for(app_protocol)
        token: Token | None = getattr(protocol, "_whence", None)
        if token is not None:
            end(local.state, token.lifetime, CLOSED)
        app_protocol = None
