"""Ctrl-C while a hook runs, under the policy "log": the program handles it, and nothing is torn."""

import asyncio
import threading
from typing import Any

import pytest

from loops import LOOPS, Loops
from telling import policy
from whence import AsyncResource, create_hook, execution_async_id
from whence.engine import local

LIVES = {
    "Handle": ("init", "before", "after", "destroy"),
    "TimerHandle": ("init", "before", "after", "destroy"),
    "Task": ("before", "promise_resolve", "after", "destroy"),
    "Future": ("init", "promise_resolve", "destroy"),
    "Mine": ("init", "before", "after", "destroy"),
}


class Interrupting:
    """Hears everything, and is interrupted once, at one event of one kind of resource."""

    def __init__(self, kind: str, event: str) -> None:
        self.kind = kind
        self.event = event
        self.kinds: dict[int, str] = {}
        self.interrupted = False
        self.stack: list[int] = []
        self.torn: list[tuple[str, int]] = []

    def hook(self) -> Any:
        return create_hook(
            init=lambda async_id, kind, *_: self.heard("init", async_id, kind),
            before=lambda async_id: self.heard("before", async_id),
            after=lambda async_id: self.heard("after", async_id),
            destroy=lambda async_id: self.heard("destroy", async_id),
            promise_resolve=lambda async_id: self.heard("promise_resolve", async_id),
        )

    def heard(self, event: str, async_id: int, kind: str | None = None) -> None:
        kind = self.kinds.setdefault(async_id, kind or "")
        if event == "before":
            self.stack.append(async_id)
        if event == "after" and (not self.stack or self.stack.pop() != async_id):
            self.torn.append((event, async_id))
        if (kind, event) == (self.kind, self.event) and not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt


async def lives(loop: asyncio.AbstractEventLoop, ran: list[str]) -> None:
    loop.call_soon(ran.append, "callback")
    loop.call_later(0, ran.append, "timer")
    future = loop.create_future()
    loop.call_later(0.001, future.set_result, "future")
    ran.append(await future)
    mine = AsyncResource("Mine")
    mine.run_in_async_scope(ran.append, "scope")
    mine.emit_destroy()
    await asyncio.sleep(0.001)


def run_till_done(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> int:
    """How often that was interrupted; each time the main thread is at its top level."""
    interrupts = 0
    while not task.done():
        try:
            loop.run_until_complete(task)
        except KeyboardInterrupt:
            interrupts += 1
            assert (execution_async_id(), local.state.depth) == (1, 0)
    return interrupts


@pytest.mark.parametrize("loops", LOOPS, ids=lambda loops: loops.name)
@pytest.mark.parametrize("where", [(kind, event) for kind in LIVES for event in LIVES[kind]])
def test_the_program_is_interrupted_once_and_everything_is_where_it_was(
    where: tuple[str, str], loops: Loops
) -> None:
    hears = Interrupting(*where)
    ran: list[str] = []
    loop = loops.make()
    try:
        with policy("log"), hears.hook():
            task = loop.create_task(lives(loop, ran))
            interrupts = run_till_done(loop, task)
            # The destroys of the task's last step.
            loop.call_soon(loop.stop)
            loop.run_forever()
    finally:
        loop.close()
    assert hears.interrupted
    # What interrupts a task ends it: a loop that is run for it hears of it no more.
    assert interrupts == 1 or type(task.exception()) is KeyboardInterrupt
    assert (hears.torn, hears.stack) == ([], [])
    assert (execution_async_id(), local.state.depth) == (1, 0)
    if task.exception() is None:
        assert ran == ["callback", "timer", "future", "scope"]


def test_in_another_thread_it_is_the_main_threads_to_handle() -> None:
    """As `_thread.interrupt_main()` is."""

    def interrupted(async_id: int, kind: str, *_: object) -> None:
        if kind == "Mine":
            raise KeyboardInterrupt

    def make() -> None:
        AsyncResource("Mine")
        made.set()

    def program() -> None:
        with create_hook(init=interrupted):
            thread.start()
            assert made.wait(10)
            while True:
                pass

    made = threading.Event()
    thread = threading.Thread(target=make)
    with policy("log"), pytest.raises(KeyboardInterrupt):
        program()
    thread.join()
