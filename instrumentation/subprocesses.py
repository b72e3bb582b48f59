"""Subprocesses of asyncio: from the transport that starts one to its exit."""

import os
from asyncio import base_subprocess
from typing import Any

from whence.engine import DONE, FAILED, SpanLifetime, clock, create, end, local
from whence.engine.types import PROCESS

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
    transport._whence = lifetime
    if isinstance(lifetime, SpanLifetime):
        lifetime.created = started
        lifetime.name = _program(*args[2:4])
        lifetime.attributes = {"process.pid": transport.get_pid()}


def _program(args: Any, shell: bool) -> str:
    """The program's name; never its arguments."""
    if shell:
        return "shell"
    command = args if isinstance(args, str | bytes | os.PathLike) else args[0]
    return os.path.basename(os.fsdecode(command))


def _process_exited(wrapped: Any, transport: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    lifetime = getattr(transport, "_whence", None)
    if lifetime is None:
        return
    code = args[0]
    if isinstance(lifetime, SpanLifetime) and lifetime.attributes is not None:
        lifetime.attributes["process.exit.code"] = code
    end(local.state, lifetime, DONE if code == 0 else FAILED)
