"""AsyncResources: entered, also inside themselves and after their end, destroyed, dropped."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import whence
from play import Body, Place, ProgramError, pick
from whence import AsyncResource


@dataclass(frozen=True)
class MakeResource:
    """A resource, with a trigger of one's own or without; kept, dropped at once, or in a cycle."""

    trigger: int | None = None
    manual: bool = False
    drop: str = "never"

    def do(self, here: Place) -> None:
        play = here.play
        mark = play.watch.mark()
        resource = AsyncResource(
            "Own", trigger_async_id=self.trigger, require_manual_destroy=self.manual
        )
        trigger = whence.execution_async_id() if self.trigger is None else self.trigger
        if resource.trigger_async_id() != trigger:
            play.watch.wrong.append(f"5.2: {here.path} has the trigger {resource}")
        if play.watch.watched:
            expected = [("init", resource.async_id(), "Own", trigger)]
            created = [init[:4] for init in play.watch.created_since(mark)]
            if created != expected:
                play.watch.wrong.append(f"5.4: {here.path} created {created}, not {expected}")
        play.saw(here, resource)
        if self.manual:
            play.watch.open_forever.add(resource.async_id())
        if self.drop == "never":
            play.resources.append((resource, here.stores.copy()))
            return
        if self.drop == "in a cycle":
            resource.cycle = resource  # type: ignore[attr-defined]
        with play.watch.collecting():
            del resource
        here.log(f"dropped, gone: {play.made[-1][1]() is None}")


@dataclass(frozen=True)
class Scope:
    """Run something in a resource's scope: at once, through bind(), or as a new resource's."""

    which: int
    body: Body = ()
    how: str = "run"

    def do(self, here: Place) -> None:
        play = here.play
        before = whence.execution_async_id(), whence.trigger_async_id()
        chosen = pick(play.resources, self.which)
        call: Callable[[Place], None]
        if self.how == "new":
            there = here.start(on_loop=here.on_loop, task=here.task)

            def call(there: Place) -> None:
                play.run(there, self.body)

            with play.watch.expects(here, "call") as born:
                bound = AsyncResource.bind_function(call)
            there.async_id = born[0] if born else None
        elif chosen is None:
            return
        else:
            resource, stores = chosen
            there = here.start(stores.copy(), on_loop=here.on_loop, task=here.task)
            there.async_id = resource.async_id()
            bound = resource.bind(self._run)
            if self.how == "run":

                def bound(there: Place) -> None:
                    resource.run_in_async_scope(self._run, there)

        try:
            bound(there)
        except ProgramError as error:
            here.log(f"left by {error!r}")
        after = whence.execution_async_id(), whence.trigger_async_id()
        if before != after:
            play.watch.wrong.append(f"1.5: {here.path} left {before} as {after}")

    def _run(self, there: Place) -> None:
        ids = whence.execution_async_id()
        if ids != there.async_id:
            there.play.watch.wrong.append(f"1.2: {there.path} runs as {ids}, not {there.async_id}")
        there.play.run(there, self.body)


@dataclass(frozen=True)
class EmitDestroy:
    """End a resource; inside its scope, perhaps, and perhaps once more."""

    which: int

    def do(self, here: Place) -> None:
        chosen = pick(here.play.resources, self.which)
        if chosen is None:
            return
        resource = chosen[0]
        here.play.watch.open_forever.discard(resource.async_id())
        try:
            here.log(f"destroyed: {resource.emit_destroy() is resource}")
        except RuntimeError:
            here.log("is destroyed")


@dataclass(frozen=True)
class DropResource:
    """Hold a resource no longer."""

    which: int

    def do(self, here: Place) -> None:
        resources = here.play.resources
        if resources:
            gone = weakref.ref(resources[self.which % len(resources)][0])
            with here.play.watch.collecting():
                del resources[self.which % len(resources)]
            here.log(f"dropped, gone: {gone() is None}")


@dataclass(frozen=True)
class Collect:
    """Run the collector."""

    def do(self, here: Place) -> None:
        with here.play.watch.collecting():
            gc.collect()


@dataclass(frozen=True)
class Toggle:
    """Enable or disable one of the hooks, if there are any."""

    hook: int
    on: bool

    def do(self, here: Place) -> None:
        here.play.watch.switch(self.hook, self.on)
