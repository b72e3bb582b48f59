"""Name look-ups of uvloop: `getaddrinfo` and `getnameinfo` of the loop, as the program calls them.

The loop's own, for a connection or a server, happen in C.
"""

from typing import Any

import uvloop

from whence.engine import CANCELLED, DONE, FAILED, create, end, failed, local
from whence.engine.resource_types import GET_ADDR_INFO, GET_NAME_INFO, ResourceType

from .patching import Patches, Wrapper

IMPOSSIBLE = {
    "look-ups for a connection or a server": "libuv makes them without `loop.getaddrinfo`",
}


class LookUp:
    """What hooks are given for a look-up, of which uvloop has no object to show."""


def install(patches: Patches) -> None:
    """See look-ups begin and end."""
    patches.wrap(uvloop.Loop, "getaddrinfo", _following(GET_ADDR_INFO))
    patches.wrap(uvloop.Loop, "getnameinfo", _following(GET_NAME_INFO))


def _following(row: ResourceType) -> Wrapper:
    async def look_up(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
        state = local.state
        if state.muted:
            return await wrapped(*args, **kwargs)
        lifetime, outcome = create(state, row, LookUp(), state.current), CANCELLED
        try:
            found = await wrapped(*args, **kwargs)
            outcome = DONE
            return found
        except Exception as error:
            failed(lifetime, error)
            outcome = FAILED
            raise
        finally:
            end(local.state, lifetime, outcome)

    return look_up
