"""A program that keeps things in a redis server, under `whence run`."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from drawing import check_drawing
from tracing import Tracing

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed"
)

DRAWING = """
    task main
        task price
            connect  CLIENT
            timer sleep
        2 x task price
            timer sleep
        task stock
            task ConnectionPool.release
        task listen
        task order
            connect  CLIENT
        2 x task AbstractConnection.disconnect
"""


OF_WAIT_FOR = "task AbstractConnection._send_packed_command"
"""On Python 3.11 alone, whose `wait_for` makes a task of what it waits for."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A redis server that knows nothing; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            ready = any(b"Ready to accept connections" in line for line in server.stdout)
            assert ready, f"redis-server ended with {server.wait()}"
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.stdout.read()


@pytest.mark.parametrize(
    "loop",
    [
        "asyncio",
        pytest.param(
            "uvloop",
            marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="not for this system"),
        ),
    ],
)
def test_what_is_asked_of_a_cache_is_under_whoever_asks(
    traced: Tracing, redis: str, loop: str
) -> None:
    spans = traced("cache", "--min-duration", "0", loop=loop, REDIS=redis)
    check_drawing([span for span in spans if span.name != OF_WAIT_FOR], DRAWING)
