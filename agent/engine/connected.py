"""The protocols that are connected, for what of the engine asks whose a callback is.

A timer whose callback is a method of a connected protocol, or ends its transport, is a step of its
connection: the idle time of a kept connection, a read timeout, a heartbeat.  It has events and no
span, and what it triggers belongs to what set it.
"""

from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

from . import twin
from .lifetimes import Lifetime


class Connected:
    """What a protocol's callbacks run as."""

    __slots__ = ("lifetime", "transport")

    lifetime: Lifetime
    transport: Callable[[], object]
    """Gives the transport, or None once it is gone."""


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import Connected

connected: "dict[int, Connected]" = {}
"""Address of a protocol -> its connection."""

if twin.IN_C and not TYPE_CHECKING:
    from .._engine import use_connected

    use_connected(connected)

_ENDS = frozenset({"abort", "close"})
"""Methods of a transport that programs give to timers."""


def is_of_connection(callback: Any) -> bool:
    """Whether this is a method of a connected protocol, or ends its transport."""
    if type(callback) is not MethodType:
        return False
    owner: Any = callback.__self__
    if id(owner) in connected:
        return True
    try:
        return callback.__name__ in _ENDS and id(owner.get_protocol()) in connected
    except Exception:
        # No transport, or objects of the program's that have their own ideas of one, or of names.
        return False
