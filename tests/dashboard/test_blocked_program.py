"""While the loop of a program stands still, the dashboard shows where."""

from dashboard_server import DashboardServer
from launching import Launcher

PROGRAM = """
import asyncio, sys

async def nap():
    await asyncio.sleep(0.01)

async def blocking():
    sys.stdin.readline()  # holds the loop until the test has looked

async def main():
    await asyncio.create_task(nap())
    await asyncio.create_task(blocking(), name="culprit")

asyncio.run(main())
"""
LINE = 1 + PROGRAM.splitlines().index(
    "    sys.stdin.readline()  # holds the loop until the test has looked"
)


def test_the_page_shows_the_line_that_blocks_the_loop(
    dashboard: DashboardServer, launch: Launcher
) -> None:
    script = launch.write("app.py", PROGRAM)
    options = ["-q", "--service", "stuck", "--endpoint", dashboard.endpoint]
    program = launch.start(*launch.whence, "run", *options, script)
    found = dashboard.wait_for("/api/processes?service=stuck", lambda told: told["processes"])
    (process,) = found["processes"]
    live = dashboard.wait_for(
        f"/api/live?process={process['id']}",
        lambda told: told["available"] and any(at_line(row) for row in told["resources"]),
    )
    (culprit,) = [row for row in live["resources"] if at_line(row)]
    assert (culprit["state"], culprit["name"]) == ("running", "task blocking")
    # What has held it for a moment only is no reason yet.
    why = dashboard.wait_for(f"/api/why?process={process['id']}", lambda told: told["findings"])
    assert f"app.py:{LINE}" in why["text"]
    program.communicate("go on\n", timeout=60)
    assert program.returncode == 0
    gone = dashboard.get(f"/api/live?process={process['id']}")
    assert gone["available"] is False
    assert str(process["pid"]) in gone["reason"]


def at_line(row: dict[str, object]) -> bool:
    at = row["at"]
    return isinstance(at, dict) and at["line"] == LINE and row["type"] == "Task"
