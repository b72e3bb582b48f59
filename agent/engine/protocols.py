"""The bracket of a protocol's callback, which runs as the transport of its protocol.

A protocol that is not connected is called straight through, and so is one that is executing
already: it calls itself, or a method that it overrides.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import twin
from .connected import connected
from .events import enter, leave
from .execution import local
from .methods import calling
from .sites import leave_traceback


def as_transport(callback: Any) -> Callable[..., Any]:
    """What to put into the protocol's class in place of this callback."""
    connection_of = connected.get
    call = calling(callback)

    # By this name it is known to run a callback: beyond it, nothing has created what it creates.
    def _run(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = connection_of(id(self))
        state = local.state
        previous, lifetime = state.current, None
        try:
            if connection is not None and connection.lifetime is not previous:
                lifetime = connection.lifetime
                enter(state, lifetime, connection.transport())
            return call(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            if lifetime is not None:
                leave(state, lifetime, previous)
            del self, args, kwargs

    return _run


if twin.IN_C and not TYPE_CHECKING:
    from .._engine import as_transport
