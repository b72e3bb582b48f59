"""What is measured of loops and executors, in programs that run."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import whence
from launching import Launcher
from whence.engine.histograms import Snapshot
from whence.engine.measures import (
    LOOP_DELAY,
    MEASURES,
    QUEUE_TIME,
    READY_TIME,
    RUN_TIME,
    Measure,
    busy,
)
from whence.engine.resource_types import HANDLE, TASK, TIMER_HANDLE

LOOPS = ["asyncio", "uvloop"]


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    """The agent records meanwhile."""
    whence.attach(export=("none",))
    yield
    whence.detach()


def factory(name: str) -> Any:
    if name == "asyncio":
        return asyncio.new_event_loop
    return pytest.importorskip("uvloop").new_event_loop


def measured(measure: Measure, loop: str, main: Callable[[], Any]) -> Snapshot:
    """What a program has added."""
    before = measure.snapshot()
    with asyncio.Runner(loop_factory=factory(loop)) as runner:
        runner.run(main())
    return measure.snapshot() - before


def hold(seconds: float) -> None:
    """Hold the loop for at least so long."""
    threading.Event().wait(seconds)


def test_each_has_a_name_and_a_meaning_of_its_own() -> None:
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    assert all(measure.meaning and measure.name.startswith("whence.") for measure in MEASURES)


@pytest.mark.parametrize("loop", LOOPS)
def test_every_callback_and_step_is_a_turn(loop: str) -> None:
    async def main() -> None:
        running = asyncio.get_running_loop()
        for _ in range(100):
            running.call_soon(int)
        for _ in range(50):
            await asyncio.sleep(0)

    assert measured(RUN_TIME, loop, main).count >= 150
    assert measured(READY_TIME, loop, main).count >= 150


@pytest.mark.parametrize("loop", LOOPS)
def test_a_turn_that_holds_the_loop_is_what_the_others_wait_for(loop: str) -> None:
    async def main() -> None:
        running = asyncio.get_running_loop()
        running.call_later(0.001, int)
        running.call_soon(hold, 0.05)
        running.call_soon(int)
        await asyncio.sleep(0.06)

    def program(measure: Measure) -> Snapshot:
        return measured(measure, loop, main)

    assert 0.05 <= program(RUN_TIME).max < 5
    assert 0.05 <= program(READY_TIME).max < 5
    late = measured(LOOP_DELAY, loop, main)
    assert 0.048 <= late.max < 5


def test_the_lateness_of_timers_is_part_of_the_delay_alone() -> None:
    async def main() -> None:
        for _ in range(20):
            await asyncio.sleep(0.0001)

    before = TIMER_HANDLE.turns.ready()
    ready, delay = READY_TIME.snapshot(), LOOP_DELAY.snapshot()
    asyncio.run(main())
    timers = (TIMER_HANDLE.turns.ready() - before).count
    assert timers >= 20
    gained = (LOOP_DELAY.snapshot() - delay).count - (READY_TIME.snapshot() - ready).count
    assert gained == timers


def test_a_timer_that_is_never_due_is_never_late() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(1000, int)
        await asyncio.sleep(0)

    assert measured(LOOP_DELAY, "asyncio", main).max < 100


def test_the_time_that_a_watched_descriptor_was_quiet_is_no_delay() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for _ in range(2):
            await asyncio.sleep(0.5)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
        server.close()

    assert measured(LOOP_DELAY, "asyncio", main).max < 0.45


def test_jobs_wait_for_a_worker() -> None:
    from concurrent.futures import ThreadPoolExecutor

    async def main() -> None:
        release = threading.Event()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            first = loop.run_in_executor(pool, release.wait, 30)
            second = loop.run_in_executor(pool, int)
            await asyncio.sleep(0.03)
            release.set()
            await asyncio.gather(first, second)

    waited = measured(QUEUE_TIME, "asyncio", main)
    assert waited.count == 2
    assert 0.03 <= waited.max < 5


@pytest.mark.parametrize("loop", LOOPS)
def test_the_busy_time_of_a_loop_is_its_threads(loop: str) -> None:
    async def main() -> None:
        hold(0.05)
        await asyncio.sleep(0.1)

    idents: list[int] = []

    def in_thread() -> None:
        idents.append(threading.get_ident())
        with asyncio.Runner(loop_factory=factory(loop)) as runner:
            runner.run(main())

    here = busy().get(threading.get_ident(), 0.0)
    before = busy()
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    gained = busy()[idents[0]] - before.get(idents[0], 0.0)
    assert 0.05 <= gained < 5
    assert busy().get(threading.get_ident(), 0.0) == here


def test_a_loop_is_busy_while_its_callback_runs() -> None:
    ident = threading.get_ident()

    async def main() -> tuple[float, float]:
        began = busy()[ident]
        hold(0.05)
        return began, busy()[ident]

    began, later = asyncio.run(main())
    assert later - began >= 0.05
    assert busy()[ident] >= later


def test_how_they_ended_is_counted_by_outcome() -> None:
    async def fail() -> None:
        raise LookupError

    async def main() -> None:
        waiting = asyncio.create_task(asyncio.sleep(60))
        failing = asyncio.create_task(fail())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, failing, return_exceptions=True)

    before, handles = TASK.outcomes, HANDLE.outcomes
    asyncio.run(main())
    gained = {key: number - before.get(key, 0) for key, number in TASK.outcomes.items()}
    assert (gained["failed"], gained["cancelled"]) == (1, 1)
    assert gained["done"] >= 1
    assert sum(TASK.outcomes.values()) == TASK.destroyed
    assert HANDLE.outcomes["done"] > handles.get("done", 0)


FORKING = """
import asyncio, json, os, time
import whence
from whence.engine.blocks import blocks
from whence.engine.measures import MEASURES, blocked, busy
from whence.engine.resource_types import TASK

whence.attach(export=("none",), slow=1)

async def main():
    await asyncio.to_thread(int)
    time.sleep(0.005)

def told():
    return {
        "measured": [measure.snapshot().count for measure in MEASURES],
        "busy": len(busy()),
        "blocked": [blocked.number, blocked.time, blocks.worst is not None],
        "outcomes": TASK.outcomes,
    }

asyncio.run(main())
parent = told()
out, into = os.pipe()
if os.fork() == 0:
    os.write(into, json.dumps(told()).encode())
    os._exit(0)
os.wait()
print(json.dumps([parent, json.loads(os.read(out, 10_000))]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_measures_from_nothing(launch: Launcher) -> None:
    launch.write("app.py", FORKING)
    finished = launch(launch.python, "app.py")
    assert finished.code == 0, finished.err
    parent, child = finished.json
    assert all(parent["measured"]), "so there was something to forget"
    assert parent["busy"] == 1
    assert parent["blocked"][2]
    assert child == {
        "measured": [0, 0, 0, 0],
        "busy": 0,
        "blocked": [0, 0, False],
        "outcomes": {},
    }
