"""`python -m benchmarks.dashboard`: what the dashboard can take, and how it answers meanwhile.

A dashboard of its own is sent spans at a rate, as whence sends them, by a process of its own; the
views are asked all the while.  Exit code: 0; 1 if a promise was not kept.

Promised: everything is kept or gone as the oldest, within its limit of size, 300 MB of memory, and
200 ms for an answer of the page.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from .options import positive_float, positive_int

MEMORY = 300 << 20
ANSWER = 0.2
_VIEWS = (
    "/",
    "/api/services",
    "/api/traces?limit=50",
    "/api/traces?name=checkout&min=0.01&limit=50",
    "/api/traces?error=1&limit=50",
    "/api/blockers",
    "/api/flow",
    "/api/leaks",
)
_BATCH = 2_000
_OF_TRACE = 10
_TRACE_MARK, _SPAN_MARK = b"TRACEIDS", b"SPAN"


def main(words: Sequence[str] | None = None) -> int:
    """The command; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--rate", type=positive_int, default=20_000, help="spans a second")
    parser.add_argument("--seconds", type=positive_float, default=60.0)
    parser.add_argument("--max-size", type=positive_int, default=512, help="megabytes")
    parser.add_argument("--send-to", metavar="PORT", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.send_to:
        print(json.dumps(_send(options.send_to, options.rate, options.seconds)))
        return 0
    return _measure(options.rate, options.seconds, options.max_size)


def _measure(rate: int, seconds: float, max_size: int) -> int:
    with tempfile.TemporaryDirectory() as folder, _Dashboard(Path(folder), max_size) as dashboard:
        own = [sys.executable, "-m", "benchmarks.dashboard", "--rate", str(rate)]
        own += ["--seconds", str(seconds), "--send-to", str(dashboard.otlp)]
        with subprocess.Popen(own, stdout=subprocess.PIPE, text=True) as sender:
            asked = _Asked(dashboard)
            while sender.poll() is None:
                asked.round()
            assert sender.stdout is not None
            sent = json.loads(sender.stdout.read())
        about = dashboard.ask("/api/about")[1]
        kept = json.loads(about)
    return _tell(sent, kept, asked, max_size << 20)


class _Dashboard:
    """A real one, in a process."""

    def __init__(self, folder: Path, max_size: int) -> None:
        command = [sys.executable, "-m", "whence", "dashboard", "--port", "0", "--http-port", "0"]
        command += ["--grpc-port", "0", "--max-size", str(max_size)]
        command += ["--database", str(folder / "dashboard.db")]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        words = self._process.stderr.readline().replace(",", " ").split()
        ports = [int(word.rpartition(":")[2]) for word in words if "localhost:" in word]
        self.page, self.otlp = ports[0], ports[1]
        # Whatever else it has to say must not fill the pipe.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def __enter__(self) -> "_Dashboard":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def ask(self, path: str) -> tuple[float, bytes]:
        """The seconds that an answer took, and the answer."""
        connection = HTTPConnection("localhost", self.page, timeout=30)
        began = monotonic()
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        took = monotonic() - began
        connection.close()
        assert response.status == 200, f"{path}: {response.status} {body[:200]!r}"
        return took, body

    def memory(self) -> int:
        """Bytes that are resident."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) << 10

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        user, system = fields.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / 100


class _Asked:
    """What the views and the system said."""

    def __init__(self, dashboard: _Dashboard) -> None:
        self._dashboard = dashboard
        self._began = monotonic()
        self.times: dict[str, list[float]] = {path: [] for path in (*_VIEWS, "/api/traces/ID")}
        self.memory = 0
        self.size = 0
        self.cpu = 0.0

    def round(self) -> None:
        """Ask all of them once."""
        for path in _VIEWS:
            took, body = self._dashboard.ask(path)
            self.times[path].append(took)
            if path == "/api/traces?limit=50":
                self._one_trace(json.loads(body)["traces"])
        about = json.loads(self._dashboard.ask("/api/about")[1])
        self.size = max(self.size, about["database"]["size"])
        self.memory = max(self.memory, self._dashboard.memory())
        self.cpu = self._dashboard.cpu() / (monotonic() - self._began)
        sleep(0.5)

    def _one_trace(self, traces: list[dict[str, Any]]) -> None:
        if traces:
            took, _ = self._dashboard.ask(f"/api/traces/{traces[0]['trace_id']}")
            self.times["/api/traces/ID"].append(took)


def _tell(sent: dict[str, float], about: dict[str, Any], asked: _Asked, limit: int) -> int:
    received = about["received"]
    print(f"sent       {sent['spans']:,.0f} spans in {sent['seconds']:.1f} s", end="")
    print(f": {sent['spans'] / sent['seconds']:,.0f}/s; {sent['refused']:.0f} requests sent again")
    print(f"received   {received['spans']:,}, {received['evicted']:,} traces made room")
    print(f"memory     {asked.memory / 2**20:.0f} MB at most;  CPU {asked.cpu:.2f} cores")
    print(f"size       {asked.size / 2**20:.0f} MB at most, of {limit / 2**20:.0f}")
    for path, times in asked.times.items():
        ordered = sorted(times) or [0.0]
        typical, worst = ordered[len(ordered) // 2], ordered[-1]
        late = sum(time > ANSWER for time in times)
        shown = f"{typical * 1e3:5.0f} ms typically, {worst * 1e3:5.0f} at most"
        print(f"  {path:45} {shown}; {late} of {len(times)} later than 200")
    kept = received["spans"] == sent["spans"] and asked.size <= limit and asked.memory <= MEMORY
    every = sorted(time for times in asked.times.values() for time in times)
    return 0 if kept and every[int(len(every) * 0.99)] <= ANSWER else 1


def _send(port: int, rate: int, seconds: float) -> dict[str, float]:
    connection = HTTPConnection("localhost", port, timeout=60)
    began = monotonic()
    spans = refused = 0
    for body in _bodies():
        due = began + spans / rate
        if due - began >= seconds:
            break
        sleep(max(0.0, due - monotonic()))
        while not _taken(connection, body):
            refused += 1
            sleep(0.2)
        spans += _BATCH
    return {"spans": spans, "seconds": monotonic() - began, "refused": refused}


def _taken(connection: HTTPConnection, body: bytes) -> bool:
    connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
    response = connection.getresponse()
    response.read()
    return response.status == 200


def _bodies() -> Iterator[bytes]:
    """Requests without end, each with traces of its own."""
    body = _body()
    number = 0
    while True:
        number += 1
        yield body.replace(_TRACE_MARK, number.to_bytes(8, "big")).replace(
            _SPAN_MARK, number.to_bytes(4, "big")
        )


def _body() -> bytes:
    from time import time_ns

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    _attribute(of_resource.resource, "service.name", "shop")
    _attribute(of_resource.resource, "process.pid", 1)
    scope = of_resource.scope_spans.add()
    scope.scope.name = "whence"
    now = time_ns()
    for number in range(_BATCH):
        trace, place = divmod(number, _OF_TRACE)
        span = scope.spans.add()
        span.trace_id = _TRACE_MARK + trace.to_bytes(8, "big")
        # Children end, and are sent, before the root.
        span.span_id = _SPAN_MARK + (number + 1).to_bytes(4, "big")
        if place != _OF_TRACE - 1:
            span.parent_span_id = _SPAN_MARK + (trace * _OF_TRACE + _OF_TRACE).to_bytes(4, "big")
        span.name = "GET /checkout" if place == _OF_TRACE - 1 else f"task step_{place}"
        span.kind = 2 if place == _OF_TRACE - 1 else 1
        span.start_time_unix_nano = now + place
        span.end_time_unix_nano = now + 20_000_000 + number
        span.status.code = 2 if trace % 50 == 0 else 0
        _attribute(span, "whence.type", "Task")
        for key in ("whence.async_id", "whence.trigger_id", "whence.execution_id", "thread.id"):
            _attribute(span, key, number)
        _attribute(span, "whence.outcome", "done")
        for key in ("whence.run_time", "whence.ready_time", "whence.wait_time"):
            _attribute(span, key, number / 1e6)
        _attribute(span, "whence.steps", 3)
        _attribute(span, "code.file.path", f"/srv/shop/pages_{place}.py")
        _attribute(span, "code.line.number", place)
        _attribute(span, "code.function.name", "Pages.checkout")
    return request.SerializeToString()


def _attribute(target: Any, key: str, value: str | int | float) -> None:
    item = target.attributes.add()
    item.key = key
    kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
    setattr(item.value, kind, value)


if __name__ == "__main__":
    sys.exit(main())
