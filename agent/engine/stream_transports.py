"""What reads and writes in place of asyncio's socket transports, with the engine in C.

It does what asyncio's functions do, without their frames; in the tracebacks that the program sees
it has their lines stand.  Which these are, and how asyncio words a failure, the very functions say
here, as each call in them fails.  With the engine in Python, asyncio's own read and write.
"""

from asyncio import selector_events
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any

from . import handle_classes, twin
from .run_places import Place, place_in

STREAM_METHODS: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {}
"""Name of a method of asyncio's socket transports -> asyncio's own, and what makes of it the one to
put in its place."""

STREAM_TRANSPORT: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]

_READ_READY, _RECEIVE, _WRITE = "_read_ready", "_read_ready__data_received", "write"

_CAUGHT = {"BlockingIOError", "InterruptedError", "SystemExit", "KeyboardInterrupt"}
_FAILING = _CAUGHT | {"BaseException", "_fatal_error", "_conn_lost", "_sock"}

_WRITING = _FAILING | {
    *("isinstance", "bytes", "bytearray", "memoryview", "TypeError", "type", "__name__"),
    *("RuntimeError", "constants", "LOG_THRESHOLD_FOR_CONNLOST_WRITES", "logger", "warning"),
    *("_eof", "_empty_waiter", "_buffer", "send"),
    *("_loop", "_add_writer", "_sock_fd", "_write_ready", "_maybe_pause_protocol"),
}

_LOOKED_UP: dict[str, tuple[set[str], ...]] = {
    _READ_READY: ({"_read_ready_cb"},),
    _RECEIVE: (
        _FAILING | {"recv", "max_size", "_read_ready__on_eof", "_protocol", "data_received"},
    ),
    # What waits is kept in a bytearray before 3.12, and in a deque from then on.
    _WRITE: (_WRITING | {"extend"}, _WRITING | {"append"}),
}
"""Function -> what it looks up, in the forms that C has written out."""

Known = tuple[Callable[..., Any], Place | None, tuple[Place | None, str] | None]
"""A function, where in it a call is, and where the call's failure is reported with which words."""


class _Left(Exception):
    """A call has failed, or the report of one."""


class _Probe:
    """Just enough of a transport, its socket and its protocol to fail a call."""

    _conn_lost = 0
    max_size = 1
    _eof = False
    _empty_waiter = None
    _buffer = ()

    def __init__(self, failing: str, received: bytes) -> None:
        self._sock = self._protocol = self
        self._received = received
        self.error: BaseException | None = None
        self.message = ""
        setattr(self, failing, self._fail)

    def _fail(self, *_: object) -> None:
        raise _Left

    def recv(self, size: int) -> bytes:
        """Give what has arrived."""
        return self._received

    def _fatal_error(self, error: BaseException, message: str) -> None:
        self.error, self.message = error, message
        raise _Left


def _known(name: str, failing: str, *args: object, received: bytes = b"") -> Known:
    function = vars(STREAM_TRANSPORT)[name]
    probe = _Probe(failing, received)
    try:
        function(probe, *args)
    except _Left as left:
        if probe.error is None:
            return function, place_in(left, function.__code__), None
        reporting = place_in(left, function.__code__)
        return function, place_in(probe.error, function.__code__), (reporting, probe.message)
    raise RuntimeError(f"expected {name} to call {failing}")


def _calls() -> dict[str, Known]:
    """What may fail in asyncio's functions, by the names that C has for it."""
    return {
        "reading": _known(_READ_READY, "_read_ready_cb"),
        "receiving": _known(_RECEIVE, "recv"),
        "telling": _known(_RECEIVE, "data_received", received=b"some"),
        "ending": _known(_RECEIVE, "_read_ready__on_eof"),
        "sending": _known(_WRITE, "send", b"some"),
    }


def _are_asyncios() -> bool:
    """Whether the functions are those that C has written out, and nobody has replaced one."""
    functions = vars(STREAM_TRANSPORT)
    return all(_looked_up(functions.get(name)) in forms for name, forms in _LOOKED_UP.items())


def _looked_up(function: Any) -> set[str]:
    code: CodeType | None = getattr(function, "__code__", None)
    return set() if code is None else set(code.co_names)


if twin.IN_C and not handle_classes.keeps_stock and _are_asyncios() and not TYPE_CHECKING:
    import socket
    from collections import deque
    from sys import version_info

    from .._engine import know_stream_transports, make_read_ready, make_write

    try:
        # Whether a loop is as asyncio has it is known from then on.
        from . import handles as handles

        _buffer = deque if version_info >= (3, 12) else bytearray
        know_stream_transports(STREAM_TRANSPORT, socket.socket, _buffer, _calls())
        STREAM_METHODS = {
            name: (vars(STREAM_TRANSPORT)[name], make)
            for name, make in ((_READ_READY, make_read_ready), (_WRITE, make_write))
        }
    except Exception as error:
        twin.slower["sockets are read and written by asyncio"] = twin.on_one_line(error)
