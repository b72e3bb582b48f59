"""The live table of real programs' objects."""

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

import whence
from whence.background import Background
from whence.live import ActiveResource, take

Main = Callable[[], Awaitable[Any]]


def stock(main: Main) -> Any:
    return asyncio.run(main())  # type: ignore[arg-type]


def on_uvloop(main: Main) -> Any:
    uvloop = pytest.importorskip("uvloop")
    return uvloop.run(main())


@pytest.fixture
def recording() -> Iterator[None]:
    whence.attach(export="none", no_live="1")
    yield
    whence.detach()


@pytest.fixture(params=[stock, on_uvloop])
def run(request: pytest.FixtureRequest, recording: None) -> Callable[[Main], Any]:
    runner: Callable[[Main], Any] = request.param
    return runner


def named(name: str) -> ActiveResource:
    (one,) = (one for one in whence.active_resources() if one.name == name)
    return one


def line_of(text: str) -> int:
    """The line of this file that ends with a comment."""
    with open(__file__, encoding="utf-8") as file:
        (line,) = (n for n, line in enumerate(file, 1) if line.rstrip().endswith("# " + text))
    return line


async def until_waiting(*tasks: asyncio.Task[Any]) -> None:
    while any(task._fut_waiter is None for task in tasks):  # type: ignore[attr-defined]
        await asyncio.sleep(0)


async def numbers(event: asyncio.Event) -> AsyncIterator[int]:
    yield 1
    await event.wait()  # in the generator


async def consume(event: asyncio.Event) -> None:
    async for _ in numbers(event):  # in the consumer
        pass


def test_a_task_tells_where_it_is_suspended_through_generators(run: Callable[[Main], Any]) -> None:
    async def main() -> ActiveResource:
        task = asyncio.create_task(consume(asyncio.Event()))  # made
        await until_waiting(task)
        found = named("task consume")
        task.cancel()
        return found

    found = run(main)
    assert (found.state, found.waits_for) == ("waiting", "Event.wait")
    assert found.at is not None
    assert found.at.line == line_of("in the generator")
    functions = [place.function for place in found.stack]
    assert functions == ["consume", "numbers", "Event.wait"]
    assert found.stack[0].line == line_of("in the consumer")
    assert found.site is not None
    assert found.site.line == line_of("made")
    assert [hop.type for hop in found.trigger_chain] == ["Task"]


def test_times_add_up(run: Callable[[Main], Any]) -> None:
    async def main() -> ActiveResource:
        task = asyncio.create_task(asyncio.sleep(60))
        await until_waiting(task)
        found = named("task sleep")
        task.cancel()
        return found

    found = run(main)
    assert found.age is not None
    assert found.run is not None
    assert found.ready is not None
    assert found.wait is not None
    assert found.age == pytest.approx(found.run + found.ready + found.wait)
    assert found.steps == 1
    assert 0 < found.run < found.age


def test_who_awaits_whom_is_known_down_to_the_timer(run: Callable[[Main], Any]) -> None:
    async def gathering() -> None:
        await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))

    async def main() -> list[ActiveResource]:
        task = asyncio.create_task(gathering())
        await until_waiting(task)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        found = whence.active_resources()
        task.cancel()
        return found

    found = {one.async_id: one for one in run(main)}
    (top,) = (one for one in found.values() if one.name.startswith("task") and "gath" in one.name)
    (outer,) = (found[i] for i in top.awaits)
    assert outer.type == "Future"
    assert outer.awaited_by == (top.async_id,)
    sleeps = [found[i] for i in outer.awaits]
    assert [one.name for one in sleeps] == ["task sleep", "task sleep"]
    for one in sleeps:
        (future,) = (found[i] for i in one.awaits)
        (timer,) = (found[i] for i in future.awaits)
        assert timer.name == "timer sleep"
        assert timer.due is not None
        assert 0 < timer.due <= 60


def test_names_of_types_are_what_node_gives(recording: None) -> None:
    async def main() -> list[str]:
        server = await asyncio.start_server(print, "127.0.0.1", 0)
        types = [one.type for one in whence.active_resources()]
        server.close()
        return types

    types = stock(main)
    assert {"Task", "Server"} <= set(types)


def test_a_blocked_loop_is_looked_at_from_another_thread(run: Callable[[Main], Any]) -> None:
    seen: list[ActiveResource] = []
    done = threading.Event()

    def is_there(one: ActiveResource) -> bool:
        # Before, it may be seen starting the thread.
        return one.state == "running" and one.at is not None and one.at.line == line_of("blocks")

    def look() -> None:
        while not any(map(is_there, seen)):
            seen[:] = [one for one in whence.active_resources() if one.name.endswith("blocking")]
        done.set()

    async def blocking() -> None:
        Background(look).start()
        assert done.wait(30)  # blocks

    async def main() -> None:
        await asyncio.create_task(blocking())

    run(main)
    (found,) = seen
    assert found.thread == threading.get_ident()


def test_nothing_is_kept_alive(run: Callable[[Main], Any]) -> None:
    class Mine:
        pass

    async def hold(mine: Mine) -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> list[weakref.ref[Any]]:
        mine = Mine()
        task = asyncio.create_task(hold(mine))
        await until_waiting(task)
        kept = [take(deep=True), take(deep=True)]
        refs: list[weakref.ref[Any]] = [weakref.ref(mine), weakref.ref(task)]
        task.cancel()
        del mine
        await asyncio.wait([task])
        del task
        gc.collect()
        assert [ref() for ref in refs] == [None, None]
        assert kept
        return refs

    assert len(run(main)) == 2


def test_a_task_that_only_the_table_refers_to_ends_in_its_own_thread(recording: None) -> None:
    """What its `finally` does is no affair of a thread of ours."""
    from whence.live.finding import Found
    from whence.live.pace import Pace

    ended_in: list[int] = []
    looked, dropped = threading.Event(), threading.Event()

    class Mine:
        def __del__(self) -> None:
            ended_in.append(threading.get_ident())

    async def hold(mine: Mine) -> None:
        await asyncio.get_running_loop().create_future()

    def look() -> None:
        found = Found(Pace())
        looked.set()
        dropped.wait(30)
        found.let_go()
        looked.set()

    async def main() -> None:
        task = asyncio.create_task(hold(Mine()))
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        await until_waiting(task)
        thread = Background(look)
        thread.start()
        looked.wait(30)
        looked.clear()
        del task
        gc.collect()
        assert ended_in == []
        dropped.set()
        looked.wait(30)
        while not ended_in:
            await asyncio.sleep(0)
            gc.collect()

    stock(main)
    assert ended_in == [threading.get_ident()]


def test_the_limit_leaves_out_and_counts_stay_exact(recording: None) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in range(50)]
        await until_waiting(*tasks)
        table = take(limit=10)
        assert len(table.resources) == 10
        assert {one.type for one in table.resources} <= {"Task", "TimerHandle"}
        assert table.counts["Task"] == 51
        assert table.counts["TimerHandle"] == 50
        assert table.left_out == sum(table.counts.values()) - 10
        for task in tasks:
            task.cancel()

    stock(main)


@pytest.mark.parametrize("limit", [-1, -10])
def test_a_limit_below_nothing_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="expected a limit of 0 or more, not -"):
        whence.active_resources(limit=limit)


def test_with_hooks_alone_tasks_are_known_without_times() -> None:
    async def main() -> list[ActiveResource]:
        task = asyncio.create_task(asyncio.sleep(60))
        await until_waiting(task)
        found = whence.active_resources()
        task.cancel()
        return found

    with whence.create_hook(init=lambda *event: None):
        found = stock(main)
    tasks = [one for one in found if one.type == "Task"]
    assert len(tasks) == 2
    assert {one.age for one in tasks} == {None}
    assert any(place.function == "sleep" for one in tasks for place in one.stack)


def test_a_crowd_that_changes_meanwhile_can_be_looked_at(run: Callable[[Main], Any]) -> None:
    looks: list[int] = []
    stop = threading.Event()
    failed: list[BaseException] = []

    def look() -> None:
        try:
            while not stop.is_set() or not looks:
                looks.append(len(take(deep=True).resources))
        except BaseException as error:
            failed.append(error)

    async def flicker() -> None:
        await asyncio.sleep(0.001)

    async def main() -> None:
        thread = Background(look)
        thread.start()
        until = time.monotonic() + 1
        while not failed and (time.monotonic() < until or not looks):
            await asyncio.gather(*(flicker() for _ in range(200)))
        stop.set()
        while not thread.wait(0):
            await asyncio.sleep(0.01)

    run(main)
    assert failed == []
    assert max(looks) > 100


def test_what_is_settled_meanwhile_is_not_stranded(recording: None) -> None:
    looks: list[tuple[int, ...]] = []
    replies: dict[int, asyncio.Future[None]] = {}

    def settle(number: int) -> None:
        replies.pop(number).set_result(None)

    async def request(number: int) -> None:
        loop = asyncio.get_running_loop()
        replies[number] = loop.create_future()
        loop.call_later(0.001, settle, number)
        await replies[number]

    def look() -> None:
        looks.append(take(deep=True).stranded)

    async def main() -> None:
        for _ in range(10):
            thread = Background(look)
            thread.start()
            while not thread.wait(0):
                await asyncio.gather(*(request(number) for number in range(50)))

    stock(main)
    assert looks == [()] * 10


def test_the_json_form_has_a_key_for_each_field(recording: None) -> None:
    import json

    async def main() -> dict[str, Any]:
        task = asyncio.create_task(asyncio.sleep(60))
        await until_waiting(task)
        found: dict[str, Any] = json.loads(json.dumps(take(deep=True).as_dict()))
        task.cancel()
        return found

    found = stock(main)
    assert set(found["resources"][0]) == set(ActiveResource._fields)
    assert {"pid", "at", "threads", "loops", "primitives", "stranded"} <= set(found)
    (loop,) = (loop for loop in found["loops"] if loop["running"])
    assert loop["thread"] == threading.get_ident()
    assert sys.modules["asyncio"].__name__ in loop["type"]
