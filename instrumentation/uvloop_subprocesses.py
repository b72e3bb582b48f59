"""Subprocesses of uvloop: from `connection_made` to `process_exited`.

uvloop tells both to the protocol, and shows the process in neither of its own methods before.
"""

import os
from typing import Any
from weakref import ref

import uvloop

from whence.engine import DONE, FAILED, Lifetime, SpanLifetime, create, end, local
from whence.engine.resource_types import PROCESS

from .patching import Patches, Wrapper
from .protocols import Connection, connections, disconnect
from .subprocesses import end_what_nobody_settles
from .uvloop_arrivals import Arrival, expecting
from .uvloop_leftovers import Leftovers

IMPOSSIBLE = {
    "the pipes of a subprocess as transports": "their protocols are uvloop's own, in C",
}


def install(patches: Patches) -> None:
    """See processes start and exit."""
    for method, find_name in (
        ("subprocess_exec", _program),
        ("subprocess_shell", lambda args, kwargs: "shell"),
    ):
        patches.wrap(uvloop.Loop, method, _starting(patches, find_name))


def _starting(patches: Patches, find_name: Any) -> Wrapper:
    def start(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
        call = expecting(patches, _begin, find_name(args, kwargs))
        return call(wrapped, loop, args, kwargs)

    return start


def _program(args: Any, kwargs: Any) -> str | None:
    """The program's name; never its arguments."""
    program = args[1] if len(args) > 1 else kwargs.get("program")
    if isinstance(program, str | bytes | os.PathLike):
        return os.path.basename(os.fsdecode(program))
    return None


def _begin(arrival: Arrival, protocol: Any, transport: Any) -> None:
    """init of a process."""
    state = local.state
    if state.muted:
        return
    lifetime = create(state, PROCESS, transport, arrival.trigger)
    arrival.expected.placed(lifetime)
    if isinstance(lifetime, SpanLifetime):
        lifetime.created = max(arrival.expected.since, arrival.trigger.created)
        lifetime.name = arrival.expected.name
        lifetime.attributes = {"process.pid": transport.get_pid()}
    connections[id(protocol)] = _Process(lifetime, transport, arrival.expected.leftovers)


class _Process(Connection):
    """Ends when its protocol is told of the exit; what the pipes still hold comes after its end."""

    __slots__ = ("leftovers",)

    def __init__(self, lifetime: Lifetime, transport: Any, leftovers: Leftovers) -> None:
        # Not Connection's: this transport takes no weak reference, so the loop is asked for it.
        self.lifetime = lifetime
        self.connects = self.lost = False
        self.leftovers = ref(leftovers)
        leftovers.processes[lifetime] = transport

    def transport(self) -> Any:
        """The transport, while the process runs."""
        leftovers = self.leftovers()
        return None if leftovers is None else leftovers.processes.get(self.lifetime)

    def told(self, protocol: object) -> None:
        """`process_exited` has been called; or `connection_lost`, by the protocol itself."""
        transport, lifetime = self.transport(), self.lifetime
        code = None if transport is None else transport.get_returncode()
        if code is None:
            return
        disconnect(lifetime, protocol)
        self.leftovers().processes.pop(lifetime, None)  # type: ignore[union-attr]
        if isinstance(lifetime, SpanLifetime) and lifetime.attributes is not None:
            lifetime.attributes["process.exit.code"] = code
        end(local.state, lifetime, DONE if code == 0 else FAILED)
        if transport.get_pipe_transport(0) is None:
            end_what_nobody_settles(protocol)
