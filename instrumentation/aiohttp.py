"""Requests of an aiohttp server: one each, also on a keep-alive connection.

The request is the scope of the task that serves it, from the parsed head to the written response.
"""

from typing import Any

from aiohttp import web_protocol, web_urldispatcher, web_ws
from multidict import istr

from whence.engine import CANCELLED, FAILED, Lifetime, failed, local
from whence.engine.requests import (
    CARRIED,
    answered,
    asked,
    close_request,
    is_websocket,
    open_request,
    routed,
)
from whence.engine.resource_types import REQUEST

from .patching import Patches, calling, leave_traceback

_CARRIED = tuple(map(istr, CARRIED))
"""As headers of aiohttp's are found without a search for their case."""


def install(patches: Patches) -> None:
    """See each request being handled."""
    patches.take_over(web_protocol.RequestHandler, "_handle_request", _serving)
    patches.wrap(web_protocol.RequestHandler, "handle_error", _handle_error)
    patches.precede(web_urldispatcher.UrlMappingMatchInfo, "freeze", _freeze)
    patches.wrap(web_ws.WebSocketResponse, "_pre_start", _pre_start)


def _serving(original: Any, in_force: list[bool]) -> Any:
    serve, own_coroutine = calling(original), original.__qualname__

    async def _handle_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        outcome = CANCELLED
        scope = open_request(request, own_coroutine) if in_force[0] else None
        try:
            if scope is None:
                return await serve(self, request, *args, **kwargs)
            if scope.lifetime.created:
                _describe(scope.lifetime, request)
            result = await serve(self, request, *args, **kwargs)
            outcome = answered(scope.lifetime, _status(result))
            return result
        except BaseException as error:
            if scope is not None and isinstance(error, Exception):
                failed(scope.lifetime, error)
                outcome = FAILED
            leave_traceback(error)
            raise
        finally:
            if scope is not None:
                close_request(scope, outcome)
            del self, request, args, kwargs

    return _handle_request


def _describe(lifetime: Lifetime, request: Any) -> None:
    try:
        asked(lifetime, request.method, request.scheme, request.headers.get, _CARRIED)
    except Exception:
        """A request of the program's own making, which is none of aiohttp's: it has no name."""


def _status(result: Any) -> int:
    """Of the response, or of a tuple that begins with it."""
    try:
        status: int = (result[0] if isinstance(result, tuple) else result).status
    except (AttributeError, IndexError):
        return 0
    return status


def _freeze(match: Any) -> None:
    """The router has found what handles the request.  Not by getattr: the interpreter is quick at
    attributes that it sees, and this is done for every request."""
    try:
        resource = match.route.resource
        template = None if resource is None else resource.canonical
    except AttributeError:
        template = None
    routed(template, match.handler)


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
