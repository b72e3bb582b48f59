"""Where did this asynchronous work come from?  Async hooks and tracing for asyncio programs."""

# ruff: noqa: E402 - the engine comes before all that takes names from it
from .choosing import import_engine

import_engine()

from .attaching import attach, attached, detach
from .engine import (
    execution_async_id,
    execution_async_resource,
    set_hook_error_policy,
    trigger_async_id,
)
from .engine.resource_types import async_wrap_providers
from .hooks import AsyncHook, create_hook
from .resource import AsyncResource
from .storage import AsyncLocalStorage
from .version import VERSION as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .listening.finished_traces import Span, Trace
    from .listening.trace_listener import TraceListener, on_trace
    from .live import ActiveResource, active_resources

__all__ = [
    "ActiveResource",
    "AsyncHook",
    "AsyncLocalStorage",
    "AsyncResource",
    "Span",
    "Trace",
    "TraceListener",
    "__version__",
    "active_resources",
    "async_wrap_providers",
    "attach",
    "attached",
    "create_hook",
    "detach",
    "execution_async_id",
    "execution_async_resource",
    "on_trace",
    "set_hook_error_policy",
    "trigger_async_id",
]

_ON_DEMAND = {
    "ActiveResource": "live",
    "active_resources": "live",
    "Span": "listening.finished_traces",
    "Trace": "listening.finished_traces",
    "TraceListener": "listening.trace_listener",
    "on_trace": "listening.trace_listener",
}
"""What most attached processes never ask for -> the module that has it."""


def __getattr__(name: str) -> object:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
    return found
