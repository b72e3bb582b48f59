"""Futures: made, settled in every way, watched, and dropped."""

import asyncio
import weakref
from dataclasses import dataclass

from acts.callbacks import callback
from play import AnyFuture, Body, Place, ProgramError, Waitable, pick


def own_future(loop: asyncio.AbstractEventLoop) -> AnyFuture:
    """A future of a class of the program's own, made when asyncio is as it is now."""

    class OwnFuture(asyncio.Future):  # type: ignore[type-arg]
        pass

    return OwnFuture(loop=loop)


def hold(
    here: Place, future: AnyFuture, born: list[int], *, plain: bool = False, number: int = 0
) -> None:
    """Keep it where others find it."""
    async_id = born[0] if born else None
    here.turf.waitables.append(Waitable(future, number or here.turf.number(), async_id, plain))
    here.play.saw(here, future)


@dataclass(frozen=True)
class MakeFuture:
    """create_future(), Future(), or a subclass; kept, dropped at once, or dropped in a cycle."""

    how: str = "loop"
    drop: str = "never"

    def do(self, here: Place) -> None:
        if not here.on_loop:
            here.log("is no loop")
            return
        loop = here.turf.loop
        future: AnyFuture
        with here.play.watch.expects(here, "Future") as born:
            if self.how == "loop":
                future = loop.create_future()
            elif self.how == "direct":
                future = asyncio.Future()
            else:
                future = own_future(loop)
        if self.drop == "never":
            hold(here, future, born, plain=True)
            return
        here.play.saw(here, future)
        if self.drop == "in a cycle":
            cycle = [future]
            future.add_done_callback(cycle.append)
            del cycle
        with here.play.watch.collecting():
            del future
        here.log(f"dropped, gone: {here.play.made[-1][1]() is None}")


@dataclass(frozen=True)
class Settle:
    """A result, an exception or a cancellation; also of what is settled."""

    which: int
    how: str = "result"

    def do(self, here: Place) -> None:
        chosen = _pick_plain(here, self.which)
        if chosen is None:
            return
        future, watch = chosen.future, here.play.watch
        mark = watch.mark()
        try:
            if self.how == "result":
                future.set_result(here.path)
            elif self.how == "exception":
                future.set_exception(ProgramError(here.path))
            else:
                here.log(f"cancels: {future.cancel(here.path)}")
        except asyncio.InvalidStateError:
            here.log("is settled")
        for init in watch.created_since(mark):
            if chosen.async_id is not None and init[:4] != (
                "init",
                init.async_id,
                "Handle",
                chosen.async_id,
            ):
                watch.wrong.append(f"6.8: {here.path}, of future {chosen.async_id}, created {init}")


@dataclass(frozen=True)
class OnDone:
    """A done callback, of a future or a task, pending or settled."""

    which: int
    body: Body = ()

    def do(self, here: Place) -> None:
        chosen = pick(here.turf.waitables, self.which) if here.on_loop else None
        if chosen is None:
            return
        _, call = callback(here, self.body, "Handle")
        watch, mark = here.play.watch, here.play.watch.mark()
        done = chosen.future.done()
        chosen.future.add_done_callback(call)
        here.turf.callbacks.append((chosen.future, call))
        if watch.watched:
            created = [(init.type, init.trigger) for init in watch.created_since(mark)]
            trigger = chosen.async_id
            if created and trigger is None:
                trigger = created[0][1]
            if created != [("Handle", trigger)] * done:
                watch.wrong.append(f"6.8: {here.path}, of {chosen}, created {created}")


@dataclass(frozen=True)
class RemoveOnDone:
    """Remove a done callback, if it has not been called yet."""

    which: int

    def do(self, here: Place) -> None:
        chosen = pick(here.turf.callbacks, self.which) if here.on_loop else None
        if chosen is not None:
            future, call = chosen
            here.log(f"removed: {future.remove_done_callback(call)}")


@dataclass(frozen=True)
class Drop:
    """Hold a future or task no longer."""

    which: int

    def do(self, here: Place) -> None:
        waitables = here.turf.waitables
        if not here.on_loop or not waitables:
            return
        gone = weakref.ref(waitables[self.which % len(waitables)].future)
        with here.play.watch.collecting():
            del waitables[self.which % len(waitables)]
        here.log(f"dropped, gone: {gone() is None}")


def _pick_plain(here: Place, which: int) -> Waitable | None:
    plain = [waitable for waitable in here.turf.waitables if waitable.plain]
    return pick(plain, which) if here.on_loop else None
