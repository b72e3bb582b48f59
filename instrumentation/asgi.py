"""Requests of servers that speak ASGI: what uvicorn's and hypercorn's have in common.

Both make a task for each request, also of a keep-alive connection and of pipelined ones, and call
the application in it.  The application and what it is given stay as they are: the status is read
from what it sends, in the server's own `send`, and its exception where the server calls it.
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from whence.engine import CANCELLED, DONE, FAILED, Scope, failed
from whence.engine.requests import answered, begin_request, close_request, is_websocket

from .patching import Patches, leave_traceback

Application = Callable[..., Awaitable[Any]]

_REQUESTS = ("http", "websocket")
"""Types of ASGI scopes; the third is the life of the server."""

_ANSWERS = ("http.response.start", "websocket.http.response.start")
"""Messages that begin an answer, with its status."""

_SWITCHED, _SWITCHED_IN_HTTP_2 = 101, 200
"""The statuses that accept a websocket."""


class Served:
    """A request that is being served, and the application that answers it, for the server to call.

    An exception of the application is the request's failure, but for those that are peaceful, which
    its server takes for the end of a connection."""

    __slots__ = (
        "_application",
        "_asgi_scope",
        "_is_peaceful",
        "_key",
        "_scope",
        "_started",
        "outcome",
    )

    # No `__init__`, which costs more than what it does: `begin` fills them in.
    _application: Application
    _asgi_scope: Mapping[str, Any]
    _is_peaceful: Callable[[BaseException], bool]
    _key: int
    _scope: Scope
    _started: bool
    outcome: str

    async def call(self, scope: Any, receive: Any, send: Any) -> Any:
        """Call the application, as ASGI has it."""
        try:
            return await self._application(scope, receive, send)
        except BaseException as error:
            self._raised(error)
            raise
        finally:
            del self, scope, receive, send

    async def call_with(self, *args: Any, **kwargs: Any) -> Any:
        """Call the application of a server that gives it something else."""
        try:
            return await self._application(*args, **kwargs)
        except BaseException as error:
            self._raised(error)
            raise
        finally:
            del self, args, kwargs

    def _raised(self, error: BaseException) -> None:
        if isinstance(error, CancelledError):
            self.outcome = CANCELLED
        elif not self._is_peaceful(error):
            self._fail(error)
        leave_traceback(error)

    def _fail(self, error: BaseException) -> None:
        """Before the answer, a server answers for the application, with a 500."""
        failed(self._scope.lifetime, error)
        self._start(500)
        self.outcome = FAILED

    def _start(self, status: int) -> None:
        """The first status is the answer's."""
        if not self._started:
            self._started = True
            _unanswered.pop(self._key, None)
            self.outcome = answered(self._scope.lifetime, status)

    def note(self, message: object) -> None:
        """The application sends this."""
        if self._started or not (type(message) is dict or isinstance(message, Mapping)):
            return
        if message.get("type") in _ANSWERS:
            status = message.get("status")
        else:
            status = self._status_of_websocket(message)
        if isinstance(status, int):
            self._start(status)

    def _status_of_websocket(self, message: Mapping[str, Any]) -> int | None:
        kind = message.get("type")
        if kind == "websocket.accept":
            is_old = str(self._asgi_scope.get("http_version", "1.1")).startswith("1")
            return _SWITCHED if is_old else _SWITCHED_IN_HTTP_2
        return 403 if kind == "websocket.close" else None

    def finish(self, outcome: str) -> None:
        """It has been answered, or never will be."""
        if not self._started:
            _unanswered.pop(self._key, None)
        close_request(self._scope, outcome)


_unanswered: dict[int, Served] = {}
"""Address of whose `send` the application calls -> the request that it has not begun to answer."""


def begin(
    application: Application,
    asgi_scope: Any,
    sender: Any,
    own_coroutine: str,
    is_peaceful: Callable[[BaseException], bool],
) -> Served | None:
    """A server is about to call the application, in a task of its own coroutine: a request, whose
    resource is `sender`.  None if it is none."""
    if type(asgi_scope) is not dict and not isinstance(asgi_scope, Mapping):
        return None
    kind = asgi_scope.get("type")
    if kind not in _REQUESTS:
        return None
    # A websocket has no method in ASGI; that which asks for one is, but in HTTP/2, a GET.
    method, scheme = asgi_scope.get("method", "GET"), asgi_scope.get("scheme", "http")
    scope = begin_request(sender, own_coroutine, method, scheme, asgi_scope.get("headers", ()))
    if scope is None:
        return None
    if kind == "websocket":
        is_websocket(scope.lifetime)
    served = Served()
    served._scope = scope
    served._application = application
    served._asgi_scope = asgi_scope
    served._is_peaceful = is_peaceful
    served._started = False
    served.outcome = DONE
    served._key = key = id(sender)
    _unanswered[key] = served
    return served


async def serve(
    run: Callable[[Application], Awaitable[Any]],
    application: Application,
    asgi_scope: Any,
    sender: Any,
    *,
    own_coroutine: str,
) -> Any:
    """Await `run(application)` as one request, whose resource is `sender`."""
    served = begin(application, asgi_scope, sender, own_coroutine, _is_never_peaceful)
    if served is None:
        return await run(application)
    outcome = CANCELLED
    try:
        result = await run(served.call_with)
        outcome = served.outcome
        return result
    finally:
        served.finish(outcome)
        del run, application, asgi_scope, sender, served


def _is_never_peaceful(_: BaseException) -> bool:
    return False


def note_answers(patches: Patches, owner: type, send: str) -> None:
    """Have a server's method that its applications call to answer tell of the answer."""
    patches.precede(owner, send, _note_sent, _unanswered)


def _note_sent(sender: Any, message: Any = None, *_: Any, **__: Any) -> None:
    served = _unanswered.get(id(sender))
    if served is not None:
        served.note(message)
