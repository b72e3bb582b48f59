"""What tests of events share: events told as lines, turns of a loop, a policy for a block."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import whence
from whence import engine
from whence.testing import Event, Events

T = TypeVar("T")

_ALWAYS = {0: "nobody", 1: "top"}


def told(events: Iterable[Event], **names: int) -> list[str]:
    """Events as lines that a test can write down: "init x Type by y", "before x".

    An id without a name stays a number, so that no test passes by luck of counting."""
    name_of = _ALWAYS | {async_id: name for name, async_id in names.items()}

    def name(async_id: int) -> str:
        return name_of.get(async_id, str(async_id))

    return [
        f"init {name(event[1])} {event[2]} by {name(event[3])}"
        if event[0] == "init"
        else f"{event[0]} {name(event[1])}"
        for event in events
    ]


def listening() -> tuple[whence.AsyncHook, Events]:
    """A hook that lists what it hears, for the test to enable and disable."""
    events = Events()

    def noting(name: str) -> Callable[[int], None]:
        return lambda async_id: events.append((name, async_id))

    hook = whence.create_hook(
        {name: noting(name) for name in ("before", "after", "destroy", "promise_resolve")},
        init=lambda i, type, trigger, resource: events.append(("init", i, type, trigger)),
    )
    return hook, events


def run_followed(main: Coroutine[Any, Any, T]) -> T:
    """asyncio.run, the main task being followed from its start: it has an id of its own."""
    with whence.create_hook(init=lambda *_: None, destroy=lambda _: None):
        return asyncio.run(main)


async def turns(number: int = 3) -> None:
    """Let so many turns of the loop pass; creates no resource."""
    for _ in range(number):
        await asyncio.sleep(0)


@contextmanager
def collector_off() -> Iterator[None]:
    """What goes meanwhile goes because nothing refers to it, and it is in no reference cycle."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def recorded() -> Iterator[None]:
    """The agent's own hook, without anything that is sent anywhere."""
    engine.recorder.on = True
    engine.want_instrumentation(True)
    try:
        yield
    finally:
        engine.want_instrumentation(False)
        engine.recorder.on = False
        engine.open_lifetimes.clear()
        engine.ring.clear()


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Another hook error policy for a block."""
    before = engine.hook_error_policy()
    whence.set_hook_error_policy(name)
    try:
        yield
    finally:
        whence.set_hook_error_policy(before)
