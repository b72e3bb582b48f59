"""Protocol callbacks run as their transport: the protocol's class is patched at first sight.

Instance attributes, `__class__` swaps and proxies each miss callbacks or break programs; a function
on the class that defines the callback does neither.  It looks its protocol up in a table by
address: an entry is made when the transport is, replaced when the address is used again, and taken
out when the connection is lost.  A protocol that is not in the table is called straight through,
and so is one that is executing already.
"""

from asyncio import protocols
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, NamedTuple

from whence.engine import Lifetime, enter, leave, local

from .patching import Patches, leave_traceback

CALLBACKS = (
    "connection_made",
    "connection_lost",
    "data_received",
    "eof_received",
    "get_buffer",
    "buffer_updated",
    "pause_writing",
    "resume_writing",
    "datagram_received",
    "error_received",
)


class Connection(NamedTuple):
    """What a protocol's callbacks run as."""

    lifetime: Lifetime
    transport: Callable[[], object]
    """A weak reference to it."""


connections: dict[int, Connection] = {}
"""Address of a protocol -> its connection."""


def see(patches: Patches, protocol: object) -> None:
    """Patch the callbacks of this protocol's class, each where it is defined."""
    for name in CALLBACKS:
        for owner in type(protocol).__mro__:
            callback = vars(owner).get(name)
            if callback is None:
                continue
            if type(callback) is FunctionType and owner.__module__ != protocols.__name__:
                _patch(patches, owner, name, callback)
            break


def _patch(patches: Patches, owner: type, name: str, callback: FunctionType) -> None:
    if not hasattr(callback, "_whence_patched"):
        patched = _as_transport(callback)
        patched._whence_patched = True  # type: ignore[attr-defined]
        patches.replace(owner, name, patched)


def _as_transport(callback: Callable[..., Any]) -> Callable[..., Any]:
    connection_of = connections.get

    @wraps(callback)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = connection_of(id(self))
        state = local.state
        if connection is None or state.current is connection.lifetime:
            return callback(self, *args, **kwargs)
        previous, lifetime = state.current, connection.lifetime
        try:
            enter(state, lifetime, connection.transport())
            return callback(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            leave(state, lifetime, previous)
            self = args = kwargs = None

    return run
