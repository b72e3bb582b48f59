"""Requests of hypercorn, of every version of HTTP and websockets."""

from functools import partial
from typing import Any

from hypercorn.asyncio import task_group, tcp_server
from hypercorn.protocol import http_stream, ws_stream

from whence.engine import local
from whence.engine.requests import hide_own_task

from .asgi import Application, note_answers, serve
from .patching import Patches


def install(patches: Patches) -> None:
    """See each request being served."""
    patches.wrap(task_group, "_handle", _handle)
    note_answers(patches, http_stream.HTTPStream, "app_send")
    note_answers(patches, ws_stream.WSStream, "app_send")
    for name in ("_idle_timeout", "_initiate_server_close"):
        patches.wrap(tcp_server.TCPServer, name, _between_requests)


async def _handle(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """`_handle(app, config, scope, receive, send, ...)`, the coroutine of a request's task."""
    stream = getattr(args[4], "__self__", None) if len(args) > 4 else None
    if stream is None:
        return await wrapped(*args, **kwargs)
    try:
        return await serve(
            partial(_call_with, wrapped, args[1:], kwargs),
            args[0],
            args[2],
            stream,
            own_coroutine=wrapped.__qualname__,
        )
    finally:
        del wrapped, args, kwargs, stream


def _call_with(wrapped: Any, rest: Any, kwargs: Any, application: Application) -> Any:
    return wrapped(application, *rest, **kwargs)


async def _between_requests(wrapped: Any, server: Any, args: Any, kwargs: Any) -> Any:
    """A task that waits for the next request, or for none any more; it was made while the last one
    was answered."""
    hide_own_task(local.state.current, wrapped.__qualname__)
    return await wrapped(*args, **kwargs)
