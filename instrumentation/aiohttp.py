"""Requests of an aiohttp server: one each, also on a keep-alive connection.

The request is the scope of the task that serves it, from the parsed head to the written response.
Named by method and route template; never by a path with values.
"""

from typing import Any

from aiohttp import web_protocol, web_urldispatcher

from whence.engine import (
    CANCELLED,
    DONE,
    FAILED,
    Lifetime,
    Scope,
    SpanLifetime,
    close_scope,
    failed,
    hide,
    local,
    open_scope,
)
from whence.engine.resource_types import REQUEST

from .patching import Patches

_CARRIED = ("traceparent", "tracestate", "baggage", "b3", "uber-trace-id", "x-b3-traceid")
"""Headers that may name a remote parent; the sender thread reads them as OTEL_PROPAGATORS says."""


_OWN_TASK = "RequestHandler._handle_request"
"""The task that aiohttp makes for a request has no more to say than the request itself."""


def install(patches: Patches) -> None:
    """See each request being handled."""
    patches.wrap(web_protocol.RequestHandler, "_handle_request", _handle_request)
    patches.wrap(web_protocol.RequestHandler, "handle_error", _handle_error)
    patches.wrap(web_urldispatcher.UrlMappingMatchInfo, "freeze", _freeze)


async def _handle_request(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs.get("request")
    scope = _open(request)
    if scope is None:
        return await wrapped(*args, **kwargs)
    outcome = CANCELLED
    try:
        result = await wrapped(*args, **kwargs)
        outcome = _answered(scope.lifetime, result)
        return result
    except Exception as error:
        failed(scope.lifetime, error)
        outcome = FAILED
        raise
    finally:
        close_scope(local.state, scope, outcome)
        del args, kwargs, request


def _open(request: Any) -> Scope | None:
    try:
        scope = open_scope(local.state, REQUEST, request)
    except TypeError:
        # A request of the program's own making that takes no weak references.
        return None
    if scope is not None and isinstance(scope.lifetime, SpanLifetime):
        if isinstance(scope.task, SpanLifetime) and scope.task.name == _OWN_TASK:
            hide(scope.task)
        scope.lifetime.name = request.method
        scope.lifetime.attributes = {
            "http.request.method": request.method,
            "url.path": request.path,
            "url.scheme": request.scheme,
            "carrier": {key: request.headers[key] for key in _CARRIED if key in request.headers},
        }
    return scope


def _freeze(wrapped: Any, match: Any, args: Any, kwargs: Any) -> Any:
    """The router has found what handles the request."""
    lifetime = local.state.current
    if isinstance(lifetime, SpanLifetime) and lifetime.type is REQUEST and lifetime.attributes:
        canonical: str | None = getattr(getattr(match.route, "resource", None), "canonical", None)
        if canonical:
            lifetime.name = f"{lifetime.attributes['http.request.method']} {canonical}"
            lifetime.attributes = {**lifetime.attributes, "http.route": canonical}
        # Where a person looks for it; that aiohttp made it is no news.
        code = getattr(getattr(match.handler, "__func__", match.handler), "__code__", None)
        if code is not None:
            lifetime.code, lifetime.lasti = code, 0
    return wrapped(*args, **kwargs)


def _answered(lifetime: Lifetime, result: Any) -> str:
    response = result[0] if isinstance(result, tuple) else result
    status: int = getattr(response, "status", 0)
    if isinstance(lifetime, SpanLifetime) and lifetime.attributes is not None:
        # Another dictionary each time: the sender thread may be reading the one before.
        lifetime.attributes = {**lifetime.attributes, "http.response.status_code": status}
        if status >= 500 and lifetime.error is None:
            lifetime.error = (str(status), getattr(response, "reason", None) or "")
    return FAILED if status >= 500 else DONE


def _handle_error(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    error = args[2] if len(args) > 2 else kwargs.get("exc")
    if isinstance(error, Exception) and local.state.current.type is REQUEST:
        failed(local.state.current, error)
    return wrapped(*args, **kwargs)
