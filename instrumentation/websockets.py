"""Websockets of the library `websockets`: each is a request, from its handler's start to its end.

The library keeps the handler to itself, so that is replaced where a server is made.  A handshake
that is refused comes to no handler.
"""

from collections.abc import Callable
from typing import Any

from websockets.asyncio import server as servers
from websockets.exceptions import ConnectionClosedOK

from whence.engine import CANCELLED, DONE, FAILED, failed, instrumented, local
from whence.engine.requests import (
    answered,
    asked,
    close_request,
    is_websocket,
    open_request,
    routed,
)

from .patching import Patches, found, leave_traceback, looks_like

_TASKS = ("serve.<locals>.protocol_handler", "Server.conn_handler")
"""Coroutines of the task that the library makes for a connection, of this version and others."""

_SWITCHED = 101


def install(patches: Patches) -> None:
    """See servers being made."""
    serve = found(servers, "serve")
    if isinstance(serve, type):  # before websockets 17
        patches.wrap(serve, "__init__", _serve)
    else:
        patches.wrap(servers, "serve", _serve)


def _serve(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if args and callable(args[0]):
        return wrapped(_handling(args[0]), *args[1:], **kwargs)
    if callable(kwargs.get("handler")):
        return wrapped(*args, **{**kwargs, "handler": _handling(kwargs["handler"])})
    return wrapped(*args, **kwargs)


def _handling(handler: Callable[..., Any]) -> Callable[..., Any]:
    @looks_like(handler)
    async def handle(connection: Any) -> Any:
        scope = _open(connection, handler) if instrumented() else None
        if scope is None:
            return await handler(connection)
        outcome = CANCELLED
        try:
            result = await handler(connection)
            outcome = DONE
            return result
        except Exception as error:
            outcome = DONE
            if not isinstance(error, ConnectionClosedOK):
                failed(scope.lifetime, error)
                outcome = FAILED
            leave_traceback(error)
            raise
        finally:
            close_request(scope, outcome)
            del connection

    return handle


def _open(connection: Any, handler: Any) -> Any:
    task = local.state.current
    own = getattr(task, "name", None)
    scope = open_request(connection, own if own in _TASKS else "")
    if scope is not None:
        headers = connection.request.headers

        def header(name: str) -> str | None:
            # `get` refuses what was sent twice.
            return next(iter(headers.get_all(name)), None)

        secure = connection.transport.get_extra_info("ssl_object") is not None
        asked(scope.lifetime, "GET", "wss" if secure else "ws", header)
        is_websocket(scope.lifetime)
        answered(scope.lifetime, _SWITCHED)
        routed(None, handler)
    return scope
