"""`whence dashboard` and `whence run --dashboard`, as a user starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from dashboard_server import DashboardServer
from launching import Launcher

StartDashboard = Callable[..., DashboardServer]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user whose dashboards end with the test."""
    folder = tmp_path / "state"
    yield {"XDG_STATE_HOME": str(folder)}
    file = folder / "whence" / "dashboard.json"
    if file.exists():
        pid = json.loads(file.read_text(encoding="utf-8"))["pid"]
        os.kill(pid, signal.SIGTERM)
        by = monotonic() + 20
        while file.exists():
            assert monotonic() < by, "the dashboard did not end"
            sleep(0.02)


def running(state: dict[str, str]) -> dict[str, Any]:
    file = Path(state["XDG_STATE_HOME"], "whence", "dashboard.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_it_says_where_everything_is(dashboard: DashboardServer) -> None:
    about = dashboard.get("/api/about")
    assert about["url"] == f"http://localhost:{dashboard.port}"
    assert about["otlp"] == {
        "http": f"http://localhost:{dashboard.http_port}",
        "grpc": f"http://localhost:{dashboard.grpc_port}",
    }
    assert about["database"]["path"] == str(dashboard.database)
    assert about["database"]["problem"] is None
    assert dashboard.lines == [
        f"whence: dashboard at {about['url']}, OTLP at {about['otlp']['http']} (http) "
        f"and localhost:{dashboard.grpc_port} (grpc)"
    ]


def test_where_a_port_is_taken_the_next_free_one_is_named(
    start_dashboard: StartDashboard,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--port", "--http-port", "--grpc-port"):
            dashboard = start_dashboard(option, str(port))
            assert port not in (dashboard.port, dashboard.http_port, dashboard.grpc_port)
            assert dashboard.lines[0].startswith(f"whence: port {port} is taken: ")
            assert dashboard.close() == 0


def test_a_database_with_a_problem_is_told(start_dashboard: StartDashboard) -> None:
    first = start_dashboard()
    second = start_dashboard()
    problem = second.get("/api/about")["database"]["problem"]
    assert f"{first.database}: another dashboard uses it" in problem
    assert second.lines[0] == f"whence: {problem}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "70000"], "argument --port: expected a port from 0 to 65535, not '70000'"),
        (["--max-size", "1"], "argument --max-size: expected 16 to 1000000 megabytes, not '1'"),
        (["--nope"], "unrecognized arguments: --nope"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(launch: Launcher, words: list[str], told: str) -> None:
    ended = launch(*launch.whence, "dashboard", *words)
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == f"whence dashboard: error: {told}"


def test_a_missing_library_is_named(launch: Launcher) -> None:
    hide = "import sys; sys.modules['grpc'] = None; "
    code = f"{hide}from whence.cli import main; sys.exit(main(['dashboard']))"
    ended = launch(sys.executable, "-c", code)
    assert (ended.code, ended.err) == (
        1,
        "whence dashboard: expected grpcio; to get it: pip install 'whence[dashboard]'\n",
    )


PROGRAM = """
import asyncio, json, os, subprocess, sys

async def main():
    await asyncio.sleep(0.01)

asyncio.run(main())
try:
    waited = os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    waited = None
print(json.dumps({"pid": os.getpid(), "child": waited}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes have no parents to adopt them")
class TestRunWithDashboard:
    def test_one_is_started_which_is_nobodys_child_and_gets_the_spans(
        self, launch: Launcher, state: dict[str, str]
    ) -> None:
        script = launch.write("app.py", PROGRAM)
        ran = launch.run("--dashboard", "--service", "mine", script, env=state)
        assert ran.json["child"] is None
        about = running(state)
        assert f"whence: dashboard at {about['url']}\n" in ran.err
        assert f"traces  {about['url']}/#/traces?service=mine" in ran.err
        served = get(about["url"], "/api/services")
        assert [one["name"] for one in served["services"]] == ["mine"]
        parent = parent_of(about["pid"])
        assert parent not in (ran.json["pid"], os.getpid())

    def test_the_one_that_runs_is_used_again(self, launch: Launcher, state: dict[str, str]) -> None:
        script = launch.write("app.py", PROGRAM)
        launch.run("--dashboard", "--service", "first", script, env=state)
        before = running(state)
        launch.run("-q", "--no-child", "--dashboard", "--service", "second", script, env=state)
        assert running(state) == before
        served = get(before["url"], "/api/services")
        assert [one["name"] for one in served["services"]] == ["first", "second"]

    def test_where_none_can_be_the_program_runs_without(self, launch: Launcher) -> None:
        launch.write("file", "")
        env = {"XDG_STATE_HOME": str(launch.folder / "file")}
        script = launch.write("app.py", PROGRAM)
        ran = launch.run("--export", "console", "--dashboard", script, env=env)
        assert ran.json["child"] is None
        first = ran.err.splitlines()[0]
        assert first.startswith("whence: there is no dashboard: ")
        assert first.endswith("; the program runs without it")

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (
                ["--endpoint", "http://localhost:1"],
                "--endpoint: expected no other receiver beside --dashboard, not",
            ),
            (["--protocol", "grpc"], "--protocol: expected no protocol beside --dashboard, not"),
            (["--export", "none"], "--export: expected an export beside --dashboard, not none"),
        ],
    )
    def test_what_says_otherwise_is_told(
        self, launch: Launcher, state: dict[str, str], words: list[str], told: str
    ) -> None:
        script = launch.write("app.py", PROGRAM)
        ran = launch.run("--dashboard", *words, script, env=state)
        assert ran.code == 2
        assert ran.err.startswith(f"whence run: {told}")

    def test_a_detached_one_says_why_it_does_not_come_up(self, launch: Launcher) -> None:
        launch.write("file", "")
        env = {"XDG_STATE_HOME": str(launch.folder / "file")}
        ended = launch(*launch.whence, "dashboard", "--detach", env=env)
        assert ended.code == 1
        assert ended.err.startswith(f"whence dashboard: {launch.folder / 'file' / 'whence'}: ")

    def test_a_detached_one_outlives_its_terminal(
        self, launch: Launcher, state: dict[str, str]
    ) -> None:
        options = ["--port", "0", "--http-port", "0", "--grpc-port", "0"]
        ended = launch(*launch.whence, "dashboard", "--detach", *options, env=state)
        assert ended.code == 0, ended.err
        pid = running(state)["pid"]
        assert os.getsid(pid) == pid
        assert parent_of(pid) != os.getpid()

    def test_the_one_that_runs_is_ended_by_its_command(
        self, launch: Launcher, state: dict[str, str]
    ) -> None:
        options = ["--port", "0", "--http-port", "0", "--grpc-port", "0"]
        assert launch(*launch.whence, "dashboard", "--detach", *options, env=state).code == 0
        first = launch(*launch.whence, "dashboard", "--stop", env=state)
        second = launch(*launch.whence, "dashboard", "--stop", env=state)
        assert (first.code, first.err) == (0, "")
        assert second.code == 1
        assert second.err == "whence dashboard: expected one that runs; there is none\n"


def get(url: str, path: str) -> Any:
    from urllib.request import ProxyHandler, build_opener

    with build_opener(ProxyHandler({})).open(f"{url}{path}", timeout=20) as answer:
        return json.load(answer)


def parent_of(pid: int) -> int:
    done = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    with suppress(ValueError):
        return int(done.stdout)
    raise AssertionError(f"ps said {done.stdout!r}")
