"""Who hears an event while hooks change: SEMANTICS 3."""

import asyncio
import threading
from collections.abc import Callable

import pytest

import whence
from living import EVERY_EVENT, live, start
from telling import listening, run_followed, told, turns
from whence import AsyncHook, AsyncResource, create_hook
from whence.testing import record


class Once:
    """A hook that acts at the first event of this name of a resource of this type."""

    def __init__(self, kind: str, event: str, act: Callable[[], object]) -> None:
        self.kind, self.event, self.act = kind, event, act
        self.ids: set[int] = set()
        self.acted = False
        names = ("before", "after", "destroy", "promise_resolve")
        callbacks = {name: self._hearing(name) for name in names}
        self.hook = create_hook(callbacks, init=self._init)

    def _init(self, async_id: int, type: str, *_: object) -> None:
        if type == self.kind:
            self.ids.add(async_id)
            self._hear("init", async_id)

    def _hearing(self, name: str) -> Callable[[int], None]:
        return lambda async_id: self._hear(name, async_id)

    def _hear(self, name: str, async_id: int) -> None:
        if name == self.event and async_id in self.ids and not self.acted:
            self.acted = True
            self.act()


def listing(seen: list[str]) -> AsyncHook:
    """A hook that lists the types of what is created."""
    return create_hook(init=lambda i, type, *_: seen.append(type))


@pytest.mark.parametrize(("kind", "event"), EVERY_EVENT)
def test_a_hook_enabled_in_a_callback_sees_nothing_nested_in_that_event(
    kind: str, event: str
) -> None:
    """SEMANTICS 3.1, 3.2."""
    seen: list[str] = []
    late = listing(seen)

    def enable() -> None:
        late.enable()
        AsyncResource("NESTED")
        AsyncResource("NESTED")

    once = Once(kind, event, enable)

    async def main() -> list[str]:
        with once.hook:
            await live(kind)
            AsyncResource("AFTERWARDS")
        late.disable()
        return seen

    asyncio.run(main())
    assert "NESTED" not in seen
    assert "AFTERWARDS" in seen


@pytest.mark.parametrize(("kind", "event"), EVERY_EVENT)
def test_a_hook_disabled_in_a_callback_sees_this_event_and_what_is_nested_in_it(
    kind: str, event: str
) -> None:
    """SEMANTICS 3.1, 3.2."""
    seen: list[str] = []
    heard: list[str] = []
    early = create_hook(
        {event: lambda *_: heard.append(event)} if event != "init" else {},
        init=lambda i, type, *_: seen.append(type),
    )

    def disable() -> None:
        heard.clear()
        early.disable()
        AsyncResource("NESTED")
        AsyncResource("NESTED")

    once = Once(kind, event, disable)

    async def main() -> None:
        with once.hook, early:
            await live(kind)
            AsyncResource("AFTERWARDS")

    asyncio.run(main())
    assert seen.count("NESTED") == 2
    assert "AFTERWARDS" not in seen
    if event == "init":
        assert kind in seen
    else:
        assert heard == [event]


def test_enabled_and_disabled_in_one_callback_is_off() -> None:
    """SEMANTICS 3.3."""
    seen: list[str] = []
    other = listing(seen)
    once = Once("X", "init", lambda: other.enable().disable())
    with once.hook:
        AsyncResource("X")
        AsyncResource("Y")
    assert seen == []


def test_disabled_and_enabled_in_one_callback_is_on_and_last() -> None:
    """SEMANTICS 3.3."""
    seen: list[str] = []
    first = create_hook(init=lambda i, type, *_: seen.append(f"first {type}"))
    second = create_hook(init=lambda i, type, *_: seen.append(f"second {type}"))
    once = Once("X", "init", lambda: first.disable().enable())
    with once.hook, first, second:
        AsyncResource("X")
        AsyncResource("Y")
    assert seen == ["first X", "second X", "second Y", "first Y"]


def test_a_hook_that_disables_itself_in_before_gets_no_after() -> None:
    """SEMANTICS 3.4."""
    seen: list[str] = []

    def before(async_id: int) -> None:
        seen.append("before")
        hook.disable()

    hook = create_hook(
        before=before,
        after=lambda i: seen.append("after"),
        destroy=lambda i: seen.append("destroy"),
    )
    resource = AsyncResource("X")
    with hook:
        resource.run_in_async_scope(int)
        resource.emit_destroy()
    assert seen == ["before"]


def test_a_hook_that_enables_itself_again_in_before_gets_its_after() -> None:
    """SEMANTICS 3.3, 3.4."""
    seen: list[str] = []
    resource = AsyncResource("X")

    def before(async_id: int) -> None:
        seen.append("before")
        hook.disable().enable()

    hook = create_hook(
        before=before,
        after=lambda i: seen.append("after"),
    )
    with hook:
        resource.run_in_async_scope(int)
    assert seen == ["before", "after"]


def resolution(kind: str) -> list[str]:
    return ["promise_resolve x"] if kind == "Task" else []


@pytest.mark.parametrize("kind", ["AsyncResource", "Handle", "TimerHandle", "Task"])
def test_disabled_in_the_body_gets_neither_after_nor_destroy(kind: str) -> None:
    """SEMANTICS 3.5."""

    async def main() -> list[str]:
        hook, heard = listening()
        with record() as events, hook:
            start(kind, hook.disable)
            await turns(5)
        async_id = events.ids(kind)[0]
        own = told(events.of(async_id), x=async_id)[1:]
        assert own == ["before x", *resolution(kind), "after x", "destroy x"]
        return told(heard.of(async_id), x=async_id)[1:]

    assert asyncio.run(main()) == ["before x"]


@pytest.mark.parametrize("kind", ["AsyncResource", "Handle", "TimerHandle", "Task"])
def test_enabled_in_the_body_gets_after_and_destroy_and_no_before(kind: str) -> None:
    """SEMANTICS 3.5."""

    async def main() -> list[str]:
        hook, heard = listening()
        with record() as events:
            start(kind, hook.enable)
            await turns(5)
            hook.disable()
        async_id = events.ids(kind)[0]
        return told(heard.of(async_id), x=async_id)

    assert asyncio.run(main()) == [*resolution(kind), "after x", "destroy x"]


def test_a_nested_event_is_delivered_at_once_inside() -> None:
    """SEMANTICS 3.6."""
    seen: list[str] = []

    def init(async_id: int, type: str, *_: object) -> None:
        seen.append(f"begin {type}")
        if type == "OUTER":
            AsyncResource("INNER").run_in_async_scope(seen.append, "fn")
        seen.append(f"end {type}")

    with create_hook(init=init, before=lambda i: seen.append("before")):
        AsyncResource("OUTER")
    assert seen == ["begin OUTER", "begin INNER", "end INNER", "before", "fn", "end OUTER"]


def test_three_hooks_that_enable_and_disable_one_another() -> None:
    """SEMANTICS 3.7: the scenario of Node's test-enable-disable.

    Hook 3 enables hook 2 before the first callback, hook 2 disables hook 1 before the second, and
    hook 3 disables itself after the second."""
    log: list[str] = []
    names: dict[int, str] = {}
    befores = {"hook2": 0, "hook3": 0}
    afters = {"hook3": 0}

    def note(hook: str, event: str, async_id: int) -> None:
        if async_id in names:
            log.append(f"{hook} {event} {names[async_id]}")

    def make(hook: str, **acts: Callable[[], object]) -> AsyncHook:
        def init(async_id: int, type: str, *_: object) -> None:
            if type == "Handle":
                names.setdefault(async_id, f"callback{len(names) + 1}")
            note(hook, "init", async_id)

        def hearing(event: str) -> Callable[[int], None]:
            def callback(async_id: int) -> None:
                note(hook, event, async_id)
                if async_id in names and event in acts:
                    acts[event]()

            return callback

        events = {event: hearing(event) for event in ("before", "after", "destroy")}
        return create_hook(events, init=init)

    def before3() -> None:
        befores["hook3"] += 1
        if befores["hook3"] == 1:
            hook2.enable()
            log.append("enabled hook2")

    def before2() -> None:
        befores["hook2"] += 1
        if befores["hook2"] == 1:
            hook1.disable()
            log.append("disabled hook1")

    def after3() -> None:
        afters["hook3"] += 1
        if afters["hook3"] == 2:
            hook3.disable()
            log.append("disabled hook3")

    hook1 = make("hook1")
    hook2 = make("hook2", before=before2)
    hook3 = make("hook3", before=before3, after=after3)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def first() -> None:
            log.append("in callback1")
            loop.call_soon(second)

        def second() -> None:
            log.append("in callback2")

        hook1.enable()
        hook3.enable()
        loop.call_soon(first)
        await turns(5)
        hook1.disable()
        hook2.disable()
        hook3.disable()

    asyncio.run(main())
    assert log == [
        "hook1 init callback1",
        "hook3 init callback1",
        "hook1 before callback1",
        "hook3 before callback1",
        "enabled hook2",
        "in callback1",
        "hook1 init callback2",
        "hook3 init callback2",
        "hook2 init callback2",
        "hook1 after callback1",
        "hook3 after callback1",
        "hook2 after callback1",
        "hook1 destroy callback1",
        "hook3 destroy callback1",
        "hook2 destroy callback1",
        "hook1 before callback2",
        "hook3 before callback2",
        "hook2 before callback2",
        "disabled hook1",
        "in callback2",
        "hook3 after callback2",
        "disabled hook3",
        "hook2 after callback2",
        "hook2 destroy callback2",
    ]


def test_a_hook_enabled_late_hears_after_and_destroy_of_three_kinds_of_callback() -> None:
    """SEMANTICS 3.5: the scenario of Node's test-late-hook-enable."""
    seen: list[str] = []

    def destroy(async_id: int) -> None:
        seen.append("destroy")
        hook.disable()

    hook = create_hook(
        before=lambda i: seen.append("before"),
        after=lambda i: seen.append("after"),
        destroy=destroy,
    )

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with create_hook(init=lambda *_: None):
            loop.call_soon(hook.enable)
            await turns()
            loop.call_at(loop.time(), hook.enable)
            await turns()
            loop.call_soon(lambda: loop.call_soon(hook.enable))
            await turns()

    asyncio.run(main())
    assert seen == ["after", "destroy"] * 3


def test_a_callback_that_blocks_keeps_no_other_thread_from_its_hooks() -> None:
    """No lock is held while a callback runs, and depth is each thread's own."""
    inside, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def init(async_id: int, type: str, *_: object) -> None:
        if type == "BLOCKS":
            inside.set()
            go_on.wait(30)

    blocked = threading.Thread(target=AsyncResource, args=("BLOCKS",))
    other = listing(seen)
    with create_hook(init=init):
        blocked.start()
        assert inside.wait(30)
        other.enable()
        AsyncResource("X")
        other.disable()
        AsyncResource("Y")
        go_on.set()
        blocked.join(30)
    assert seen == ["X"]


def test_a_callback_may_schedule_work_and_hears_of_it() -> None:
    """SEMANTICS 3.6: guarding against endless recursion is its own affair."""
    seen: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def init(async_id: int, type: str, *_: object) -> None:
            seen.append(type)
            if type == "Task":
                loop.call_soon(seen.append, "logged")

        with create_hook(init=init):
            await loop.create_task(turns(1))

    run_followed(main())
    assert seen == ["Task", "Handle", "logged"]


def test_many_threads_that_enable_and_disable_leave_what_they_asked_for() -> None:
    """The list of hooks, and the instrumentations with it, are as the last change says."""

    def change() -> None:
        for _ in range(60):
            create_hook(init=lambda *_: None).enable().disable()

    for _ in range(5):
        threads = [threading.Thread(target=change) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not whence.engine.instrumented()
        with record() as events:
            asyncio.run(live("Handle"))
        assert events.ids("Handle")
