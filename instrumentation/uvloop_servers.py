"""Servers of uvloop, and the connections that they accept.

The server's id is there before anything can be accepted: the loop makes the server and listens in
one go.  What the protocol factory does for a connection it does as the Server.
"""

from collections.abc import Callable
from typing import Any
from weakref import ref

import uvloop

from whence.engine import CLOSED, Lifetime, clock, create, end, enter, leave, local
from whence.engine.resource_types import SERVER

from .patching import Patches, leave_traceback
from .uvloop_arrivals import Expected, Expecting, with_factory
from .uvloop_connections import begin
from .uvloop_leftovers import left_on
from .uvloop_sealed import replace_sealed, sealed

_patches: Patches


def install(patches: Patches) -> None:
    """See servers begin to listen, accept, and close."""
    global _patches
    _patches = patches
    for method in ("create_server", "create_unix_server"):
        patches.wrap(uvloop.Loop, method, _create_server)
    replace_sealed(patches, sealed.Server, "close", _closing)


class _Accepting(Expecting):
    """The protocol factory of a server."""

    lifetime: Lifetime | None = None
    server: Callable[[], object]

    def __call__(self) -> Any:
        """Make a protocol for a connection that has come."""
        return self._run()

    # By this name it is known to run a callback: beyond it, nothing has created what it creates.
    def _run(self) -> Any:
        state, lifetime = local.state, self.lifetime
        previous = state.current
        if lifetime is None or state.muted:
            return super().__call__()
        try:
            enter(state, lifetime, self.server())
            return self.expect(self.factory(), lifetime)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            leave(state, lifetime, previous)


async def _create_server(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
    accepting: _Accepting | None = None

    def accept(factory: Any) -> Expecting:
        nonlocal accepting
        expected = Expected(begin, "accept", left_on(loop), clock())
        accepting = _Accepting(factory, _patches, expected)
        return accepting

    if not local.state.muted:
        args, kwargs = with_factory(accept, args, kwargs)
    server = await wrapped(*args, **kwargs)
    if accepting is not None:
        state = local.state
        accepting.lifetime = create(state, SERVER, server, state.current)
        accepting.server = ref(server)
        left_on(loop).hold(server, accepting.lifetime)
    return server


def _closing(original: Any) -> Callable[[Any], None]:
    def close(self: Any) -> None:
        try:
            original(self)
        finally:
            for lifetime in left_on(self.get_loop()).of(self):
                end(local.state, lifetime, CLOSED)

    return close
