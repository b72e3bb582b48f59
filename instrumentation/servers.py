"""Servers: from their construction to `close()`."""

from asyncio import base_events
from typing import Any

from whence.engine import CLOSED, Token, create, end, local
from whence.engine.resource_types import SERVER

from .patching import Patches


def install(patches: Patches) -> None:
    """See `asyncio.Server`, whatever listening method made it."""
    patches.wrap(base_events.Server, "__init__", _init)
    patches.wrap(base_events.Server, "close", _close)


def _init(wrapped: Any, server: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    state = local.state
    if state.muted:
        return
    server._whence = Token(create(state, SERVER, server, state.current))


def _close(wrapped: Any, server: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    token: Token | None = getattr(server, "_whence", None)
    if token is not None:
        end(local.state, token.lifetime, CLOSED)
