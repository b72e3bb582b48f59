"""What the tests of whole programs use."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launching import Launcher
from receivers import HttpReceiver
from tracing import Tracing


@pytest.fixture
def traced(launch: Launcher, http_receiver: HttpReceiver) -> Tracing:
    """Runs programs under `whence run`, and gives the spans that they sent."""
    return Tracing(launch, http_receiver)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A redis server that knows nothing; its address."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
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
