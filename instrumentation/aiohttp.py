"""Requests of an aiohttp server: one each, also on a keep-alive connection.

The request is the scope of the task that serves it, from the parsed head to the written response.
"""

from typing import Any

from aiohttp import web_protocol, web_urldispatcher, web_ws

from whence.engine import CANCELLED, FAILED, failed, local
from whence.engine.resource_types import REQUEST

from .patching import Patches
from .requests import answered, asked, close_request, is_websocket, open_request, routed


def install(patches: Patches) -> None:
    """See each request being handled."""
    patches.wrap(web_protocol.RequestHandler, "_handle_request", _handle_request)
    patches.wrap(web_protocol.RequestHandler, "handle_error", _handle_error)
    patches.wrap(web_urldispatcher.UrlMappingMatchInfo, "freeze", _freeze)
    patches.wrap(web_ws.WebSocketResponse, "_pre_start", _pre_start)


async def _handle_request(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs.get("request")
    scope = open_request(request, wrapped.__qualname__)
    if scope is None:
        return await wrapped(*args, **kwargs)
    asked(scope.lifetime, request.method, request.scheme, request.headers.get)
    outcome = CANCELLED
    try:
        result = await wrapped(*args, **kwargs)
        response = result[0] if isinstance(result, tuple) else result
        outcome = answered(scope.lifetime, getattr(response, "status", 0))
        return result
    except Exception as error:
        failed(scope.lifetime, error)
        outcome = FAILED
        raise
    finally:
        close_request(scope, outcome)
        del args, kwargs, request


def _freeze(wrapped: Any, match: Any, args: Any, kwargs: Any) -> Any:
    """The router has found what handles the request."""
    canonical = getattr(getattr(match.route, "resource", None), "canonical", None)
    routed(canonical, match.handler)
    return wrapped(*args, **kwargs)


def _pre_start(wrapped: Any, response: Any, args: Any, kwargs: Any) -> Any:
    """The handshake has been read, and is about to be answered."""
    result = wrapped(*args, **kwargs)
    if local.state.current.type is REQUEST:
        is_websocket(local.state.current)
    return result


def _handle_error(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    """A status of 400 tells of what the customer has sent, which is no failure."""
    error = args[2] if len(args) > 2 else kwargs.get("exc")
    status = args[1] if len(args) > 1 else kwargs.get("status", 500)
    is_request = local.state.current.type is REQUEST
    if is_request and isinstance(error, Exception) and status >= 500:
        failed(local.state.current, error)
    return wrapped(*args, **kwargs)
