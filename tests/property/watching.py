"""Hooks that watch a random program, and what they are expected to hear.

Each hook does what its Plan says: it listens to some of the events, is switched on and off, also by
callbacks of hooks, and some of its callbacks raise or create resources.  Which hooks hear an event
is worked out a second time here, from SEMANTICS 2.7 and 3: `Watch.deliver` checks every delivery.

What is found wrong is noted, not raised: a hook's exceptions are whence's to deal with.
"""

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

import whence
from whence import AsyncHook, AsyncResource, engine

if TYPE_CHECKING:
    from play import Place

EVENTS = ("init", "before", "after", "destroy", "promise_resolve")
NESTED = "Nested"
"""Type of the resources that hooks create."""
FULL = 0
"""The hook that hears everything, from before the program until after it, if there is one."""


class Heard(NamedTuple):
    """One event, as one hook heard it."""

    event: str
    async_id: int
    type: str
    trigger: int
    thread: int
    executing: int
    triggering: int
    depth: int
    """1, and more inside of other hook callbacks."""
    collecting: bool
    """Inside of the collector or of `del`."""


@dataclass(frozen=True)
class Switch:
    """Enable or disable a hook."""

    hook: int
    on: bool

    def do(self, watch: "Watch") -> None:
        watch.switch(self.hook, self.on)


@dataclass(frozen=True)
class Fail:
    """Raise."""

    error: type[BaseException]

    def do(self, watch: "Watch") -> None:
        watch.failures += 1
        raise self.error("planned") from None


@dataclass(frozen=True)
class MakeResource:
    """Create a resource, and drop or destroy it."""

    destroy: bool

    def do(self, watch: "Watch") -> None:
        resource = AsyncResource(NESTED)
        if self.destroy:
            resource.run_in_async_scope(int)
            resource.emit_destroy()


@dataclass(frozen=True)
class Collect:
    """Run the collector."""

    def do(self, watch: "Watch") -> None:
        with watch.collecting():
            gc.collect()


Deed = Switch | Fail | MakeResource | Collect


@dataclass(frozen=True)
class Plan:
    """What a hook listens to, and what it does on its nth callback."""

    events: tuple[str, ...]
    enabled: bool = True
    deeds: tuple[tuple[int, Deed], ...] = ()


class _Delivery:
    """An event under way: who is to hear it, and how many have."""

    def __init__(self, event: str, async_id: int, hooks: tuple[int, ...]) -> None:
        self.event = event
        self.async_id = async_id
        self.hooks = hooks
        self.told = 0
        self.inside = False


class Watch:
    """The hooks of one run."""

    def __init__(
        self, plans: tuple[Plan, ...], *, watched: bool = False, recorded: bool = False
    ) -> None:
        self.watched = watched
        """There is the FULL hook."""
        self.recorded = recorded
        self.follows = watched or recorded
        """Every resource of the run has an id."""
        self.wrong: list[str] = []
        self.failures = 0
        self.heard: list[list[Heard]] = []
        self.alive: dict[int, Callable[[], object]] = {}
        """Ids that FULL heard of -> their resources, weakly."""
        self.bodies: Counter[int] = Counter()
        """Id -> how many pieces of the program it has run."""
        self.open_forever: set[int] = set()
        """Resources that were dropped and are never destroyed, as they were to be."""
        self.lifetimes: list[engine.Lifetime] = []
        self._types: dict[int, str] = {}
        self._triggers: dict[int, int] = {}
        self._plans = (Plan(EVENTS), *plans) if watched else plans
        self._hooks = [self._hook(number) for number in range(len(self._plans))]
        self._calls = [0] * len(self._plans)
        self._wanted: tuple[int, ...] = ()
        self._published: tuple[int, ...] = ()
        self._under_way: dict[int, list[_Delivery]] = {}
        self._changed: set[int] = set()
        self._collecting: set[int] = set()
        self._still = True

    # -- hooks and deliveries -------------------------------------------------------------------

    def _hook(self, number: int) -> AsyncHook:
        heard: list[Heard] = []
        self.heard.append(heard)

        def listener(event: str) -> Callable[..., None]:
            def hear(async_id: int, type: str = "", trigger: int = 0, resource: Any = None) -> None:
                self.deliver(number, event, async_id, type, trigger, resource)

            return hear

        return whence.create_hook({event: listener(event) for event in self._plans[number].events})

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The hooks are enabled as planned, in order; in the end all are disabled."""
        self._still = False
        for number, plan in enumerate(self._plans):
            if plan.enabled:
                self._set(number, True)
        try:
            yield
        finally:
            for number in range(len(self._plans)):
                self._set(number, False)
            self._still = True
        for thread, stack in self._under_way.items():
            if stack:
                self.wrong.append(f"3: {stack[-1].event} was not told to all, thread {thread}")

    def switch(self, hook: int, on: bool) -> None:
        """Enable or disable one of the planned hooks, FULL excepted."""
        first = int(self.watched)
        if len(self._plans) > first:
            self._set(first + hook % (len(self._plans) - first), on)

    def _set(self, number: int, on: bool) -> None:
        if not on:
            self._wanted = tuple(other for other in self._wanted if other != number)
            self._hooks[number].disable()
        else:
            if number not in self._wanted:
                self._wanted = (*self._wanted, number)
            self._hooks[number].enable()
        if self._under_way.get(get_ident()):
            self._changed.add(get_ident())
        else:
            self._published = self._wanted

    def deliver(
        self, number: int, event: str, async_id: int, type: str, trigger: int, resource: Any
    ) -> None:
        """A hook's callback."""
        thread = get_ident()
        stack = self._under_way.setdefault(thread, [])
        delivery = self._expected(stack, number, event, async_id)
        delivery.inside = True
        heard = Heard(
            event,
            async_id,
            type,
            trigger,
            thread,
            whence.execution_async_id(),
            whence.trigger_async_id(),
            len(stack),
            thread in self._collecting,
        )
        self.heard[number].append(heard)
        if self.watched and number == FULL:
            self._note(heard, resource)
        del resource
        self._calls[number] += 1
        try:
            for nth, deed in self._plans[number].deeds:
                if nth == self._calls[number] and not self._still:
                    deed.do(self)
        finally:
            delivery.inside = False
            delivery.told += 1
            if delivery.told == len(delivery.hooks):
                stack.remove(delivery)
            if not stack and thread in self._changed:
                self._changed.discard(thread)
                self._published = self._wanted

    def _expected(
        self, stack: list[_Delivery], number: int, event: str, async_id: int
    ) -> _Delivery:
        """The delivery that this callback is part of; a new one if none is under way."""
        if stack and not stack[-1].inside:
            delivery = stack[-1]
        else:
            listening = tuple(k for k in self._published if event in self._plans[k].events)
            delivery = _Delivery(event, async_id, listening or (number,))
            stack.append(delivery)
        expected = (delivery.event, delivery.async_id, delivery.hooks[delivery.told])
        if expected != (event, async_id, number) or number not in self._published:
            came = f"{event} {async_id} came to hook {number}"
            self.wrong.append(f"2.7, 3: {came}, expected {expected} among {self._published}")
            stack.remove(delivery)
            delivery = _Delivery(event, async_id, (number,))
            stack.append(delivery)
        return delivery

    def _note(self, heard: Heard, resource: object) -> None:
        if heard.event == "init":
            self._types[heard.async_id] = heard.type
            self._triggers[heard.async_id] = heard.trigger
            try:
                self.alive[heard.async_id] = weakref.ref(resource)
            except TypeError:
                self.alive[heard.async_id] = lambda: True
        elif heard.event in ("before", "after"):
            resource = self.alive.get(heard.async_id, lambda: None)()
            if whence.execution_async_resource() is not resource:
                self.wrong.append(f"9.2: not the resource itself in {heard}")

    # -- what the program's pieces ask ----------------------------------------------------------

    @contextmanager
    def still(self) -> Iterator[None]:
        """Two threads run for a moment: hooks do nothing but listen."""
        before, self._still = self._still, True
        try:
            yield
        finally:
            self._still = before

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Only one thread runs again, this one."""
        before, self._still = self._still, False
        try:
            yield
        finally:
            self._still = before

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """The collector, or `del`, is at work in this thread: no destroy now (8.2)."""
        thread = get_ident()
        fresh = thread not in self._collecting
        self._collecting.add(thread)
        try:
            yield
        finally:
            if fresh:
                self._collecting.discard(thread)

    @contextmanager
    def expects(self, here: "Place", *types: str, exact: bool = True) -> Iterator[list[int]]:
        """What is done meanwhile creates resources of these types, triggered by what executes.

        Gives their ids, if they can be known."""
        born: list[int] = []
        if not self.watched:
            yield born
            return
        mark = len(self.heard[FULL])
        yield born
        inits = self.created_since(mark)
        born.extend(init.async_id for init in inits[: len(types)])
        made = [init.type for init in inits]
        if (made if exact else made[: len(types)]) != list(types):
            self.wrong.append(f"6: {here.path} was to create {types}, not {made}")
        for init in inits[: len(types)]:
            if here.async_id is not None and init.trigger != here.async_id:
                self.wrong.append(f"1.7: {here.path}, {here.async_id}, did not trigger {init}")

    def mark(self) -> int:
        """Now, for `created_since`."""
        return len(self.heard[FULL]) if self.watched else 0

    def created_since(self, mark: int) -> list[Heard]:
        """The inits of this thread that FULL heard since, without those made by hooks."""
        if not self.watched:
            return []
        thread = get_ident()
        return [
            heard
            for heard in self.heard[FULL][mark:]
            if heard.event == "init" and heard.thread == thread and heard.depth == 1
        ]

    def begin(self, here: "Place", type: str) -> None:
        """A piece of the program begins to run, as a callback or step of such a resource."""
        if not self.follows:
            return
        async_id = whence.execution_async_id()
        if here.async_id is None:
            here.async_id = async_id
        if self._type_of(async_id) != type:
            self.wrong.append(f"1.5: {here.path} runs as {self._type_of(async_id)}, not {type}")
        self.bodies[async_id] += 1
        if self.recorded:
            self.lifetimes.append(engine.local.state.current)
        self.check(here)

    def check(self, here: "Place") -> None:
        """Is this where we are?"""
        if self.follows and here.async_id is not None:
            ids = whence.execution_async_id(), whence.trigger_async_id()
            trigger = self._trigger_of(here.async_id)
            if ids != (here.async_id, trigger):
                came = f"{here.path} runs as {ids}"
                self.wrong.append(f"1.5, 1.6: {came}, not {(here.async_id, trigger)}")

    def _type_of(self, async_id: int) -> str | None:
        if self.watched:
            return self._types.get(async_id)
        return engine.local.state.current.type.name

    def _trigger_of(self, async_id: int) -> int:
        if self.watched:
            return self._triggers.get(async_id, -1)
        return engine.local.state.current.trigger_async_id

    # -- what came of it --------------------------------------------------------------------------

    def open_ids(self) -> dict[int, bool]:
        """Ids that FULL heard no destroy of -> whether the resource is still there."""
        if not self.watched:
            return {}
        ended = {heard.async_id for heard in self.heard[FULL] if heard.event == "destroy"}
        return {
            async_id: there() is not None
            for async_id, there in self.alive.items()
            if async_id not in ended
        }
