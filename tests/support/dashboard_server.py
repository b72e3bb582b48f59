"""A real dashboard in a process of its own, with ports and a folder of its own."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

_PATIENCE = 30.0
_LOOK = 0.02
_PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Answer:
    """What an HTTP server said."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class DashboardServer:
    """Starts `whence dashboard` and waits until it listens.  `words` are further options."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *words: str) -> None:
        self.database = folder / "dashboard.db"
        command = [sys.executable, "-m", "whence", "dashboard"]
        for option in ("--port", "--http-port", "--grpc-port"):
            if option not in words:
                command += [option, "0"]
        if "--database" not in words:
            command += ["--database", str(self.database)]
        self.lines: list[str] = []
        """What it said on stderr."""
        self.process = subprocess.Popen(
            [*command, *words],
            env={**environ, "XDG_STATE_HOME": str(folder / "state")},
            stderr=subprocess.PIPE,
            text=True,
        )
        listening = self._read_until_it_listens()
        self.port, self.http_port, self.grpc_port = map(int, listening)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read_until_it_listens(self) -> tuple[str, ...]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            found = re.search(r"dashboard at \S+:(\d+), OTLP at \S+:(\d+) .* \S+:(\d+) ", line)
            if found:
                return found.groups()
        raise AssertionError(f"it ended with {self.process.wait()}: {self.lines}")

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(line.rstrip() for line in self.process.stderr)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def endpoint(self) -> str:
        """Where OTLP goes by HTTP."""
        return f"http://localhost:{self.http_port}"

    def close(self) -> int:
        """End it, as a user does; its exit code."""
        self.process.terminate()
        code = self.process.wait(_PATIENCE)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def ask(self, path: str, headers: Mapping[str, str] = {}, method: str = "GET") -> Answer:
        """One request of the page's port."""
        return _request(self.port, method, path, b"", headers)

    def get(self, path: str) -> Any:
        """The JSON of a view."""
        answer = self.ask(path)
        assert answer.status == 200, f"{path}: {answer.status} {answer.body!r}"
        return answer.json

    def send(
        self, body: bytes, headers: Mapping[str, str] = _PROTOBUF, path: str = "/v1/traces"
    ) -> Answer:
        """One request of the receiver's port."""
        return _request(self.http_port, "POST", path, body, headers)

    def wait_for(self, path: str, wanted: Callable[[Any], Any]) -> Any:
        """The JSON of a view, once it is as wanted."""
        by = monotonic() + _PATIENCE
        while not wanted(found := self.get(path)):
            assert monotonic() < by, f"{path} stayed {found}"
            sleep(_LOOK)
        return found


def _request(port: int, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request(method, path, body, {"Host": f"localhost:{port}", **headers})
        response = connection.getresponse()
        told = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, told, response.read())
    finally:
        connection.close()
