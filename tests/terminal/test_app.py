"""The screen, driven as by a user, over a real process."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from asked import PROGRAM, Asked

pytest.importorskip("textual")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")

from textual.pilot import Pilot  # noqa: E402
from textual.widgets import DataTable, Input, Static  # noqa: E402

from whence.terminal.app import Top  # noqa: E402
from whence.terminal.path import PathScreen  # noqa: E402

PATIENCE = 30.0


async def until(pilot: Pilot[Any], condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await pilot.pause(0.02)


class Looking(Top):
    """Counts what has come of its looks."""

    looks = 0

    def _take(self, *found: Any) -> None:
        super()._take(*found)
        self.looks += 1


def rows(app: Top, name: str) -> list[list[str]]:
    table = app.screen_stack[0].query_one(f"#{name}", DataTable)
    return [[str(cell).strip() for cell in table.get_row(row.key)] for row in table.ordered_rows]


def text(app: Top, name: str) -> str:
    return str(app.screen_stack[0].query_one(f"#{name}", Static).render())


def names(app: Top) -> list[str]:
    return [row[1] for row in rows(app, "resources")]


def drive(
    asked: Asked,
    steps: Callable[[Looking, Pilot[Any], Any], Any],
    *options: str,
    size: tuple[int, int] = (120, 40),
) -> None:
    """Show a process, and do these steps once its first look is there."""
    child = asked.start(PROGRAM, *options)

    async def run() -> None:
        app = Looking(asked.process(child), 0.1)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.reading is not None and rows(app, "resources"))
            await steps(app, pilot, child)

    asyncio.run(run())


def test_it_shows_types_and_what_waits_the_longest(asked: Asked) -> None:
    async def steps(app: Top, pilot: Pilot[Any], child: Any) -> None:
        assert f"pid {child.pid}  app  up " in text(app, "headline")
        assert "loop delay  p50 " in text(app, "delays")
        shown = {row[0]: row[1] for row in rows(app, "types")}
        assert (shown["Task"], shown["Server"]) == ("6", "1")
        # What waits comes first; a server waits for nothing.
        assert names(app)[:6].count("task consume") == 3
        assert set(names(app)[:6]) == {"task main", "task consume", "task hold"}
        consumer = next(row for row in rows(app, "resources") if row[1] == "task consume")
        assert consumer[-2:] == ["app.py:14", "app.py:6 Queue.get"]

    drive(asked, steps)


def test_it_looks_again_and_shows_what_has_come(asked: Asked) -> None:
    async def steps(app: Top, pilot: Pilot[Any], child: Any) -> None:
        asked.tell(child, "grow")
        await until(pilot, lambda: names(app).count("task consume") == 10)
        await until(pilot, lambda: {row[0]: row[1] for row in rows(app, "types")}["Task"] == "13")

    drive(asked, steps)


def test_keys_sort_and_filter(asked: Asked) -> None:
    async def steps(app: Top, pilot: Pilot[Any], child: Any) -> None:
        title = app.query_one("#resources", DataTable)
        for label in ("most run", "oldest", "newest", "name", "longest wait"):
            await pilot.press("s")
            assert f"by {label}" in str(title.border_title)
        await pilot.press("slash", *"hold")
        await until(pilot, lambda: set(names(app)) == {"task hold"})
        await pilot.press("enter")
        assert not app.query_one("#filter", Input).has_class("open")
        assert set(names(app)) == {"task hold"}
        await pilot.press("escape")
        await until(pilot, lambda: len(set(names(app))) > 2)
        assert "future" not in names(app)
        await pilot.press("f")
        await until(pilot, lambda: "future" in names(app))

    drive(asked, steps)


def test_enter_on_a_type_shows_it_alone(asked: Asked) -> None:
    async def steps(app: Top, pilot: Pilot[Any], child: Any) -> None:
        table = app.query_one("#types", DataTable)
        table.focus()
        at = [row[0] for row in rows(app, "types")].index("Server")
        table.move_cursor(row=at)
        await pilot.press("enter")
        await until(pilot, lambda: names(app) == ["server"])
        await pilot.press("enter")
        await until(pilot, lambda: len(names(app)) > 1)

    drive(asked, steps)


def test_enter_on_a_resource_opens_its_path(asked: Asked) -> None:
    async def steps(app: Top, pilot: Pilot[Any], child: Any) -> None:
        await pilot.press("slash", *"task consume", "enter")
        await until(pilot, lambda: set(names(app)) == {"task consume"})
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PathScreen))
        known = str(app.screen.query_one("#known", Static).render())
        assert "task main" in known
        assert "Queue.get" in known
        await until(
            pilot,
            lambda: "await queue.get()" in str(app.screen.query_one("#why", Static).render()),
        )
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PathScreen))

    drive(asked, steps)


def test_it_shows_a_loop_that_is_blocked_and_what_blocks_it(asked: Asked) -> None:
    async def steps(app: Top, pilot: Pilot[Any], child: Any) -> None:
        assert asked.tell(child, "block") == "blocking"
        await until(pilot, lambda: "loop blocked" in text(app, "headline"))
        assert "app.py:22" in text(app, "headline")

    drive(asked, steps, "--slow", "20")


def test_a_pause_stands_still(asked: Asked) -> None:
    async def steps(app: Looking, pilot: Pilot[Any], child: Any) -> None:
        await pilot.press("p")
        assert text(app, "headline").startswith("paused")
        asked.tell(child, "grow")
        # One may have been under way.
        under_way = app.looks + 1
        await until(pilot, lambda: app.looks > under_way)
        still = app.reading
        await until(pilot, lambda: app.looks > under_way + 5)
        assert app.reading is still
        await pilot.press("p")
        await until(pilot, lambda: names(app).count("task consume") == 10)

    drive(asked, steps)


def test_a_process_that_ends_is_said_to_have_ended_and_its_last_picture_stays(asked: Asked) -> None:
    async def steps(app: Top, pilot: Pilot[Any], child: Any) -> None:
        child.kill()
        child.wait(20)
        await until(pilot, lambda: app.problem)
        assert f"pid {child.pid}" in text(app, "headline")
        assert "q: quit" in text(app, "headline")
        assert "task consume" in names(app)
        await pilot.press("s", "q")
        await until(pilot, lambda: not app.is_running)

    drive(asked, steps)


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (200, 60)])
def test_it_fits_terminals_of_all_sizes(size: tuple[int, int], asked: Asked) -> None:
    async def steps(app: Top, pilot: Pilot[Any], child: Any) -> None:
        for name in ("headline", "types", "resources"):
            assert app.query_one(f"#{name}").region.height > 0, name
        assert app.query_one("#resources").region.bottom <= size[1]

    drive(asked, steps, size=size)
