"""The acceptance tests of the Perry issue on createHook, one by one, in asyncio's terms.

A Promise is a Future, setTimeout is call_later, setImmediate and nextTick are call_soon.
"""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import whence
from launching import Launcher
from telling import run_followed, told, turns
from whence import AsyncResource, create_hook, execution_async_id, trigger_async_id
from whence.testing import Events, record


def new_promise() -> object:
    return asyncio.Future()


def promise_of_the_loop() -> object:
    return asyncio.get_running_loop().create_future()


def set_timeout() -> object:
    return asyncio.get_running_loop().call_later(60, print)


def set_immediate() -> object:
    return asyncio.get_running_loop().call_soon(int)


def async_function() -> object:
    return asyncio.create_task(turns(1))


def custom() -> object:
    return AsyncResource("Custom")


CREATIONS = [
    (new_promise, "Future"),
    (promise_of_the_loop, "Future"),
    (set_timeout, "TimerHandle"),
    (set_immediate, "Handle"),
    (async_function, "Task"),
    (custom, "Custom"),
]


@pytest.mark.parametrize(("create", "type_"), CREATIONS)
def test_init_is_observed_with_an_id_a_type_and_the_trigger(
    create: Callable[[], object], type_: str
) -> None:
    """Asked for: "createHook({ init }).enable() observes init callbacks for ..." and "Each init
    callback receives a unique asyncId, the correct type string, and a triggerAsyncId matching the
    creating context"."""
    seen: list[tuple[int, str, int, object]] = []

    async def main() -> None:
        hook = create_hook(init=lambda *event: seen.append(event)).enable()
        created = create()
        outer = AsyncResource("OUTER")
        inner = outer.run_in_async_scope(create)
        hook.disable()
        first, _, second = seen
        assert first == (first[0], type_, execution_async_id(), created)
        assert second == (second[0], type_, outer.async_id(), inner)
        assert first[3] is created
        assert len({event[0] for event in seen}) == 3
        for resource in (created, inner):
            if isinstance(resource, asyncio.TimerHandle):
                resource.cancel()
        await turns()

    run_followed(main())


def test_ids_are_monotonic_over_all_kinds() -> None:
    """Asked for: "Monotonically increasing u64 per-process, assigned at resource creation time"."""

    async def main() -> list[int]:
        with record() as events:
            kept = [create() for create, _ in CREATIONS * 3]
        for resource in kept:
            if isinstance(resource, asyncio.TimerHandle):
                resource.cancel()
        await turns()
        return events.ids()

    ids = run_followed(main())
    assert len(ids) == 3 * len(CREATIONS)
    assert ids == sorted(set(ids))


def test_before_and_after_bracket_every_callback_execution() -> None:
    """Asked for: "before / after bracket every callback execution, with executionAsyncId()
    returning the resource's id inside the callback"."""
    log: list[Any] = []

    def note(*_: object) -> None:
        log.append(("callback", execution_async_id()))

    async def main() -> Events:
        loop = asyncio.get_running_loop()
        with (
            record() as events,
            create_hook(
                before=lambda i: log.append(("before", i)), after=lambda i: log.append(("after", i))
            ),
        ):
            loop.call_soon(note)
            loop.call_at(loop.time(), note)
            future = loop.create_future()
            future.add_done_callback(note)
            future.set_result(None)
            AsyncResource("Custom").run_in_async_scope(note)
            await turns()
        return events

    events = run_followed(main())
    callbacks = [i for what, i in log if what == "callback"]
    assert len(callbacks) == 4
    assert sorted(events.type_of(i) for i in callbacks) == [
        "Custom",
        "Handle",
        "Handle",
        "TimerHandle",
    ]
    for async_id in callbacks:
        at = log.index(("callback", async_id))
        assert log[at - 1 : at + 2] == [
            ("before", async_id),
            ("callback", async_id),
            ("after", async_id),
        ]


def test_inside_a_callback_the_trigger_is_what_scheduled_it() -> None:
    """Asked for: "triggerAsyncId() inside a callback returns the id of the resource that scheduled
    it"."""
    chain: list[tuple[int, int]] = []

    def step(left: int) -> None:
        chain.append((execution_async_id(), trigger_async_id()))
        loop = asyncio.get_running_loop()
        if left % 2:
            loop.call_soon(step, left - 1)
        elif left:
            loop.call_at(loop.time(), step, left - 1)

    async def main() -> int:
        asyncio.get_running_loop().call_soon(step, 4)
        await turns(10)
        return execution_async_id()

    first = run_followed(main())
    assert len(chain) == 5
    assert [trigger for _, trigger in chain] == [first, *(own for own, _ in chain[:-1])]


@pytest.mark.parametrize("how", ["result", "exception", "cancel"])
def test_promise_resolve_fires_and_destroy_follows_on_settlement(how: str) -> None:
    """Asked for: "promiseResolve fires on Promise settlement" and "destroy fires eagerly on Promise
    settle"."""

    async def main() -> list[str]:
        with record() as events:
            future = asyncio.get_running_loop().create_future()
            (async_id,) = events.ids()
            before = len(events)
            if how == "result":
                future.set_result(1)
            elif how == "exception":
                future.set_exception(LookupError())
                future.exception()
            else:
                future.cancel()
            return told(events[before:], promise=async_id)

    assert run_followed(main()) == ["promise_resolve promise", "destroy promise"]


def test_destroy_fires_eagerly_when_a_timer_has_fired() -> None:
    """Asked for: "destroy fires eagerly on ... timer fire"."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        with record() as events:
            loop.call_at(loop.time(), int)
            (timer,) = events.ids()
            await turns()
        return told(events.of(timer), timer=timer)[1:]

    assert run_followed(main()) == ["before timer", "after timer", "destroy timer"]


def test_destroy_fires_eagerly_on_emit_destroy() -> None:
    """Asked for: "destroy fires eagerly on ... AsyncResource.emitDestroy()"."""
    with record() as events:
        resource = AsyncResource("Custom").emit_destroy()
    assert told(events, r=resource.async_id()) == ["init r Custom by top", "destroy r"]


def test_destroy_fires_for_a_promise_that_is_dropped_without_settling() -> None:
    """Asked for: "destroy fires on GC for a Promise that is dropped without settling (leak path)":
    "on a separate turn, no resurrection"."""
    gone: list[object] = []

    async def main() -> list[str]:
        with record() as events:
            promise: Any = asyncio.get_running_loop().create_future()
            (async_id,) = events.ids()
            promise.itself = promise
            alive = weakref.ref(promise)
            with create_hook(destroy=lambda i: gone.append(alive() if i == async_id else None)):
                del promise
                gc.collect()
                assert events.names(async_id) == ["init"]
                await turns(1)
        return events.names(async_id)

    assert run_followed(main()) == ["init", "destroy"]
    assert gone == [None]


def test_several_hooks_fire_in_the_order_of_registration() -> None:
    """Asked for: "Multiple registered hooks fire in registration order"."""
    log: list[str] = []
    names = ("first", "second", "third")
    hooks = [create_hook(init=lambda *_, name=name: log.append(name)) for name in names]
    for hook in hooks:
        hook.enable()
    AsyncResource("Custom")
    for hook in hooks:
        hook.disable()
    assert log == list(names)


def test_disable_stops_a_hook_and_no_other() -> None:
    """Asked for: ".disable() stops a hook from firing without affecting others"."""
    log: list[str] = []
    stopped = create_hook(init=lambda *_: log.append("stopped"))
    with create_hook(init=lambda *_: log.append("other")):
        stopped.enable()
        stopped.disable()
        AsyncResource("Custom")
    assert log == ["other"]


WORKLOAD = """
import asyncio, sys

async def promises():
    loop = asyncio.get_running_loop()
    for _ in range(50):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future
        await asyncio.gather(asyncio.sleep(0), loop.create_task(asyncio.sleep(0)))
        loop.call_later(60, print).cancel()

asyncio.run(promises())
calls = 0

def count(frame, event, arg):
    global calls
    calls += event in ("call", "c_call")

loop = asyncio.new_event_loop()
sys.setprofile(count)
loop.run_until_complete(promises())
sys.setprofile(None)
loop.close()
print(calls)
"""


def test_with_no_hook_a_promise_heavy_workload_costs_nothing(launch: Launcher) -> None:
    """Asked for: "Zero-hook microbenchmark: overhead on a Promise-heavy workload stays within
    noise": not one call more is made, of Python or of C, than in a program that has no whence."""

    def calls(prelude: str) -> int:
        return int(launch(launch.python, "-c", prelude + WORKLOAD).out)

    without = calls("")
    assert without > 1000
    assert calls("import whence\n") == without
    hooked_before = "import asyncio, whence\nwith whence.create_hook(init=print): pass\n"
    assert calls(hooked_before) == without


def test_the_full_surface_of_async_resource() -> None:
    """Asked for: "asyncId(), triggerAsyncId(), emitDestroy(), bind(fn, type?) with the resource
    captured. Subclassing path: class MyRes extends AsyncResource works"."""

    class MyRes(AsyncResource):
        def __init__(self, value: int) -> None:
            super().__init__("MyRes")
            self.value = value

    with record() as events:
        resource = MyRes(7)
        bound = resource.bind(lambda: (execution_async_id(), whence.execution_async_resource()))
        assert bound() == (resource.async_id(), resource)
        other = AsyncResource.bind_function(lambda: trigger_async_id(), "Typed")
        assert other() == 1
        assert resource.trigger_async_id() == 1
        assert resource.emit_destroy() is resource
    assert [events.type_of(i) for i in events.ids()] == ["MyRes", "Typed"]
