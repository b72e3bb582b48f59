"""Requests of an aiohttp server: one each, also on a keep-alive connection.

The request is the scope of the task that serves it, from the parsed head to the written response.
Named by method and route template; never by a path with values.
"""

from typing import Any

from aiohttp import web_protocol

from whence.engine import (
    CANCELLED,
    DONE,
    FAILED,
    Scope,
    SpanLifetime,
    close_scope,
    failed,
    hide,
    local,
    open_scope,
)
from whence.engine.types import REQUEST

from .patching import Patches

_CARRIED = ("traceparent", "tracestate", "baggage", "b3", "uber-trace-id", "x-b3-traceid")
"""Headers that may name a remote parent; the sender thread reads them as OTEL_PROPAGATORS says."""


_OWN_TASK = "RequestHandler._handle_request"
"""The task that aiohttp makes for a request has no more to say than the request itself."""


def install(patches: Patches) -> None:
    """See each request being handled."""
    patches.wrap(web_protocol.RequestHandler, "_handle_request", _handle_request)
    patches.wrap(web_protocol.RequestHandler, "handle_error", _handle_error)


async def _handle_request(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    request = args[0]
    state = local.state
    scope = open_scope(state, REQUEST, request)
    if scope is None:
        return await wrapped(*args, **kwargs)
    if isinstance(scope.task, SpanLifetime) and scope.task.name == _OWN_TASK:
        hide(scope.task)
    outcome = CANCELLED
    try:
        response, reset = await wrapped(*args, **kwargs)
        outcome = _describe(scope, request, response)
        return response, reset
    except Exception as error:
        failed(scope.lifetime, error)
        outcome = FAILED
        raise
    finally:
        close_scope(local.state, scope, outcome)
        args = request = None


def _describe(scope: Scope, request: Any, response: Any) -> str:
    """Set what is known only now: the router has matched, the status is sent."""
    lifetime = scope.lifetime
    status: int = getattr(response, "status", 0)
    if isinstance(lifetime, SpanLifetime):
        route = _route(request)
        lifetime.name = f"{request.method} {route}" if route else request.method
        # Where a person looks for it; that aiohttp made it is no news.
        lifetime.code, lifetime.lasti = _handler_code(request) or lifetime.code, 0
        lifetime.attributes = {
            "http.request.method": request.method,
            "http.response.status_code": status,
            "url.path": request.path,
            "url.scheme": request.scheme,
            "carrier": {key: request.headers[key] for key in _CARRIED if key in request.headers},
        }
        if route:
            lifetime.attributes["http.route"] = route
        if status >= 500 and lifetime.error is None:
            lifetime.error = (str(status), getattr(response, "reason", None) or "")
    return FAILED if status >= 500 else DONE


def _route(request: Any) -> str | None:
    resource = getattr(getattr(request, "match_info", None), "route", None)
    canonical: str | None = getattr(getattr(resource, "resource", None), "canonical", None)
    return canonical


def _handler_code(request: Any) -> Any:
    handler = getattr(getattr(request, "match_info", None), "handler", None)
    return getattr(getattr(handler, "__func__", handler), "__code__", None)


def _handle_error(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    error = args[2] if len(args) > 2 else kwargs.get("exc")
    if isinstance(error, Exception) and local.state.current.type is REQUEST:
        failed(local.state.current, error)
    return wrapped(*args, **kwargs)
