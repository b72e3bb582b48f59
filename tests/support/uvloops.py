"""Programs on uvloop, and what happened in them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

from whence.testing import Events, record

T = TypeVar("T")


def run_on_uvloop(main: Callable[[], Coroutine[Any, Any, T]], *, debug: bool = False) -> Events:
    """The events of a program whose main task is `main()`."""
    with record() as events, asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=debug) as run:
        run.run(main())
    return events


@contextmanager
def new_uvloop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of its own, closed at the end."""
    loop = uvloop.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()
