"""The protocols that are connected, for what of the engine asks whose a callback is.

A timer whose callback is a method of a connected protocol is a step of its connection: the idle
time of a kept connection, a read timeout, a heartbeat.  It has events and no span, and what it
triggers belongs to what set it.
"""

from types import MethodType
from typing import Any

connected: dict[int, Any] = {}
"""Address of a protocol -> its connection, as the instrumentation knows it."""


def is_of_connection(callback: Any) -> bool:
    """Whether this is a method of a connected protocol."""
    return type(callback) is MethodType and id(callback.__self__) in connected
