"""Events as a story that a test can write down, each resource named by its type and number."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import whence
from telling import told
from whence.testing import Events, record

T = TypeVar("T")


def story(events: Events, *types: str) -> list[str]:
    """What happened to the resources of these types: "init Handle1 Handle by Task1" and so on.

    Every resource is numbered among those of its type, in the order of their inits; what had no
    init here keeps its id."""
    names: dict[str, int] = {}
    for type_ in dict.fromkeys(e[2] for e in events if e[0] == "init"):
        for number, async_id in enumerate(events.ids(type_), start=1):
            names[f"{type_}{number}"] = async_id
    chosen = {i for type_ in types for i in events.ids(type_)}
    return told((e for e in events if e[1] in chosen), **names)


def run_recorded(main: Callable[[], Coroutine[Any, Any, T]], *, debug: bool = False) -> Events:
    """The events of `asyncio.run(main())`."""
    with record() as events:
        asyncio.run(main(), debug=debug)
    return events


@contextmanager
def new_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of its own, closed at the end."""
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


class Executing:
    """Notes what executes when it is called, as any callback might."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.triggers: list[int] = []
        self.resources: list[object] = []

    def __call__(self, *args: object) -> None:
        self.ids.append(whence.execution_async_id())
        self.triggers.append(whence.trigger_async_id())
        self.resources.append(whence.execution_async_resource())


async def until(condition: Callable[[], object], turns: int = 20_000) -> None:
    """Let turns of the loop pass until something has become true; fails if it does not."""
    for turn in range(turns):
        if condition():
            return
        # At first at once, which makes no timer; then it takes what time it takes.
        await asyncio.sleep(0 if turn < 100 else 0.001)
    raise AssertionError("what was waited for did not come to pass")
