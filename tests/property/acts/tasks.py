"""Tasks: made in every way, cancelled anywhere, waiting for each other."""

import asyncio
import sys
from asyncio import tasks
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from acts.callbacks import FAR
from acts.futures import hold
from play import AnyFuture, AnyTask, Await, Blocking, Body, Place, ProgramError, pick, spin


class OwnTask(asyncio.Task[Any]):
    """A task of the program's own.  A set of these has an order, whatever their addresses are."""

    made = 0

    def __init__(self, coro: Coroutine[Any, Any, Any], **options: Any) -> None:
        OwnTask.made += 1
        self._hash = OwnTask.made
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._hash


def own_tasks(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    """A task factory."""
    return OwnTask(coro, loop=loop, **options)


def by_create_task(loop: asyncio.AbstractEventLoop, coro: Any) -> AnyTask:
    return loop.create_task(coro)


def by_ensure_future(loop: asyncio.AbstractEventLoop, coro: Any) -> AnyTask:
    return asyncio.ensure_future(coro, loop=loop)


def by_its_constructor(loop: asyncio.AbstractEventLoop, coro: Any) -> AnyTask:
    return asyncio.Task(coro, loop=loop)


def in_python(loop: asyncio.AbstractEventLoop, coro: Any) -> AnyTask:
    task: AnyTask = tasks._PyTask(coro, loop=loop)  # type: ignore[attr-defined]
    return task


def of_own_class(loop: asyncio.AbstractEventLoop, coro: Any) -> AnyTask:
    return OwnTask(coro, loop=loop)


def eagerly(loop: asyncio.AbstractEventLoop, coro: Any) -> AnyTask:
    if sys.version_info < (3, 12):
        return loop.create_task(coro)
    before = loop.get_task_factory()

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        # What the task's first step creates is created as before.
        loop.set_task_factory(before)
        return asyncio.eager_task_factory(loop, coro, **options)

    loop.set_task_factory(make)
    return loop.create_task(coro)


MAKERS: dict[str, Callable[[asyncio.AbstractEventLoop, Any], AnyTask]] = {
    "create_task": by_create_task,
    "ensure_future": by_ensure_future,
    "constructor": by_its_constructor,
    "in Python": in_python,
    "own class": of_own_class,
    "eagerly": eagerly,
}


@dataclass(frozen=True)
class Spawn:
    """A task; in a thread, run_coroutine_threadsafe."""

    body: Body = ()
    how: str = "create_task"
    keep: bool = True
    cancel: bool = False
    """Before its first step."""

    def do(self, here: Place) -> None:
        play, turf = here.play, here.turf
        there = here.start(task=turf.number())
        coroutine = play.run_task(there, self.body)
        if not here.on_loop:
            with play.watch.expects(here, "Handle"):
                asyncio.run_coroutine_threadsafe(coroutine, turf.loop)
            return
        with play.watch.expects(here, "Task", exact=self.how != "eagerly") as born:
            task = MAKERS[self.how](turf.loop, coroutine)
        del coroutine
        there.async_id = born[0] if born else there.async_id
        if self.cancel:
            here.log(f"cancels: {task.cancel()}")
        if self.keep:
            hold(here, task, born, number=there.task)
        else:
            play.saw(here, task)


@dataclass(frozen=True)
class CancelTask:
    """Cancel a task, the current one too, or what gather gave."""

    which: int

    def do(self, here: Place) -> None:
        chosen = pick([w for w in here.turf.waitables if not w.plain], self.which)
        if chosen is not None and here.on_loop:
            here.log(f"cancels: {chosen.future.cancel()}")


@dataclass(frozen=True)
class Gather:
    """Tasks that somebody may wait for together."""

    bodies: tuple[Body, ...] = ()
    return_exceptions: bool = False

    def do(self, here: Place) -> None:
        if not here.on_loop or not self.bodies:
            return
        number = here.turf.number()
        play = here.play
        coroutines = [
            play.run_task(here.at(nth).start(task=here.turf.number()), body)
            for nth, body in enumerate(self.bodies)
        ]
        types = ["Task"] * len(coroutines)
        with play.watch.expects(here, *types, "Future") as born:
            future = asyncio.gather(*coroutines, return_exceptions=self.return_exceptions)
        hold(here, future, born[-1:], number=number)


@dataclass(frozen=True)
class Sleep(Await):
    """sleep(0), or of a tiny while."""

    tiny: bool = False

    async def do_async(self, here: Place) -> None:
        if not self.tiny:
            await asyncio.sleep(0)
            return
        tiny = here.play.loops.tiny
        await Blocking(asyncio.sleep(tiny), lambda: spin(tiny))


@dataclass(frozen=True)
class WaitFor(Await):
    """Await a future or task; shielded, or for a limited time.

    A task waits for younger ones alone, or cancelling one might go round in a circle."""

    which: int
    how: str = "await"

    async def do_async(self, here: Place) -> None:
        shielded = self.how == "shield"
        may_wait = [
            waitable
            for waitable in here.turf.waitables
            if shielded or waitable.plain or waitable.number > here.task
        ]
        chosen = pick(may_wait, self.which)
        if chosen is None:
            return
        here.log(f"got {await self._wait(chosen.future)!r}")

    async def _wait(self, future: AnyFuture) -> object:
        if self.how == "shield":
            return await asyncio.shield(future)
        if self.how == "wait_for":
            return await asyncio.wait_for(future, FAR)
        if self.how == "wait":
            done, _ = await asyncio.wait([future], timeout=FAR)
            return len(done)
        return await future


@dataclass(frozen=True)
class Call(Await):
    """Await a coroutine: no resource (6.6)."""

    body: Body = ()

    async def do_async(self, here: Place) -> None:
        await here.play.run_async(here, self.body)


@dataclass(frozen=True)
class Catch(Await):
    """Go on after what fails inside, a cancellation too."""

    body: Body = ()

    async def do_async(self, here: Place) -> None:
        try:
            await here.play.run_async(here, self.body)
        except (ProgramError, asyncio.CancelledError, RuntimeError, ExceptionGroup) as error:
            here.log(f"caught {error!r}")


@dataclass(frozen=True)
class Group(Await):
    """A TaskGroup."""

    bodies: tuple[Body, ...] = ()
    inside: Body = ()

    async def do_async(self, here: Place) -> None:
        play, turf = here.play, here.turf
        async with asyncio.TaskGroup() as group:
            for nth, body in enumerate(self.bodies):
                there = here.at(nth).start(task=turf.number())
                before = turf.loop.get_task_factory()
                turf.loop.set_task_factory(own_tasks)
                try:
                    with play.watch.expects(here, "Task"):
                        group.create_task(play.run_task(there, body))
                finally:
                    turf.loop.set_task_factory(before)
            await play.run_async(here.at("in"), self.inside)
