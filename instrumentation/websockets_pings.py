"""The task in which the library `websockets` pings, at either end of a connection: it is the
library's own.

Not in the file of servers: a client has no server, and what is to be seen of a library is put in
when the module that has it has been imported, which an import of another one may have begun.
"""

from typing import Any

from websockets.asyncio import connection as connections

from whence.engine import local
from whence.engine.requests import hide_own_task

from .patching import Patches


def install(patches: Patches) -> None:
    """See connections being kept."""
    patches.wrap(connections.Connection, "keepalive", _keepalive)


async def _keepalive(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    hide_own_task(local.state.current, wrapped.__qualname__)
    return await wrapped(*args, **kwargs)
