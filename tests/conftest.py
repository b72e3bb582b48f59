"""What tests of every folder use."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import whence
from launching import Launcher
from lives import Lives, lives_on_a_clock_of_their_own
from whence import engine

if TYPE_CHECKING:  # gRPC takes its time to be imported, and most tests need no receiver
    from asked import Asked
    from receivers import GrpcReceiver, HttpReceiver

ROOT = Path(__file__).parent.parent

# Ignored by who starts this in the background or by nohup, they would be so by what tests start.
for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

_left_open: list[str] = []
"""Tests that closed a loop of uvloop with something open on it.

As an error, its warning of that would stop its `close()` half-way, which then waits for ever; so it
is one at the end."""


def pytest_warning_recorded(warning_message: warnings.WarningMessage, nodeid: str) -> None:
    """Called by pytest."""
    if str(warning_message.message).startswith("unclosed resource"):
        _left_open.append(f"{nodeid}: {warning_message.message}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Called by pytest."""
    if _left_open:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Called by pytest."""
    for left in _left_open:
        terminalreporter.write_line(f"FAILED {left}", red=True)


SLOW_FILES = (
    "sitecustomize/test_sitecustomize.py",
    "property/test_programs.py",
    "dashboard/static/test_page_views.py",
    "agent/test_doctor.py",
    "e2e/test_bad_collectors.py",
    "e2e/test_own_spans.py",
    "examples/test_demo.py",
    "terminal/test_in_tmux.py",
    "e2e/test_memory.py",
    "property/test_live_objects.py",
    "e2e/test_trees.py",
    "dashboard/test_guarding.py",
    "dashboard/static/test_page_traces.py",
    "agent/sending/test_pipeline.py",
    "e2e/test_metrics_sent.py",
)
"""Files that take longest.  They come first: else one process is at the end alone with one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Called by pytest."""
    tests = Path(__file__).parent
    order = {tests / name: number for number, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="module", autouse=True)
def only_of_this_file() -> None:
    """What the collector finds in a file is of that file.

    Tests collect a thousand times, and look at what refers to what: each time through all that
    pytest and the libraries have made, else."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def from_a_clean_engine() -> Iterator[None]:
    """Every test finds the engine as a forked child does, and is to leave it switched off.

    What an earlier one left open, counted or to be sent is no affair of this one."""
    engine.restart_in_child()
    yield
    on = whence.attached() or engine.instrumented() or engine.recorder.on
    assert not on, "expected a test to take out its hooks and to detach"
    assert engine.hook_error_policy() == "exit", "expected a test to set the policy back"


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launcher]:
    """Starts processes in the test's folder."""
    launcher = Launcher(tmp_path)
    yield launcher
    launcher.close()


@pytest.fixture
def asked(launch: Launcher) -> "Iterator[Asked]":
    """Starts programs that can be asked, and asks them."""
    from asked import asking

    with asking(launch) as made:
        yield made


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lives]:
    """Makes lifetimes, on a clock that the test moves."""
    with lives_on_a_clock_of_their_own(monkeypatch) as made:
        yield made


@pytest.fixture
def http_receiver() -> "Iterator[HttpReceiver]":
    """An OTLP/HTTP receiver."""
    from receivers import HttpReceiver

    receiver = HttpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def grpc_receiver() -> "Iterator[GrpcReceiver]":
    """An OTLP/gRPC receiver."""
    from receivers import GrpcReceiver

    receiver = GrpcReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the project as it stands, built from a copy."""
    return built(tmp_path_factory, "wheel", "*.whl")


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution of the project as it stands, built from a copy."""
    return built(tmp_path_factory, "sdist", "*.tar.gz")


def built(factory: pytest.TempPathFactory, kind: str, pattern: str) -> Path:
    """By whichever process of pytest-xdist comes first, for the others as well."""
    if "PYTEST_XDIST_WORKER" not in os.environ or sys.platform == "win32":
        return build(factory, kind, pattern)
    import fcntl

    known = factory.getbasetemp().parent / f"{kind}.txt"
    with known.open("a+") as file:
        # The system takes the lock from a process that ends.
        fcntl.flock(file, fcntl.LOCK_EX)
        if not known.stat().st_size:
            file.write(str(build(factory, kind, pattern)))
            file.flush()
        return Path(known.read_text())


def build(factory: pytest.TempPathFactory, kind: str, pattern: str) -> Path:
    # The build writes build/ and *.egg-info beside the sources, and takes what it finds there.
    copy = factory.mktemp("source") / "whence"
    leftovers = shutil.ignore_patterns(".*_cache", ".git", ".venv", "build", "dist", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=leftovers)
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", "dist"]
    # What is built here is looked at and started, not measured.
    quickly = os.environ | {"CFLAGS": "-O0"}
    built = subprocess.run(
        command, cwd=copy, env=quickly, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (result,) = (copy / "dist").glob(pattern)
    return result
