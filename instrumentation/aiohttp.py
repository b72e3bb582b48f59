"""Requests of an aiohttp server: one each, also on a keep-alive connection.

The request is the scope of the task that serves it, from the parsed head to the written response.
"""

from typing import Any

from aiohttp import web_protocol, web_urldispatcher, web_ws
from multidict import istr

from whence.engine import CANCELLED, FAILED, Scope, failed, local
from whence.engine.requests import (
    CARRIED,
    asked,
    begin_request,
    close_request,
    end_request,
    is_websocket,
    open_request,
    routed,
)
from whence.engine.resource_types import REQUEST

from .patching import Patches, calling, leave_traceback, parameters_of

_CARRIED = tuple(map(istr, CARRIED))
"""As headers of aiohttp's are found without a search for their case."""

_PARAMETERS = ("self", "request", "start_time", "request_handler")


def install(patches: Patches) -> None:
    """See each request being handled."""
    patches.take_over(web_protocol.RequestHandler, "_handle_request", _serving)
    patches.wrap(web_protocol.RequestHandler, "handle_error", _handle_error)
    match = web_urldispatcher.UrlMappingMatchInfo
    patches.take_over(match, "freeze", _freezing, is_async=False)
    patches.wrap(web_ws.WebSocketResponse, "_pre_start", _pre_start)


def _serving(original: Any, in_force: list[bool]) -> Any:
    if parameters_of(original) != _PARAMETERS:
        return _serving_with_any(original, in_force)
    serve, own_coroutine = calling(original), original.__qualname__

    async def _handle_request(
        self: Any, request: Any, start_time: Any, request_handler: Any
    ) -> Any:
        scope = _begin(request, own_coroutine) if in_force[0] else None
        try:
            result = await serve(self, request, start_time, request_handler)
            if scope is not None:
                end_request(scope, _status(result))
            return result
        except BaseException as error:
            _end_with(scope, error)
            raise
        finally:
            del self, request, request_handler

    return _handle_request


def _serving_with_any(original: Any, in_force: list[bool]) -> Any:
    """The same of an aiohttp that gives more to know, or less; for this one, it takes too long."""
    serve, own_coroutine = calling(original), original.__qualname__

    async def _handle_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        scope = _begin(request, own_coroutine) if in_force[0] else None
        try:
            result = await serve(self, request, *args, **kwargs)
            if scope is not None:
                end_request(scope, _status(result))
            return result
        except BaseException as error:
            _end_with(scope, error)
            raise
        finally:
            del self, request, args, kwargs

    return _handle_request


def _begin(request: Any, own_coroutine: str) -> Scope | None:
    try:
        return begin_request(
            request,
            own_coroutine,
            request._method,
            "https" if request._transport_sslcontext else "http",
            request._message.raw_headers or (),
        )
    except AttributeError:
        return _begin_other(request, own_coroutine)


def _begin_other(request: Any, own_coroutine: str) -> Scope | None:
    """Of a request of the program's own making, as far as it says what aiohttp's do."""
    scope = open_request(request, own_coroutine)
    if scope is not None:
        try:
            asked(scope.lifetime, request.method, request.scheme, request.headers.get, _CARRIED)
        except Exception:
            """It has no name."""
    return scope


def _end_with(scope: Scope | None, error: BaseException) -> None:
    if scope is not None:
        if isinstance(error, Exception):
            failed(scope.lifetime, error)
        close_request(scope, FAILED if isinstance(error, Exception) else CANCELLED)
    leave_traceback(error)


def _status(result: Any) -> int:
    """Of the response, or of a tuple that begins with it."""
    try:
        status: int = (result[0] if isinstance(result, tuple) else result).status
    except (AttributeError, IndexError):
        return 0
    return status


def _freezing(original: Any, in_force: list[bool]) -> Any:
    def freeze(self: Any) -> Any:
        if in_force[0]:
            _found(self)
        return original(self)

    return freeze


def _found(match: Any) -> None:
    """The router has found what handles the request.  Not by getattr: the interpreter is quick at
    attributes that it sees, and this is done for every request."""
    try:
        route = match.route
        resource = route.resource
        routed(None if resource is None else resource.canonical, route.handler)
    except Exception:
        """A match or a route of the program's own making."""


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
