"""Requests of uvicorn: HTTP with h11 or httptools, websockets with any of its three libraries.

uvicorn loads the one that it is configured for, so each is waited for.
"""

import sys
from functools import partial
from typing import Any

from whence.deferral import when_imported
from whence.engine import CANCELLED, local
from whence.engine.requests import hide_own_task

from .asgi import begin, note_answers
from .patching import Patches, calling, leave_traceback, parameters_of

_IMPLEMENTATIONS = {
    "uvicorn.protocols.http.h11_impl": ("RequestResponseCycle", "send"),
    "uvicorn.protocols.http.httptools_impl": ("RequestResponseCycle", "send"),
    "uvicorn.protocols.http.zttp_impl": ("RequestResponseCycle", "send"),
    "uvicorn.protocols.http.zttp_h2_impl": ("RequestResponseCycle", "send"),
    "uvicorn.protocols.websockets.websockets_impl": ("WebSocketProtocol", "asgi_send"),
    "uvicorn.protocols.websockets.websockets_sansio_impl": ("WebSocketsSansIOProtocol", "send"),
    "uvicorn.protocols.websockets.wsproto_impl": ("WSProtocol", "send"),
}
"""Module -> the class whose `run_asgi` serves a request, and its method that the application calls
to answer."""

_UTILS = "uvicorn.protocols.utils"

_GUNICORNS_MAIN = "UvicornWorker._serve"


def install(patches: Patches) -> None:
    """See each request being served, whatever parses it."""
    when_imported("uvicorn.server", partial(_see_server, patches))
    for name, (owner, send) in _IMPLEMENTATIONS.items():
        when_imported(name, partial(_see, patches, name, owner, send))


def _see(patches: Patches, module: str, owner: str, send: str) -> None:
    cycle = getattr(sys.modules[module], owner, None)
    if cycle is None:
        patches.skipped[f"{module}.{owner}"] = "absent"
        return
    patches.take_over(cycle, "run_asgi", _serving)
    note_answers(patches, cycle, send)


def _see_server(patches: Patches) -> None:
    patches.wrap(sys.modules["uvicorn.server"].Server, "serve", _serve)


async def _serve(wrapped: Any, server: Any, args: Any, kwargs: Any) -> Any:
    """As `uvicorn`, `uvicorn.run` and its worker of gunicorn have it, the server is the main task.
    It is no trace: it lives as long as the process, and looks ten times a second whether to end."""
    for main in (wrapped.__qualname__, _GUNICORNS_MAIN):
        hide_own_task(local.state.current, main)
    return await wrapped(*args, **kwargs)


def _serving(original: Any, in_force: list[bool]) -> Any:
    if parameters_of(original) != ("self", "app"):
        return _serving_its_own(original, in_force)
    run, own_coroutine = calling(original), original.__qualname__

    async def run_asgi(self: Any, app: Any) -> Any:
        served = None
        outcome = CANCELLED
        try:
            if in_force[0]:
                asgi_scope = getattr(self, "scope", None)
                served = begin(app, asgi_scope, self, own_coroutine, _is_peaceful)
                del asgi_scope
            if served is None:
                return await run(self, app)
            result = await run(self, served.call)
            outcome = served.outcome
            return result
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            if served is not None:
                served.finish(outcome)
            del self, app, served

    return run_asgi


def _serving_its_own(original: Any, in_force: list[bool]) -> Any:
    """The same of what may have the application already."""
    run, own_coroutine = calling(original), original.__qualname__

    async def run_asgi(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("app")
        application: Any = getattr(self, "app", None) if given is None else given
        outcome = CANCELLED
        served = None
        try:
            if in_force[0] and application is not None:
                asgi_scope = getattr(self, "scope", None)
                served = begin(application, asgi_scope, self, own_coroutine, _is_peaceful)
                del asgi_scope
            if served is None:
                return await run(self, *args, **kwargs)
            if given is None:
                self.app = served.call
                result = await run(self)
            else:
                result = await run(self, served.call)
            outcome = served.outcome
            return result
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            if served is not None:
                served.finish(outcome)
                if given is None:
                    self.app = application
            del self, args, kwargs, given, application, served

    return run_asgi


def _is_peaceful(error: BaseException) -> bool:
    return isinstance(error, getattr(sys.modules.get(_UTILS), "ClientDisconnected", ()))
