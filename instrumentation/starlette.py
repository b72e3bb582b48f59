"""Routes of Starlette, and so of FastAPI: known as soon as the router has found one."""

from functools import partial
from types import FunctionType
from typing import Any

from starlette import routing

from whence.deferral import when_imported
from whence.engine.requests import mounted, routed

from .patching import Patches


def install(patches: Patches) -> None:
    """See routes being found."""
    patches.precede(routing.Route, "handle", _note_route)
    patches.precede(routing.WebSocketRoute, "handle", _note_route)
    patches.precede(routing.Mount, "handle", _note_mount)
    when_imported("fastapi.routing", partial(_see_fastapi, patches))


def _see_fastapi(patches: Patches) -> None:
    """Where an included router has routes of its own, it does not call Starlette's."""
    from fastapi.routing import APIRoute

    if "handle" in vars(APIRoute):
        patches.precede(APIRoute, "handle", _note_route)


def _note_route(route: Any, scope: Any = None, *_: Any, **__: Any) -> None:
    # Said for every request, and nearly all are of this kind.
    if type(scope) is dict and "fastapi" not in scope:
        template, endpoint = getattr(route, "path_format", None), getattr(route, "endpoint", None)
        if type(template) is str and type(endpoint) is FunctionType:
            routed(template, endpoint)
            return
    routed(_template(route, scope), _endpoint(route, scope))


def _template(route: Any, asgi_scope: Any) -> str | None:
    found = _as_included(route, asgi_scope)
    template = getattr(found, "path_format", None)
    return template if isinstance(template, str) else None


def _as_included(route: Any, asgi_scope: Any) -> Any:
    """A route that FastAPI has included in another router knows its own part of the path only."""
    try:
        of_fastapi = asgi_scope.get("fastapi")
        if of_fastapi is None:
            return route
        included = of_fastapi["effective_route_context"]
        return included if included.original_route is route else route
    except (AttributeError, KeyError, TypeError):
        return route


def _endpoint(route: Any, asgi_scope: Any) -> Any:
    """The program's function; of a class, its method."""
    endpoint = getattr(route, "endpoint", None)
    while isinstance(endpoint, partial):
        endpoint = endpoint.func
    if isinstance(endpoint, type):
        method = str(asgi_scope.get("method", "")).lower()
        return getattr(endpoint, method or "on_receive", None)
    return endpoint


def _note_mount(mount: Any, *_: Any, **__: Any) -> None:
    # Here ends the route of what has no routes of its own, such as a folder of files.
    routed(getattr(mount, "path_format", None), None)
    mounted(getattr(mount, "path", ""))
