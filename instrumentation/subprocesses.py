"""Subprocesses of asyncio: from the transport that starts one to its exit."""

import os
from asyncio import base_subprocess
from typing import Any

from whence.engine import (
    CLOSED,
    DONE,
    FAILED,
    Lifetime,
    SpanLifetime,
    Token,
    clock,
    create,
    end,
    local,
)
from whence.engine.resource_types import PROCESS

from .patching import Patches


def install(patches: Patches) -> None:
    """See the transport of a subprocess, whichever child watcher reaps it."""
    transport = base_subprocess.BaseSubprocessTransport
    patches.wrap(transport, "__init__", _init)
    patches.wrap(transport, "_process_exited", _process_exited)


def _init(wrapped: Any, transport: Any, args: Any, kwargs: Any) -> None:
    started = clock()
    wrapped(*args, **kwargs)
    state = local.state
    if state.muted:
        return
    lifetime = create(state, PROCESS, transport, state.current)
    transport._whence = Token(lifetime)
    if isinstance(lifetime, SpanLifetime):
        lifetime.created = started
        lifetime.name = _program(transport.get_extra_info("subprocess"))
        lifetime.attributes = {"process.pid": transport.get_pid()}


def _program(popen: Any) -> str | None:
    """The program's name; never its arguments."""
    command = getattr(popen, "args", None)
    if isinstance(command, str | bytes):
        return "shell"
    if isinstance(command, list | tuple) and isinstance(command[0], str | bytes | os.PathLike):
        return os.path.basename(os.fsdecode(command[0]))
    return None


def _process_exited(wrapped: Any, transport: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    token: Token | None = getattr(transport, "_whence", None)
    if token is None:
        return
    lifetime, code = token.lifetime, args[0]
    if isinstance(lifetime, SpanLifetime) and lifetime.attributes is not None:
        # Another dictionary: the sender thread may be reading the one before.
        lifetime.attributes = {**lifetime.attributes, "process.exit.code": code}
    end(local.state, lifetime, DONE if code == 0 else FAILED)
    if 0 not in transport._pipes:
        end_what_nobody_settles(transport._protocol)


def end_what_nobody_settles(protocol: Any) -> None:
    """Asyncio makes a future for the end of a standard input, also where there is no pipe to it."""
    # A test's stand-in has any attribute, of its own kind.
    lifetime: Any = getattr(getattr(protocol, "_stdin_closed", None), "_lifetime", None)
    if issubclass(type(lifetime), Lifetime):
        end(local.state, lifetime, CLOSED)
