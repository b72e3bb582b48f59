"""One resource of each kind that a program has most of, and its whole life."""

import asyncio
from collections.abc import Callable

from telling import turns
from whence import AsyncResource

EVENTS_OF = {
    "AsyncResource": ("init", "before", "after", "destroy"),
    "Handle": ("init", "before", "after", "destroy"),
    "TimerHandle": ("init", "before", "after", "destroy"),
    "Future": ("init", "promise_resolve", "destroy"),
    "Task": ("init", "before", "promise_resolve", "after", "destroy"),
}
EVERY_EVENT = [(kind, event) for kind, events in EVENTS_OF.items() for event in events]


async def live(kind: str) -> None:
    """The whole life of one resource of this type."""
    loop = asyncio.get_running_loop()
    if kind == "AsyncResource":
        resource = AsyncResource(kind)
        resource.run_in_async_scope(int)
        resource.emit_destroy()
    elif kind == "Handle":
        loop.call_soon(int)
    elif kind == "TimerHandle":
        loop.call_at(loop.time(), int)
    elif kind == "Future":
        loop.create_future().set_result(None)
    else:
        task = loop.create_task(turns(1))
        await turns(5)
        assert task.done()
    await turns(5)


def start(kind: str, body: Callable[[], object]) -> object:
    """Have `body` called as the callback of a resource of this type."""
    loop = asyncio.get_running_loop()
    if kind == "AsyncResource":
        resource = AsyncResource(kind)
        resource.run_in_async_scope(body)
        resource.emit_destroy()
    elif kind == "Handle":
        loop.call_soon(body)
    elif kind == "TimerHandle":
        loop.call_at(loop.time(), body)
    else:

        async def work() -> None:
            body()

        return loop.create_task(work())
    return None
