"""What a lifetime is called: a low-cardinality name, `task checkout`, `timer sleep`, `connect`.

Ids, descriptors, addresses and paths with values are attributes, never part of a name: names are
what people group and search by.
"""

_LABELS = {
    "Task": "task",
    "Future": "future",
    "Handle": "callback",
    "TimerHandle": "timer",
    "Reader": "reader",
    "Writer": "writer",
    "SignalHandle": "signal",
    "Server": "server",
    "Transport": "",
    "DatagramTransport": "datagram",
    "SSLProtocol": "tls",
    "Process": "process",
    "GetAddrInfo": "getaddrinfo",
    "GetNameInfo": "getnameinfo",
    "ExecutorJob": "executor",
    "Thread": "thread",
    "Timer": "timer",
    "Request": "",
}
"""Type -> the first word of the name; empty where the name says it all: `accept`, `GET /items`.
A user's own type is its own first word."""

_NAMELESS = {"Transport": "connection", "Request": "request"}
"""What those are called that have no first word and, as yet, no name either."""

_ASKED_FOR = {
    "_set_result_unless_cancelled": "sleep",
    "_release_waiter": "timeout",
    "Timeout._on_timeout": "timeout",
    "BaseTimerContext.timeout": "timeout",
    "TimerContext.timeout": "timeout",
    "SSLProtocol._check_handshake_timeout": "tls handshake timeout",
    "SSLProtocol._check_shutdown_timeout": "tls shutdown timeout",
    "BaseSelectorEventLoop._start_serving": "accept again",
}
"""Callbacks that libraries give to the loop -> what the program had asked for."""

_LOCAL = "<locals>."


def span_name(type_name: str, name: str | None) -> str:
    """The name of a span, from the type of a resource and the `name` of its lifetime."""
    label = _LABELS.get(type_name, type_name)
    if not name:
        return label or _NAMELESS[type_name]
    word = short_name(name)
    return f"{label} {word}" if label else word


def short_name(qualname: str) -> str:
    """What a person calls a function: without where it is defined, or what it was asked for."""
    _, _, name = qualname.rpartition(_LOCAL)
    return _ASKED_FOR.get(name, name)
