"""Requests of uvicorn: HTTP with h11 or httptools, websockets with any of its three libraries.

uvicorn loads the one that it is configured for, so each is waited for.
"""

import sys
from functools import partial
from typing import Any

from whence.deferral import when_imported
from whence.engine import local
from whence.engine.requests import hide_own_task

from .asgi import Application, note_sent, serve
from .patching import Patches

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
    patches.wrap(cycle, "run_asgi", _run_asgi)
    patches.wrap(cycle, send, note_sent)


def _see_server(patches: Patches) -> None:
    patches.wrap(sys.modules["uvicorn.server"].Server, "serve", _serve)


async def _serve(wrapped: Any, server: Any, args: Any, kwargs: Any) -> Any:
    """As `uvicorn`, `uvicorn.run` and its worker of gunicorn have it, the server is the main task.
    It is no trace: it lives as long as the process, and looks ten times a second whether to end."""
    for main in (wrapped.__qualname__, _GUNICORNS_MAIN):
        hide_own_task(local.state.current, main)
    return await wrapped(*args, **kwargs)


async def _run_asgi(wrapped: Any, cycle: Any, args: Any, kwargs: Any) -> Any:
    """Of HTTP it is given the application; of a websocket it has it."""
    has: Any = getattr(cycle, "app", None)
    given: Any = args[0] if args else kwargs.get("app")
    if has is None and given is None:
        return await wrapped(*args, **kwargs)
    try:
        return await serve(
            wrapped if given is not None else partial(_run_with, wrapped, cycle),
            has if given is None else given,
            getattr(cycle, "scope", {}),
            cycle,
            own_coroutine=wrapped.__qualname__,
            peaceful=getattr(sys.modules.get(_UTILS), "ClientDisconnected", ()),
        )
    finally:
        if given is None:
            cycle.app = has
        del wrapped, cycle, args, kwargs, has, given


def _run_with(wrapped: Any, cycle: Any, application: Application) -> Any:
    cycle.app = application
    return wrapped()
