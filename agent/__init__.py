"""Where did this asynchronous work come from?  Async hooks and tracing for asyncio programs."""

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

__all__ = [
    "AsyncHook",
    "AsyncLocalStorage",
    "AsyncResource",
    "__version__",
    "async_wrap_providers",
    "attach",
    "attached",
    "create_hook",
    "detach",
    "execution_async_id",
    "execution_async_resource",
    "set_hook_error_policy",
    "trigger_async_id",
]
