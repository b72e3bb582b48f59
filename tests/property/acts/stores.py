"""AsyncLocalStorage: run, exit, enter_with, disable, snapshots, and coroutines with stores."""

from dataclasses import dataclass

from acts.futures import hold
from expected_stores import STORAGES
from play import Await, Body, Place, pick
from whence import AsyncLocalStorage


@dataclass(frozen=True)
class EnterWith:
    """Another store for the rest of this."""

    storage: int

    def do(self, here: Place) -> None:
        number = self.storage % STORAGES
        here.play.storages[number].enter_with(here.path)
        here.stores.put(number, here.path)


@dataclass(frozen=True)
class RunWith:
    """run(), or exit()."""

    storage: int
    body: Body = ()
    exits: bool = False

    def do(self, here: Place) -> None:
        number, play = self.storage % STORAGES, here.play
        store = None if self.exits else here.path
        there = here.with_stores(here.stores.copy().put(number, store))
        if self.exits:
            play.storages[number].exit(play.run, there, self.body)
        else:
            play.storages[number].run(here.path, play.run, there, self.body)


@dataclass(frozen=True)
class AwaitWith(Await):
    """run() or exit() of an async function, awaited here."""

    storage: int
    body: Body = ()
    exits: bool = False

    async def do_async(self, here: Place) -> None:
        number, play = self.storage % STORAGES, here.play
        store = None if self.exits else here.path
        there = here.with_stores(here.stores.copy().put(number, store))
        if self.exits:
            await play.storages[number].exit(play.run_async, there, self.body)
        else:
            await play.storages[number].run(here.path, play.run_async, there, self.body)


@dataclass(frozen=True)
class SpawnWith:
    """A task of such a coroutine (10.5)."""

    storage: int
    body: Body = ()

    def do(self, here: Place) -> None:
        if not here.on_loop:
            return
        number, play, turf = self.storage % STORAGES, here.play, here.turf
        there = here.start(here.stores.copy().put(number, here.path), task=turf.number())
        coroutine = play.storages[number].run(here.path, play.run_task, there, self.body)
        with play.watch.expects(here, "Task") as born:
            task = turf.loop.create_task(coroutine)
        there.async_id = born[0] if born else None
        hold(here, task, born, number=there.task)


@dataclass(frozen=True)
class Disable:
    """Leave every context."""

    storage: int

    def do(self, here: Place) -> None:
        number = self.storage % STORAGES
        here.play.storages[number].disable()
        here.play.generations[number] += 1


@dataclass(frozen=True)
class Snapshot:
    """What all storages hold now, for later."""

    def do(self, here: Place) -> None:
        here.play.snapshots.append((AsyncLocalStorage.snapshot(), here.stores.copy()))


@dataclass(frozen=True)
class RunInSnapshot:
    """With the stores of then; and by bind(), of now."""

    which: int
    body: Body = ()
    bound: bool = False

    def do(self, here: Place) -> None:
        if self.bound:
            bound = AsyncLocalStorage.bind(here.play.run)
            bound(here.with_stores(here.stores.copy()), self.body)
            return
        chosen = pick(here.play.snapshots, self.which)
        if chosen is not None:
            snapshot, stores = chosen
            snapshot(here.play.run, here.with_stores(stores.copy()), self.body)
