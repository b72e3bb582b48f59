"""Rotel, a collector of another make, between a program and a receiver of the tests."""

import os
import signal
import socket
import subprocess
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

from receivers import free_port

_PATIENCE = 30.0
_PROBES = 0.02


class RotelAgent:
    """A running collector.  It takes OTLP at `http` and `grpc`, and hands all of it on."""

    def __init__(self, folder: Path, receiver: str, protocol: str) -> None:
        """`receiver` is the endpoint that everything goes to, `protocol` is "http" or "grpc"."""
        ports = free_port(), free_port()
        self.http, self.grpc = (f"http://127.0.0.1:{port}" for port in ports)
        options = {
            "otlp-http-endpoint": f"127.0.0.1:{ports[0]}",
            "otlp-grpc-endpoint": f"127.0.0.1:{ports[1]}",
            "exporter": "otlp",
            "otlp-exporter-protocol": protocol,
            "otlp-exporter-endpoint": receiver,
            "batch-timeout": "20ms",
            "pid-file": str(folder / "rotel.pid"),
            "log-file": str(folder / "rotel.log"),
        }
        words = [f"--{name}={text}" for name, text in options.items()]
        self._output = open(folder / "rotel.out", "wb")  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [_binary(), "start", *words],
            env=_environment(),
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        try:
            for port in ports:
                self._wait_for(port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; what it has taken it hands on first."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._output.close()

    def _wait_for(self, port: int) -> None:
        until = monotonic() + _PATIENCE
        while self._process.poll() is None and monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            sleep(_PROBES)
        said = Path(self._output.name).read_text()
        raise AssertionError(f"rotel does not listen on port {port}: {said}")


def why_not() -> str:
    """Why rotel cannot run here; empty if it can.  Its binary wants this Python's shared library,
    which not every Python has."""
    if find_spec("rotel") is None:
        return "rotel is not installed: it is not made for this system"
    ran = subprocess.run(
        [_binary(), "--version"], env=_environment(), capture_output=True, text=True, check=False
    )
    return "" if ran.returncode == 0 else f"rotel cannot run here: {ran.stderr.strip()}"


def _binary() -> str:
    spec = find_spec("rotel")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).with_name("rotel-agent"))


def _environment() -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ROTEL_")}
    folder = sysconfig.get_config_var("LIBDIR")
    before = kept.get("LD_LIBRARY_PATH")
    return kept | {"LD_LIBRARY_PATH": f"{folder}:{before}" if before else str(folder)}
