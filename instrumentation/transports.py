"""Connections of asyncio's selector loops: from the transport's construction to `connection_lost`.

Sockets, datagram sockets and pipes.  An accepted connection is triggered by its Server, every other
one by what executes.  It ends when its protocol has been told that it is lost; over TLS, when the
program's protocol has, which talks to the SSLProtocol, which talks to the transport.
"""

import sys
from asyncio import base_events, selector_events
from asyncio.base_subprocess import WriteSubprocessPipeProto
from collections.abc import Iterator
from types import CodeType
from typing import Any
from weakref import ref

from whence.engine import (
    CLOSED,
    Lifetime,
    SpanLifetime,
    Token,
    clock,
    create,
    end,
    end_span,
    hide,
    local,
)
from whence.engine.resource_types import DATAGRAM_TRANSPORT, TRANSPORT
from whence.engine.stream_transports import STREAM_METHODS, STREAM_TRANSPORT

from .patching import Patches, found, looks_like
from .protocols import connect, connections, disconnect, is_told_of_the_beginning, see, stack

try:
    from asyncio import unix_events
except ImportError:  # Windows
    unix_events = None  # type: ignore[assignment]

_patches: Patches

_DATAGRAMS: Any = selector_events._SelectorDatagramTransport  # type: ignore[attr-defined]

_connecting: dict[int, tuple[Any, int]] = {}
"""Address of the frame of a coroutine that connects -> a weak reference to it, and since when."""

_connecting_code: set[CodeType | None] = set()
"""The code of such coroutines."""

_DEEP_ENOUGH = 10
"""Frames to look at, from a transport's constructor out to what connects."""


def install(patches: Patches) -> None:
    """See transports being made, given another protocol, and lost."""
    global _patches
    _patches = patches
    _read_and_write(patches)
    for transport in _transports():
        patches.wrap(transport, "__init__", _init)
        patches.wrap(transport, "set_protocol", _set_protocol)
        patches.wrap(transport, "_call_connection_lost", _call_connection_lost)
    for loop, name in _methods_that_connect():
        _connecting_code.add(getattr(found(loop, name), "__code__", None))
        patches.wrap(loop, name, _connect)
    patches.on_undo(connections.clear)
    patches.on_undo(_connecting.clear)


def _read_and_write(patches: Patches) -> None:
    """Do what asyncio's methods do, faster; not where somebody has replaced them."""
    for name, (stock, make) in STREAM_METHODS.items():
        if found(STREAM_TRANSPORT, name) is stock:
            patches.replace(STREAM_TRANSPORT, name, looks_like(stock)(make(stock)))


def _transports() -> Iterator[type]:
    yield selector_events._SelectorTransport  # type: ignore[attr-defined]
    if unix_events is not None:
        yield unix_events._UnixReadPipeTransport  # type: ignore[attr-defined]
        yield unix_events._UnixWritePipeTransport  # type: ignore[attr-defined]


def _methods_that_connect() -> Iterator[tuple[type, str]]:
    yield base_events.BaseEventLoop, "create_connection"
    if unix_events is not None:
        yield unix_events._UnixSelectorEventLoop, "create_unix_connection"


def _connect(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    """The coroutine goes on as it is; a table knows when it was made."""
    coroutine = wrapped(*args, **kwargs)
    frame = getattr(coroutine, "cr_frame", None)
    if frame is not None:
        key = id(frame)

        def forget(_: object) -> None:
            _connecting.pop(key, None)

        _connecting[key] = ref(coroutine, forget), clock()
    return coroutine


def _connecting_since() -> int | None:
    """When what makes this transport began to connect."""
    frame = sys._getframe(2)
    for _ in range(_DEEP_ENOUGH):
        if frame.f_code in _connecting_code:
            return _connecting.get(id(frame), (None, None))[1]
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None


def _init(wrapped: Any, transport: Any, args: Any, kwargs: Any) -> None:
    state = local.state
    if state.muted:
        wrapped(*args, **kwargs)
        return
    # Before the constructor schedules `connection_made`.
    see(_patches, args[2] if len(args) > 2 else kwargs.get("protocol"))
    wrapped(*args, **kwargs)
    row = DATAGRAM_TRANSPORT if isinstance(transport, _DATAGRAMS) else TRANSPORT
    server = getattr(transport, "_server", None)
    accepted: Token | None = getattr(server, "_whence", None)
    trigger = state.current if accepted is None else accepted.lifetime
    lifetime = create(state, row, transport, trigger)
    if isinstance(lifetime, SpanLifetime):
        _describe(lifetime, transport, server)
    transport._whence = Token(lifetime)
    _talk(lifetime, transport, transport._protocol)
    if isinstance(lifetime, SpanLifetime) and lifetime.name == "connect":
        _connected(lifetime, transport._protocol)


def _describe(lifetime: SpanLifetime, transport: Any, server: Any) -> None:
    if unix_events is not None and not isinstance(transport, selector_events._SelectorTransport):  # type: ignore[attr-defined]
        lifetime.name = "pipe"
        if isinstance(transport._protocol, WriteSubprocessPipeProto):
            hide(lifetime)
    elif lifetime.type is TRANSPORT:
        since = _connecting_since() if server is None else None
        lifetime.name = "accept" if since is None else "connect"
        if since is not None:
            # Not before the task that connects: the coroutine is older.
            task = local.state.current
            lifetime.created = max(since, task.created)
            lifetime.attributes = {"kind": "client"}


def _connected(lifetime: SpanLifetime, protocol: object) -> None:
    """The span ends when the program's protocol is told; at once, if it does not want to be."""
    *_, told = stack(protocol)
    connection = connections.get(id(told))
    if connection is not None and is_told_of_the_beginning(told):
        connection.connects = True
    else:
        end_span(lifetime)


def _talk(lifetime: Lifetime, transport: Any, protocol: object) -> None:
    for spoken in stack(protocol):
        see(_patches, spoken)
        connect(lifetime, transport, spoken)


def _set_protocol(wrapped: Any, transport: Any, args: Any, kwargs: Any) -> None:
    token: Token | None = getattr(transport, "_whence", None)
    before = getattr(transport, "_protocol", None)
    wrapped(*args, **kwargs)
    if token is not None:
        for silent in stack(before):
            disconnect(token.lifetime, silent)
        _talk(token.lifetime, transport, transport._protocol)


def _call_connection_lost(wrapped: Any, transport: Any, args: Any, kwargs: Any) -> Any:
    token: Token | None = getattr(transport, "_whence", None)
    if token is None:
        return wrapped(*args, **kwargs)
    protocol: object = None
    told = list(stack(transport._protocol))
    try:
        return wrapped(*args, **kwargs)
    finally:
        lifetime = token.lifetime
        for protocol in told:
            connection = connections.get(id(protocol))
            if connection is not None and connection.lifetime is lifetime and connection.lost:
                break
            disconnect(lifetime, protocol)
        else:
            end(local.state, lifetime, CLOSED)
        del told, protocol
