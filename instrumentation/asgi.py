"""Requests of servers that speak ASGI: what uvicorn's and hypercorn's have in common.

Both make a task for each request, also of a keep-alive connection and of pipelined ones, and call
the application in it.  The application and what it is given stay as they are: the status is read
from what it sends, in the server's own `send`, and its exception where the server calls it.
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from whence.engine import CANCELLED, DONE, FAILED, Lifetime, SpanLifetime, failed
from whence.engine.requests import answered, asked, close_request, is_websocket, open_request

from .patching import leave_traceback

Application = Callable[..., Awaitable[Any]]

_REQUESTS = ("http", "websocket")
"""Types of ASGI scopes; the third is the life of the server."""


class _Answer:
    """What is known of the answer to a request that is being served."""

    __slots__ = ("lifetime", "outcome", "started", "switched")

    def __init__(self, lifetime: Lifetime, switched: int) -> None:
        self.lifetime = lifetime
        self.outcome = DONE
        self.started = False
        self.switched = switched
        """The status that accepts a websocket."""

    def start(self, status: int) -> None:
        """The first status is the answer's."""
        if not self.started:
            self.started = True
            self.outcome = answered(self.lifetime, status)


_answers: dict[int, _Answer] = {}
"""Address of whose `send` the application calls -> the answer that it gives."""


async def serve(
    run: Callable[[Application], Awaitable[Any]],
    application: Application,
    asgi_scope: Mapping[str, Any],
    sender: Any,
    *,
    own_coroutine: str,
    peaceful: tuple[type[BaseException], ...] = (),
) -> Any:
    """Await `run(application)` as one request, whose resource is `sender`.

    An exception of the application is its failure, but for the `peaceful` ones, which a server
    takes for the end of a connection."""
    scope = open_request(sender, own_coroutine) if _is_request(asgi_scope) else None
    if scope is None:
        return await run(application)
    lifetime = scope.lifetime
    try:
        _describe(lifetime, asgi_scope)
    except Exception:
        """A server that gives the application something else than ASGI says: it has no name."""
    is_old = str(asgi_scope.get("http_version", "1.1")).startswith("1")
    answer = _answers[id(sender)] = _Answer(lifetime, 101 if is_old else 200)
    outcome = CANCELLED
    try:
        result = await run(_noting(application, answer, peaceful))
        outcome = answer.outcome
        return result
    finally:
        _answers.pop(id(sender), None)
        close_request(scope, outcome)
        del run, application, asgi_scope, sender, scope, answer


def note_sent(wrapped: Any, sender: Any, args: Any, kwargs: Any) -> Any:
    """In place of a server's `send`: see how the application answers."""
    answer = _answers.get(id(sender))
    message = args[0] if args else kwargs.get("message")
    if answer is not None and not answer.started and isinstance(message, Mapping):
        status = _status_in(message, answer)
        if status is not None:
            answer.start(status)
    return wrapped(*args, **kwargs)


def _is_request(asgi_scope: Any) -> bool:
    return isinstance(asgi_scope, Mapping) and asgi_scope.get("type") in _REQUESTS


def _describe(lifetime: Lifetime, asgi_scope: Mapping[str, Any]) -> None:
    if not isinstance(lifetime, SpanLifetime):
        return
    headers = dict(reversed(asgi_scope.get("headers", ())))

    def header(name: str) -> str | None:
        value = headers.get(name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    # A websocket has none in ASGI; that which asks for one is, but in HTTP/2, a GET.
    asked(lifetime, asgi_scope.get("method", "GET"), asgi_scope.get("scheme", "http"), header)
    if asgi_scope["type"] == "websocket":
        is_websocket(lifetime)


def _status_in(message: Mapping[str, Any], answer: _Answer) -> int | None:
    kind = message.get("type")
    if kind in ("http.response.start", "websocket.http.response.start"):
        status = message.get("status")
        return status if isinstance(status, int) else None
    if kind == "websocket.accept":
        return answer.switched
    return 403 if kind == "websocket.close" else None


def _noting(
    application: Application, answer: _Answer, peaceful: tuple[type[BaseException], ...]
) -> Application:
    """The application, for the server to call."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await application(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, CancelledError):
                answer.outcome = CANCELLED
            elif not isinstance(error, peaceful):
                _note_failure(answer, error)
            leave_traceback(error)
            raise
        finally:
            del args, kwargs

    return call


def _note_failure(answer: _Answer, error: BaseException) -> None:
    """Before the answer, a server answers for the application, with a 500."""
    failed(answer.lifetime, error)
    answer.start(500)
    answer.outcome = FAILED
