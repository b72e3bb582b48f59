"""Requests: what a server does in a task from the head of a request to the end of its answer.

- A request is named by its method and the template of its route.  A path with values, a query or a
  header is neither in a name nor in an attribute: they hold whatever the customers send.
- A method that HTTP does not know is whatever a customer has sent, too: it reads `HTTP`.
- A websocket is a request from its handshake to its end, with `WEBSOCKET` for a method.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import twin
from .execution import local
from .lifetimes import DONE, FAILED, Lifetime, Scope, SpanLifetime
from .recorder import hide
from .resource_types import REQUEST, TASK
from .scopes import close_scope, open_scope
from .sites import code_of

CARRIED = ("traceparent", "tracestate", "baggage", "b3", "uber-trace-id", "x-b3-traceid")
"""Headers that may name a remote parent; the sender thread reads them as OTEL_PROPAGATORS says."""

_CARRIED_AS = {name.encode(): name for name in CARRIED}

METHODS = (
    *("GET", "POST", "HEAD", "PUT", "DELETE"),
    *("PATCH", "OPTIONS", "CONNECT", "QUERY", "TRACE"),
)
_OTHER_METHOD = "_OTHER"
_FAR = 100
"""Ancestors to look at for the request that something is done for."""

_WEBSOCKET = "WEBSOCKET"
_SCHEMES = {"http": "ws", "https": "wss", "wss": "wss"}
"""What a server may call the scheme of a websocket -> its own."""

mounts: dict[int, str] = {}
"""Id of an open request -> the template of what its route is mounted under."""


def open_request(resource: Any, own_coroutine: str) -> Scope | None:
    """A request begins, inside the task that executes; None if that is none.

    A task of this coroutine has no more to say than the request, and becomes transparent."""
    try:
        scope = open_scope(local.state, REQUEST, resource)
    except TypeError:
        # A request of the program's own making that takes no weak references.
        return None
    if scope is not None:
        hide_own_task(scope.task, own_coroutine)
        _link_to_connection(scope.lifetime)
    return scope


def begin_request(
    resource: Any,
    own_coroutine: str,
    method: str,
    scheme: str,
    headers: Sequence[Sequence[bytes]],
) -> Scope | None:
    """The same, and what it asks for is noted; of a server that gives something else, nothing is.

    `headers` is a list or tuple of pairs of a name, in upper or lower case, and a value; the first
    of a name counts."""
    scope = open_request(resource, own_coroutine)
    if scope is not None and isinstance(scope.lifetime, SpanLifetime):
        try:
            _ask(scope.lifetime, method, scheme, _carried_among(headers))
        except Exception:
            """It has no name."""
    return scope


def hide_own_task(lifetime: Lifetime, coroutine: str) -> None:
    """Make this one transparent, if it is a task of this coroutine, which a library runs for
    itself.

    A program that awaits the coroutine in a task of another has that seen as ever."""
    if isinstance(lifetime, SpanLifetime) and lifetime.type is TASK and lifetime.name == coroutine:
        hide(lifetime)


def _link_to_connection(lifetime: Lifetime) -> None:
    """Of requests that are sent together, a server starts the next one where it has answered the
    last one; what triggered it is their connection all the same."""
    if not isinstance(lifetime, SpanLifetime):
        return
    target = lifetime.link
    while isinstance(target, SpanLifetime) and (target.transparent or target.type is REQUEST):
        target = target.parent or target.link
    lifetime.link = target


def close_request(scope: Scope, outcome: str) -> None:
    """It has been answered, or never will be."""
    mounts.pop(scope.lifetime.async_id, None)
    close_scope(local.state, scope, outcome)


def end_request(scope: Scope, status: int) -> None:
    """It has been answered with this status."""
    close_request(scope, answered(scope.lifetime, status))


def asked(
    lifetime: Lifetime,
    method: str,
    scheme: str,
    header: Callable[[Any], str | bytes | None],
    names: tuple[Any, ...] = CARRIED,
) -> None:
    """Note what a request asks for.

    `header` gives the value of a header by its name in lower case: by what stands for it in
    `names`, which is as long as CARRIED and in its order."""
    if isinstance(lifetime, SpanLifetime):
        found = [(name, header(key)) for name, key in zip(CARRIED, names, strict=True)]
        carrier = {name: _text(value) for name, value in found if value is not None}
        _ask(lifetime, method, scheme, carrier)


def _carried_among(headers: Sequence[Sequence[bytes]]) -> dict[str, str]:
    if not isinstance(headers, list | tuple):
        # What can be gone through once only is the application's.
        raise TypeError("expected pairs of names and values")
    carrier: dict[str, str] = {}
    for pair in headers:
        if not isinstance(pair, list | tuple):
            raise TypeError("expected the name and the value of a header")
        name, value = pair
        carried = _CARRIED_AS.get(name.lower()) if isinstance(name, bytes) else None
        if carried is not None:
            carrier.setdefault(carried, _text(value))
    return carrier


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _ask(lifetime: SpanLifetime, method: str, scheme: str, carrier: dict[str, str]) -> None:
    known = isinstance(method, str) and method in METHODS
    lifetime.name = method if known else "HTTP"
    lifetime.attributes = {
        "http.request.method": method if known else _OTHER_METHOD,
        "url.scheme": scheme,
    }
    if carrier:
        lifetime.attributes["carrier"] = carrier


def is_websocket(lifetime: Lifetime) -> None:
    """Note that a request is for a websocket, before or after its route is found."""
    if isinstance(lifetime, SpanLifetime) and lifetime.name is not None:
        _, space, template = lifetime.name.partition(" ")
        lifetime.name = _WEBSOCKET + space + template
        said = lifetime.attributes or {}
        scheme = _SCHEMES.get(said.get("url.scheme", ""), "ws")
        lifetime.attributes = {**said, "network.protocol.name": "websocket", "url.scheme": scheme}


def routed(template: str | None, handler: Any) -> None:
    """Note that the router has found what handles the request that the present code serves."""
    lifetime = served()
    if lifetime is None or lifetime.name is None:
        return
    if template:
        template = mounts.get(lifetime.async_id, "") + template
        lifetime.name = f"{lifetime.name.partition(' ')[0]} {template}"
        _say(lifetime, "http.route", template)
    # Where a person looks for it; that a library made it is no news.
    code = code_of(handler)
    if code is not None:
        lifetime.code, lifetime.lasti = code, 0


def mounted(template: str) -> None:
    """Note that the rest of the route is to be found by what is mounted under this template."""
    lifetime = served()
    if lifetime is not None:
        mounts[lifetime.async_id] = mounts.get(lifetime.async_id, "") + template


def answered(lifetime: Lifetime, status: int) -> str:
    """Note the status of the answer; gives the outcome that it means."""
    if isinstance(lifetime, SpanLifetime):
        _say(lifetime, "http.response.status_code", status)
        if status >= 500 and lifetime.error is None:
            lifetime.error = error_of(status)
    return FAILED if status >= 500 else DONE


def served() -> SpanLifetime | None:
    """The request that the present code is executed for, in its task or in one that came of it."""
    lifetime: Lifetime | None = local.state.current
    for _ in range(_FAR):
        if lifetime is None or lifetime.type is REQUEST:
            break
        lifetime = lifetime.parent
    is_open = isinstance(lifetime, SpanLifetime) and lifetime.type is REQUEST and lifetime.open
    return lifetime if is_open else None  # type: ignore[return-value]


def _say(lifetime: SpanLifetime, key: str, value: str | int) -> None:
    # Another dictionary each time: the sender thread may be reading the one before.
    lifetime.attributes = {**(lifetime.attributes or {}), key: value}


def error_of(status: int) -> tuple[str, str]:
    """What a status of 500 and more says of the failure.

    Not what the program has written beside the number: that is payload."""
    from http import HTTPStatus

    try:
        return str(status), HTTPStatus(status).phrase
    except ValueError:
        return str(status), ""


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import (
        answered,
        asked,
        begin_request,
        close_request,
        end_request,
        know_requests,
        open_request,
        routed,
        served,
    )

    know_requests(REQUEST, CARRIED, METHODS, mounts)
    twin.tell(code_of=code_of, error_of=error_of)
