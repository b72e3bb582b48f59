"""One dashboard, one browser, and three real programs for all tests of the page."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHOP = """
    import asyncio, gc, time


    def typeset():
        until = time.monotonic() + 0.15
        while time.monotonic() < until:
            pass


    async def report():
        await asyncio.sleep(0.005)
        typeset()


    async def ask():
        await asyncio.sleep(0.03)


    async def pay():
        await asyncio.sleep(0.004)
        raise ConnectionError("the bank is closed")


    async def forgotten():
        await asyncio.get_running_loop().create_future()


    def tick(left):
        if left:
            asyncio.get_running_loop().call_later(0.01, tick, left - 1)


    async def day():
        tick(3)
        lost = asyncio.create_task(forgotten())
        await asyncio.gather(report(), ask(), ask(), pay(), return_exceptions=True)
        await asyncio.gather(
            *(asyncio.create_task(job()) for job in (report, ask, ask, pay)), return_exceptions=True
        )
        await asyncio.sleep(0.01)
        del lost
        gc.collect()
        await asyncio.sleep(0.05)


    asyncio.run(day())
"""

CROWD = """
    import asyncio


    async def member():
        await asyncio.sleep(0.002)


    async def crowd():
        async with asyncio.TaskGroup() as group:
            for number in range(1100):
                group.create_task(member())


    asyncio.run(crowd())
"""

IDLER = """
    import asyncio, sys


    async def consume(queue):
        await queue.get()


    async def fresh():
        await asyncio.sleep(0.003)


    async def main():
        loop = asyncio.get_running_loop()
        queue, lines = asyncio.Queue(), asyncio.Queue()
        loop.add_reader(sys.stdin, lambda: lines.put_nowait(sys.stdin.readline()))
        waiting = asyncio.create_task(consume(queue))
        while await lines.get():
            await asyncio.create_task(fresh())
        waiting.cancel()


    asyncio.run(main())
"""


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.RunningDashboard]:
    """With the traces of a shop (blocks, failures, leaks) and of a crowd (2,200 spans)."""
    if chromium.CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    running = chromium.RunningDashboard(tmp_path_factory.mktemp("dashboard"))
    programs = [
        chromium.traced(running, "shop", SHOP, "--slow", "60"),
        chromium.traced(running, "crowd", CROWD, "--max-spans", "10000"),
    ]
    for program in programs:
        _, said = program.communicate(timeout=60)
        assert program.returncode == 0, said
    running.trace("task day")
    running.trace("task crowd")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def idler(dashboard: chromium.RunningDashboard) -> Iterator[object]:
    """A program that waits; for each line on its stdin it makes a task `fresh`."""
    program = chromium.traced(dashboard, "idler", IDLER)

    def known() -> bool | None:
        processes = dashboard.ask("processes", service="idler")["processes"]
        charts = dashboard.ask("now", process=processes[0]["id"])["charts"] if processes else {}
        return charts.get("active", {"series": []})["series"] != [] or None

    chromium.eventually(known, "metrics of the idler")
    yield program
    program.communicate(timeout=30)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """One for the tests of a file; each has a context of its own.

    While there is one, Playwright's loop runs in this thread: no other test could run a loop."""
    with chromium.chromium() as started:
        yield started


@pytest.fixture
def look(dashboard: chromium.RunningDashboard, browser: "Browser") -> Iterator[chromium.Looking]:
    """Opens pages. At the end nothing has gone wrong in any of them."""
    looking = chromium.Looking(browser, dashboard)
    yield looking
    looking.close()
    assert looking.wrong == []
