"""`python hostile_program.py SEED ACTS LOOP`: a program that does everything wrong, as dice say.

Then it does a little right, to see whether the engine still works, and prints what it did.  Nothing
that it does may end the interpreter: that is what the test looks for.
"""

import asyncio
import copy
import faulthandler
import gc
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any

import hostile
import whence
from hostile import dice, misbehave, plain_function, values
from whence.testing import record

MOST_KEPT = 40
DEEPEST = 150
"""Calls in each other: endless recursions are soon over."""
MOST_NESTED = 20
"""Acts inside of others in a turn, however many hooks each is told to."""
MOST_HOOKS = 5
LONGEST = 0.01
"""Seconds of a turn of acts; what waits for longer goes on in the next one."""
HANGS = 50
"""Seconds after which it is shown where it stands, and ended."""

Act = Callable[["World"], object]
ACTS: dict[str, Act] = {}


def act(function: Act) -> Act:
    """Put an act into the table."""
    ACTS[function.__name__] = function
    return function


class World:
    """What the acts have made, and act upon."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.new_loop = new_loop
        self.loop: Any = new_loop()
        self.kept: list[Any] = []
        self.hooks: list[whence.AsyncHook] = []
        self.storages: list[Any] = [whence.AsyncLocalStorage()]
        self.nested = 0
        self.keeps = True
        """Not what brings the acts about: it would do away with itself."""

    def keep(self, made: Any) -> Any:
        """For later acts; what was kept before may go."""
        if len(self.kept) >= MOST_KEPT:
            del self.kept[dice.randrange(len(self.kept))]
        if self.keeps:
            self.kept.append(made)
        return made

    def anything(self) -> Any:
        """A value, or something that was made."""
        if self.kept and dice.random() < 0.3:
            return dice.choice(self.kept)
        return dice.choice(values())

    def some(self, most: int = 3) -> list[Any]:
        """A few of these."""
        return [self.anything() for _ in range(dice.randrange(most + 1))]

    def kept_of(self, *kinds: type) -> Any:
        """Something of these types that was made, or else anything."""
        # By type(): isinstance() asks hostile objects.
        found = [made for made in self.kept if issubclass(type(made), kinds)]
        return dice.choice(found) if found else self.anything()

    def callback(self) -> Callable[..., Any]:
        """Something that can be called, if not always with what it is given."""
        found: list[Callable[..., Any]] = [
            plain_function,
            hostile.hostile_function,
            hostile.no_arguments,
            hostile.Hostile(),
            partial(hostile.hostile_function, *self.some()),
            self.do_more,
            self.recurse,
            int,
            [].append,
        ]
        return dice.choice(found)

    def do_more(self, *args: object) -> object:
        """An act inside of another."""
        if dice.random() < 0.3 or self.is_worn_out():
            return None
        return dice.choice(list(ACTS.values()))(self)

    def recurse(self, *args: object) -> None:
        """Until Python says no."""
        if not self.is_worn_out():
            self.loop.call_soon(plain_function)
            self.endlessly()

    def endlessly(self) -> None:
        """Never comes back."""
        self.endlessly()

    def is_worn_out(self) -> bool:
        """Whether there was enough of that in this turn."""
        self.nested += 1
        return self.nested > MOST_NESTED


# -- hooks ---------------------------------------------------------------------------------------


def enabled(world: World, hook: whence.AsyncHook) -> None:
    world.hooks.append(hook.enable())
    if len(world.hooks) > MOST_HOOKS:
        world.hooks.pop(0).disable()


@act
def wrong_hook(world: World) -> None:
    enabled(world, whence.create_hook(world.anything()))


@act
def hook_of_every_shape(world: World) -> None:
    events = ("init", "before", "after", "destroy", "promise_resolve")
    shapes: list[Callable[[], Any]] = [world.callback, world.anything, lambda: None]
    made = {event: dice.choice(shapes)() for event in events if dice.random() < 0.5}
    enabled(world, whence.create_hook(**made))


@act
def hook_that_touches_resources(world: World) -> None:
    def init(async_id: int, type: str, trigger_async_id: int, resource: Any) -> None:
        world.keep(resource)
        touch(resource)

    def before(async_id: int) -> None:
        touch(whence.execution_async_resource())

    enabled(world, whence.create_hook(init=init, before=before, after=before))


@act
def hook_that_changes_hooks(world: World) -> None:
    def change(*args: object) -> None:
        if world.hooks:
            hook = dice.choice(world.hooks)
            dice.choice([hook.enable, hook.disable])()

    enabled(world, whence.create_hook(init=change, after=change, destroy=change))


@act
def hook_that_never_comes_back(world: World) -> None:
    """It makes what calls it."""

    def init(*args: object) -> None:
        if not world.is_worn_out():
            world.loop.call_soon(plain_function)

    with whence.create_hook(init=init):
        world.loop.call_soon(plain_function)


@act
def changed_hook(world: World) -> None:
    if world.hooks:
        hook = dice.choice(world.hooks)
        setattr(hook, dice.choice(["init", "before", "destroy"]), world.anything())
        hook.disable().enable()


@act
def fewer_hooks(world: World) -> None:
    while len(world.hooks) > dice.randrange(4):
        world.hooks.pop(dice.randrange(len(world.hooks))).disable()


@act
def policy(world: World) -> None:
    whence.set_hook_error_policy(dice.choice([p for p in values() if p != "exit"]))


# -- resources of one's own ----------------------------------------------------------------------


def hostile_resource_class() -> type[Any]:
    own = {
        name: method
        for name, method in vars(hostile.Hostile).items()
        if name in ("__repr__", "__eq__", "__hash__", "__del__", "__class__", "__bool__", "__len__")
    }
    return type("HostileResource", (whence.AsyncResource,), own)


@act
def resource(world: World) -> None:
    kind: Any = dice.choice([whence.AsyncResource, hostile_resource_class()])
    name = dice.choice(["fuzz", hostile.HostileStr("fuzz"), world.anything()])
    given: dict[str, Any] = {}
    if dice.random() < 0.5:
        given["trigger_async_id"] = world.anything()
    if dice.random() < 0.5:
        given["require_manual_destroy"] = world.anything()
    world.keep(kind(name, **given))


@act
def use_of_a_resource(world: World) -> None:
    made = world.kept_of(whence.AsyncResource)
    uses: list[Callable[[], object]] = [
        made.async_id,
        made.trigger_async_id,
        made.emit_destroy,
        lambda: made.run_in_async_scope(world.callback(), *world.some()),
        lambda: made.bind(world.callback())(*world.some()),
        lambda: whence.AsyncResource.bind_function(world.callback(), world.anything())(),
        lambda: made.__init__("again"),
        lambda: whence.AsyncResource.run_in_async_scope(world.anything(), world.callback()),
        lambda: world.keep(object.__new__(type(made))),
    ]
    dice.choice(uses)()


# -- what the loop makes -------------------------------------------------------------------------


@act
def call_soon(world: World) -> None:
    given = {} if dice.random() < 0.6 else {"context": context(world)}
    schedule = dice.choice([world.loop.call_soon, world.loop.call_soon_threadsafe])
    called = world.callback() if dice.random() < 0.8 else world.anything()
    world.keep(schedule(called, *world.some(), **given))


@act
def call_later(world: World) -> None:
    when = dice.choice([0, 0.0, 0.0005, 1e-9, -1, 3600, world.anything()])
    schedule = dice.choice([world.loop.call_later, world.loop.call_at])
    given = {} if dice.random() < 0.6 else {"context": context(world)}
    world.keep(schedule(when, world.callback(), *world.some(), **given))


def context(world: World) -> Any:
    return dice.choice([None, copy_context(), Context(), world.anything()])


@act
def wrong_call(world: World) -> None:
    """Without arguments, with too many, with names that there are not."""
    names = ("call_soon", "call_later", "call_at", "create_future", "create_task", "call_exception")
    given = {dice.choice(["context", "callback", "name", "x"]): world.anything()}
    getattr(world.loop, dice.choice(names))(*world.some(6), **given)


@act
def handle(world: World) -> None:
    kind: Any = dice.choice([asyncio.Handle, asyncio.TimerHandle])
    if dice.random() < 0.4:
        made = kind.__new__(kind)
    elif kind is asyncio.Handle:
        made = kind(world.callback(), (), world.loop, context(world))
    else:
        made = kind(1.0, world.callback(), (), world.loop, context(world))
    world.keep(made)


@act
def use_of_a_handle(world: World) -> None:
    made = world.kept_of(asyncio.Handle)
    uses: list[Callable[[], object]] = [
        made.cancel,
        made._run,
        made.cancelled,
        made.get_callback,
        made.__repr__,
        lambda: made.__init__(*world.some(5)),
        lambda: [made < it for it in world.kept] + [made == it for it in world.kept],
        lambda: setattr(made, field(made), world.anything()),
        lambda: delattr(made, field(made)),
        lambda: setattr(made, "__class__", dice.choice([asyncio.Handle, type(made), object])),
        lambda: type(made)._run(world.anything()),
        lambda: type(made).cancel(world.anything()),
        lambda: touch(made),
    ]
    dice.choice(uses)()


def field(made: object) -> str:
    """The name of an attribute, of those that a class declares first of all."""
    names = [
        "_callback",
        "_args",
        "_context",
        "_loop",
        "_cancelled",
        "_scheduled",
        "_when",
        "_task",
    ]
    return dice.choice([*names, "_lifetime", "_whence", "__dict__", "_source_traceback"])


@act
def future(world: World) -> None:
    kinds: list[Callable[[], Any]] = [
        lambda: world.loop.create_future(),
        lambda: asyncio.Future(loop=world.loop),
        lambda: hostile.hostile_class("HostileFuture", asyncio.Future, leave=("__del__",))(
            loop=world.loop
        ),
        lambda: asyncio.Future.__new__(asyncio.Future),
        lambda: asyncio.Future(*world.some(), **{"loop": world.anything()}),
    ]
    world.keep(dice.choice(kinds)())


@act
def use_of_a_future(world: World) -> None:
    made = world.kept_of(asyncio.Future)
    uses: list[Callable[[], object]] = [
        lambda: made.set_result(world.anything()),
        lambda: made.set_exception(world.anything()),
        lambda: made.set_exception(dice.choice(hostile.ERRORS)),
        lambda: made.set_exception(dice.choice(hostile.ERRORS)("made")),
        lambda: made.cancel(*world.some(1)),
        lambda: made.add_done_callback(world.callback()),
        lambda: made.add_done_callback(world.anything(), context=context(world)),
        lambda: made.remove_done_callback(world.anything()),
        made.result,
        made.exception,
        made.__repr__,
        lambda: made.__init__(loop=world.anything()),
        lambda: next(made.__await__()),
        lambda: setattr(made, field(made), world.anything()),
        lambda: delattr(made, field(made)),
        lambda: asyncio.Future.set_result(world.anything(), 1),
        lambda: touch(made),
    ]
    dice.choice(uses)()


@act
def task(world: World) -> None:
    made = dice.choice(
        [
            hostile.coroutine_function(),
            hostile.Coroutine(),
            hostile.generator_function(),
            waiting_for(world.kept_of(asyncio.Future)),
            acting(world),
            world.anything(),
        ]
    )
    kinds: list[Callable[[], Any]] = [
        lambda: world.loop.create_task(made),
        lambda: world.loop.create_task(made, name=world.anything()),
        lambda: asyncio.Task(made, loop=world.loop),
        lambda: hostile.hostile_class("HostileTask", asyncio.Task, leave=("__del__",))(
            made, loop=world.loop
        ),
        lambda: asyncio.Task.__new__(asyncio.Task),
        lambda: asyncio.ensure_future(made, loop=world.loop),
        lambda: asyncio.gather(made, return_exceptions=True),
    ]
    world.keep(dice.choice(kinds)())


async def waiting_for(what: Any) -> Any:
    try:
        return await what
    except asyncio.CancelledError:
        return misbehave(None)


async def acting(world: World) -> None:
    for _ in range(dice.randrange(4)):
        await asyncio.sleep(dice.choice([0, 0, 0.0005]))
        world.do_more()


@act
def use_of_a_task(world: World) -> None:
    made = world.kept_of(asyncio.Task)
    uses: list[Callable[[], object]] = [
        made.cancel,
        lambda: made.cancel(world.anything()),
        made.uncancel,
        made.get_coro,
        made.get_stack,
        lambda: made.set_name(world.anything()),
        lambda: made.__init__(world.anything()),
        lambda: made.__init__(hostile.coroutine_function(), loop=world.loop),
        lambda: setattr(made, field(made), world.anything()),
        lambda: delattr(made, field(made)),
        lambda: touch(made),
    ]
    dice.choice(uses)()


@act
def thread(world: World) -> None:
    works: list[Callable[[], Any]] = [gc.collect, plain_function, whence.execution_async_resource]

    def work() -> None:
        for _ in range(3):
            dice.choice(works)()
            world.loop.call_soon_threadsafe(plain_function)

    world.keep(world.loop.run_in_executor(None, work))
    started = threading.Thread(target=work)
    started.start()
    started.join()


@act
def debug_mode(world: World) -> None:
    world.loop.set_debug(dice.random() < 0.1)


@act
def another_loop(world: World) -> None:
    """With what is open on the first."""
    if not world.loop.is_running():
        world.loop.close()
        world.loop = world.new_loop()


# -- what the agent offers -----------------------------------------------------------------------


@act
def attaching(world: World) -> None:
    if whence.attached():
        whence.detach()
    else:
        types = dice.choice([None, "all", "-Task"])
        whence.attach(export="none", types=types, stacks=dice.choice([None, "off", "3"]))


@act
def wrong_setting(world: World) -> None:
    names = ("export", "types", "sample", "stacks", "slow", "include", "nothing")
    chosen = {dice.choice(names): world.anything(), "export": "none"}
    whence.attach(**chosen)


@act
def look(world: World) -> None:
    world.keep(whence.active_resources())


@act
def where_we_are(world: World) -> None:
    touch(whence.execution_async_resource())
    assert type(whence.execution_async_id()) is int
    assert type(whence.trigger_async_id()) is int


@act
def storage(world: World) -> None:
    made = dice.choice(world.storages)
    uses: list[Callable[[], object]] = [
        lambda: world.storages.append(whence.AsyncLocalStorage(name=world.anything())),
        lambda: made.run(world.anything(), world.callback(), *world.some()),
        lambda: made.enter_with(world.anything()),
        lambda: made.exit(world.callback()),
        made.get_store,
        made.disable,
        lambda: whence.AsyncLocalStorage.bind(world.callback())(*world.some()),
        lambda: whence.AsyncLocalStorage.snapshot()(world.callback()),
    ]
    dice.choice(uses)()
    del world.storages[10:]


@act
def traces(world: World) -> None:
    whence.on_trace(world.anything()).stop(0)


# -- everything else -----------------------------------------------------------------------------


def touch(made: Any) -> None:
    """Everything that Python lets anybody do with an object."""
    touches: list[Callable[[], object]] = [
        lambda: repr(made),
        lambda: hash(made),
        lambda: vars(made),
        lambda: [getattr(made, name, None) for name in dir(made)],
        lambda: copy.copy(made),
        lambda: pickle.dumps(made),
        lambda: weakref.ref(made),
        lambda: made == made,
        lambda: gc.get_referents(made),
        lambda: setattr(made, "marked", True),
        lambda: isinstance(made, (asyncio.Handle, asyncio.Future)),
        lambda: type(made)(made),
        lambda: type("Derived", (type(made),), {}),
    ]
    for one in dice.sample(touches, 3):
        try:
            one()
        except Exception:
            pass


@act
def forget(world: World) -> None:
    del world.kept[: dice.randrange(len(world.kept) + 1)]
    gc.collect()


@act
def nested_loop(world: World) -> None:
    """Refused inside of another."""
    asyncio.run(asyncio.sleep(0))


def attempt(one: Callable[[], object]) -> None:
    """Whatever comes of it, but nothing may be lost that ends a process: it is on purpose."""
    try:
        one()
    except BaseException as error:
        error.__traceback__ = None


def run(world: World, acts: int, at_a_time: int = 25) -> None:
    """In callbacks of the loop; what one raises may end the loop's run, and the next one begins."""
    hostile.mischief[:] = [gc.collect, world.do_more, world.kept.clear]
    for start in range(0, acts, at_a_time):
        some = range(start, min(acts, start + at_a_time))
        attempt(partial(turn, world, some))
        if start % (4 * at_a_time) == 0:
            attempt(partial(another_loop, world))


def turn(world: World, acts: range) -> None:
    def do_all() -> None:
        for number in acts:
            dice.seed(f"{SEED} {number}")
            attempt(partial(dice.choice(list(ACTS.values())), world))

    def stop_in_time() -> None:
        # No timer: times that are no numbers, or lie, leave asyncio's heap in any order.
        if time.monotonic() > end:
            world.loop.stop()
        else:
            world.loop.call_soon(stop_in_time)

    end = time.monotonic() + LONGEST
    world.keeps, world.nested = False, 0
    for one in (do_all, partial(world.loop.call_soon, do_all), stop_in_time):
        world.loop.call_soon(one)
    world.keeps = True
    world.loop.run_forever()


def is_as_ever() -> None:
    """Three acts of a program that does nothing wrong."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(plain_function)
        loop.call_later(0.001, plain_function)
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future
        await asyncio.sleep(0.002)

    with record() as events, asyncio.Runner(loop_factory=NEW_LOOP) as runner:
        runner.run(main())
    (first, *_) = events.ids("Task")
    told = [name for name in events.names(first) if name not in ("before", "after")]
    assert told == ["init", "promise_resolve", "destroy"], told
    called = [events.names(made) for made in events.ids("TimerHandle")]
    assert ["init", "before", "after", "destroy"] in called, called
    assert ["init", "promise_resolve", "destroy"] in map(events.names, events.ids("Future"))


def clean_up(world: World) -> None:
    for hook in world.hooks:
        hook.disable()
    whence.detach()
    world.kept.clear()
    world.storages.clear()
    attempt(world.loop.close)


def main() -> None:
    whence.set_hook_error_policy("log")
    # A hook that raises KeyboardInterrupt has it raised wherever the program is.
    signal.signal(signal.SIGINT, lambda *interrupt: None)
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEPEST)
    with open(os.devnull, "w", encoding="utf-8", errors="replace") as unread:
        sys.stdout = sys.stderr = unread
        world = World(NEW_LOOP)
        run(world, int(sys.argv[2]))
        hostile.mischief[:] = [gc.collect]
        attempt(partial(clean_up, world))
        attempt(gc.collect)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    sys.setrecursionlimit(usual)
    whence.set_hook_error_policy("log")
    is_as_ever()
    from whence import engine

    print(engine.NAME, "engine, as ever")


if __name__ == "__main__":
    faulthandler.enable()
    faulthandler.dump_traceback_later(HANGS, exit=True)
    SEED = sys.argv[1]
    if sys.argv[3] == "uvloop":
        import uvloop

        NEW_LOOP: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    else:
        NEW_LOOP = asyncio.new_event_loop
    main()
