"""The protocols that are connected, for what of the engine asks whose a callback is.

A timer whose callback is a method of a connected protocol, or of its transport, is a step of its
connection: the idle time of a kept connection, a read timeout, a heartbeat.  It has events and no
span, and what it triggers belongs to what set it.
"""

from types import MethodType
from typing import Any

connected: dict[int, Any] = {}
"""Address of a protocol -> its connection, as the instrumentation knows it."""


def is_of_connection(callback: Any) -> bool:
    """Whether this is a method of a connected protocol or of its transport."""
    if type(callback) is not MethodType:
        return False
    owner = callback.__self__
    if id(owner) in connected:
        return True
    get_protocol = getattr(type(owner), "get_protocol", None)
    if get_protocol is None:
        return False
    try:
        return id(get_protocol(owner)) in connected
    except Exception:
        # An object of the program's that has its own ideas of that method.
        return False
