"""What the agent brings into a program that has no event loop, from its start to its end."""

import sys
import zipfile
from pathlib import Path

import pytest

from launching import Finished, Launcher

HEAVY = frozenset(
    {
        "argparse",
        "asyncio",
        "concurrent",
        "dataclasses",
        "google",
        "grpc",
        "importlib.metadata",
        "inspect",
        "json",
        "logging",
        "opentelemetry",
        "selectors",
        "socket",
        "ssl",
        "threading",
        "tomllib",
        "traceback",
        "urllib",
        "wrapt",
    }
)

FOR_A_LOOP = frozenset(
    {"resource"}  # CPU time of threads, for what blocks a loop
)
"""All files of Python's own that a program with a loop has read besides those it imports itself."""

ATTACH = """
import os, sys
sys.path.append(sys.argv[1])
from whence.attaching import attach_by_environment
attach_by_environment()
"""
"""What the .pth file does, in a Python whose own site-packages bring nothing in."""


def imported(ran: Finished) -> set[str]:
    """What a Python imported, by its own account."""
    assert ran.code == 0, ran.err
    lines = (line for line in ran.err.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


def heavy(modules: set[str]) -> set[str]:
    """Those that are heavy, or parts of what is."""
    return {
        name for name in modules if any(name == it or name.startswith(f"{it}.") for it in HEAVY)
    }


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, and nothing that it depends on."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("export", ["otlp", "console", "file", "none"])
def test_attaching_needs_nothing_that_a_bare_python_does_not_have_at_once(
    export: str, unpacked: Path, launch: Launcher
) -> None:
    env = {"WHENCE_ATTACH": "1", "WHENCE_EXPORT": export, "WHENCE_OUTPUT": "spans.jsonl"}
    words = ["-I", "-S", "-X", "importtime", "-c", ATTACH, str(unpacked)]
    modules = imported(launch(launch.python, *words, env=env))
    assert "whence.sending.pipeline" in modules
    assert heavy(modules) == set()


def test_a_program_under_run_finds_nothing_more_until_its_end(launch: Launcher) -> None:
    """Also not for the start line and the block at the end."""
    program = [launch.python, "-X", "importtime", launch.write("app.py", "print('hello')")]
    plain = imported(launch(*program))
    ran = launch.run(*program)
    assert ran.out == "hello\n"
    assert "whence: 0 resources" in ran.err
    assert heavy(imported(ran) - plain) == set()


def test_a_program_with_threads_finds_no_loop_and_no_exporter(launch: Launcher) -> None:
    source = """
        import sys
        import threading

        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        print(*sys.modules)
    """
    script = launch.write("app.py", source)
    plain = set(launch(launch.python, script).out.split())
    ran = launch.run("-q", "--min-duration", "60000", script)
    brought = set(ran.out.split()) - plain
    assert "whence.instrumentation.threads" in brought, ran
    assert heavy(brought) == set()


def test_a_loop_that_says_hello_brings_nothing_heavy_from_its_start_to_its_end(
    launch: Launcher,
) -> None:
    source = """
        import asyncio
        import sys

        async def main():
            print("hello")

        asyncio.run(main())
        print(*sys.modules)
    """
    program = [launch.python, "-X", "importtime", launch.write("app.py", source)]
    plain = launch(*program)
    # However busy the machine is: what takes a millisecond becomes a span.
    ran = launch.run("--min-duration", "60000", *program)
    brought = (imported(ran) | set(ran.out.split())) - imported(plain) - set(plain.out.split())
    assert "whence.instrumentation.tasks" in brought
    assert heavy(brought) == set()
    others = {name for name in brought if name.partition(".")[0] != "whence"}
    assert others - set(sys.builtin_module_names) <= FOR_A_LOOP


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc")
def test_no_thread_runs_before_there_is_a_span(launch: Launcher) -> None:
    source = "import os; print(len(os.listdir('/proc/self/task')))"
    ran = launch.run("-q", launch.write("app.py", source))
    assert (ran.code, ran.out) == (0, "1\n")
