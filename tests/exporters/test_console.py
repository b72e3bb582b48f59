"""Traces on stderr when they are complete."""

import os
import pty
import sys
import time
from typing import Any

import pytest

from configured import settings
from launching import Launcher
from lives import Lives
from whence.exporters import console
from whence.exporters.console import ConsoleExporter


@pytest.fixture
def exporter() -> ConsoleExporter:
    made = ConsoleExporter()
    made.start(settings())
    return made


def printed(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The names on stderr."""
    out, err = capfd.readouterr()
    assert out == "", "stdout is the program's"
    lines = [line for line in err.splitlines() if line.strip() and "total" not in line]
    return [line.split("  ")[0] for line in lines]


def test_a_trace_is_printed_when_it_is_complete(
    lives: Lives, exporter: ConsoleExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    exporter.export(lives.come_out(), None)
    assert printed(capfd) == []
    lives.end(main)
    taken = exporter.export(lives.come_out(), None)
    assert taken.sent == 1
    assert printed(capfd) == ["task main", "└─ task child"]


def test_a_trace_waits_for_what_its_root_left_behind(
    lives: Lives, exporter: ConsoleExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    main = lives.begin("main")
    left = lives.begin("left", by=main)
    lives.end(main, after=2)
    exporter.export(lives.come_out(), None)
    assert printed(capfd) == []
    lives.end(left, after=2)
    exporter.export(lives.come_out(), None)
    assert printed(capfd) == ["task main", "└─ task left"]


def test_what_was_left_and_came_to_nothing_holds_nothing_up(
    lives: Lives, exporter: ConsoleExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    main = lives.begin("main")
    left = lives.begin("left", by=main)
    lives.end(main, after=2)
    exporter.export(lives.come_out(), None)
    lives.end(left)  # dropped: it was as short as that, but for the clock of this test
    exporter.export([], None)
    assert "task main" in printed(capfd)


def test_a_segment_waits_for_nobody(
    lives: Lives, exporter: ConsoleExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    main = lives.begin("main")
    lives.begin("child", by=main)
    lives.wait(60_000)
    exporter.export([lives.cut(main)], None)
    assert printed(capfd) == ["task main"]


def test_each_trace_is_a_tree_of_its_own(
    lives: Lives, exporter: ConsoleExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    lives.live(2, "one")
    lives.live(2, "two")
    exporter.export(lives.come_out(), None)
    err = capfd.readouterr().err
    assert err.count("total") == 2
    assert "\n\n" in err


def test_the_rest_is_printed_at_the_end(
    lives: Lives, exporter: ConsoleExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    exporter.export(lives.come_out(), None)
    exporter.stop(1)
    assert printed(capfd) == ["… task child"]


def test_a_trace_that_waits_for_long_is_printed_as_it_is(
    lives: Lives,
    exporter: ConsoleExporter,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    exporter.export(lives.come_out(), None)
    now = time.monotonic()
    monkeypatch.setattr(console, "monotonic", lambda: now + 61)
    exporter.export([], None)
    assert printed(capfd) == ["… task child"]


def test_what_is_held_is_limited(
    lives: Lives,
    exporter: ConsoleExporter,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "MOST_HELD", 3)
    oldest, newest = lives.begin("oldest"), lives.begin("newest")
    for _ in range(2):
        lives.live(2, "of the oldest", by=oldest)
    exporter.export(lives.come_out(), None)
    assert printed(capfd) == []
    for _ in range(2):
        lives.live(2, "of the newest", by=newest)
    exporter.export(lives.come_out(), None)
    assert printed(capfd) == ["… task of the oldest"] * 2


def test_what_is_not_sampled_is_not_printed(
    lives: Lives, capfd: pytest.CaptureFixture[str]
) -> None:
    exporter = ConsoleExporter()
    exporter.start(settings(sample=0))
    lives.live(2, "main")
    taken = exporter.export(lives.come_out(), None)
    assert (taken.sent, taken.unsampled) == (0, 1)
    assert printed(capfd) == []


PROGRAM = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from configured import settings
    from whence.engine import Tracer, create, end, local, recorder, ring
    from whence.engine.resource_types import TASK
    from whence.exporters.console import ConsoleExporter

    recorder.on, recorder.min_duration = True, 0
    exporter = ConsoleExporter()
    exporter.start(settings())
    end(local.state, create(local.state, TASK, object(), local.state.current), "cancelled")
    batch, tracer = ring.drain(9), Tracer()
    assert all(tracer.place(lifetime) for lifetime in batch)
    exporter.export(batch, None)
"""
SUPPORT = os.path.join(os.path.dirname(os.path.dirname(__file__)), "support")


def on_a_terminal(launch: Launcher, **variables: str) -> str:
    """What the program writes to a terminal that is its stderr."""
    import subprocess

    launch.write("app.py", PROGRAM)
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "app.py", SUPPORT],
        cwd=launch.folder,
        env=launch.environment(**variables),
        stderr=slave,
    )
    os.close(slave)
    said = b""
    try:
        while chunk := os.read(master, 4096):
            said += chunk
    except OSError:
        pass  # Linux says so when the other side is closed
    os.close(master)
    assert child.wait(30) == 0
    return said.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo terminals")
@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_is_coloured_unless_it_says_no(
    launch: Launcher, variables: dict[str, str], coloured: bool
) -> None:
    said = on_a_terminal(launch, **variables)
    assert "cancelled" in said
    assert ("\x1b[" in said) is coloured


def test_a_file_is_never_coloured(launch: Launcher) -> None:
    launch.write("app.py", PROGRAM)
    ran = launch(launch.python, "app.py", SUPPORT, env={"TERM": "xterm"})
    assert "cancelled" in ran.err
    assert "\x1b" not in ran.err
    assert ran.out == ""


def test_a_program_without_stderr_is_left_alone(
    lives: Lives, exporter: ConsoleExporter, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "__stderr__", None)
    lives.live(2, "main")
    assert exporter.export(lives.come_out(), None).sent == 1
