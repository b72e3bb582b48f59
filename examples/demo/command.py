"""The command: runs the shop under `whence run`, and says what came of it and where to look."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from shlex import quote
from socket import create_server
from tempfile import mkstemp

from whence.commands import running_dashboard

from .numbers import Scraper, samples_of, table
from .showing import print_background, print_requests, read_traces

SHOP = Path(__file__).parent.with_name("shop")
COMPOSE = SHOP.parent.parent / "docker-compose.yml"
"""In a checkout."""
COLLECTOR = "http://localhost:4318"
JAEGER = "http://localhost:16686/search?lookback=1h&service=shop"
GRAFANA = "http://localhost:3000"

_GRACE = 30.0
"""Seconds that the shop may take to open and close."""

_LEGEND = """\
total = run + ready + wait
  run    it executed
  ready  it was due, but the event loop, or the pool of threads, was busy with something else
  wait   it waited for what is below it, or for others, and for the loop to notice that it was over
"""


class Failed(Exception):
    """There is nothing to show; the text says why, in one line."""


def main(words: Sequence[str]) -> int:
    """The command; gives the exit code."""
    options = _read_options(words)
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that knows no box-drawing characters gets question marks.
        sys.stdout.reconfigure(errors="replace")
    try:
        _demonstrate(options.seconds, options.load, options.dashboard)
    except Failed as error:
        print(f"whence demo: {error}", file=sys.stderr)
        return 1
    return 0


def _read_options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="whence demo",
        description="Trace a shop under load for some seconds and print its slowest requests.",
    )
    parser.add_argument(
        "--seconds", type=float, default=4.0, metavar="N", help="how long (default: 4)"
    )
    parser.add_argument(
        "--load", type=int, default=4, metavar="CLIENTS", help="customers at a time (default: 4)"
    )
    parser.add_argument(
        "--dashboard", action="store_true", help="show it in the dashboard as well, which goes on"
    )
    options = parser.parse_args(words)
    if not 0 < options.seconds < 3600:
        parser.error(f"--seconds: expected more than 0 and less than 3600, not {options.seconds:g}")
    if not 0 < options.load <= 100:
        parser.error(f"--load: expected 1 to 100, not {options.load}")
    return options


def _demonstrate(seconds: float, load: int, dashboard: bool) -> None:
    if find_spec("aiohttp") is None:
        raise Failed(
            "expected aiohttp, which the shop is built on; to get it: pip install 'whence[demo]'"
        )
    option = "--dashboard " if dashboard else ""
    command = f"whence run --no-child {option}{_as_typed_here(SHOP)} --load {load}"
    print(f"A shop and its customers, for {seconds:g} s:  {command}\n")
    receiver = ["--dashboard"] if dashboard else []
    if not dashboard and takes_spans(COLLECTOR):
        receiver = ["--export", "otlp", "--endpoint", COLLECTOR]
    # It stays: what the agent says at the end names it as a place to look.
    descriptor, file = mkstemp(prefix="whence-demo-", suffix=".jsonl")
    os.close(descriptor)
    metrics = _run_shop(file, seconds, load, receiver)
    print()
    _print_what_was_seen(file, metrics)
    print(f"What is wrong with the shop stands in {_as_typed_here(SHOP / '__init__.py')}.")
    print(f"All spans stand in {file}, as OTLP in JSON.")
    if dashboard:
        _print_dashboard()
    elif receiver:
        print(f"Traces and metrics went to {COLLECTOR}, as service shop:")
        print(f"  Jaeger {JAEGER}\n  Grafana {GRAFANA}, if that is docker-compose.yml's")
    else:
        print(f"To see the same in Jaeger ({JAEGER})\nand Grafana ({GRAFANA}):")
        print(f"  {_start_of_containers()}\n  {command}")


def _print_dashboard() -> None:
    about = running_dashboard.find()
    if about is None:
        raise Failed("expected a dashboard; why there is none stands above")
    print(f"Traces, blockers, the flow and all numbers: {about['url']}")
    print("It goes on until `whence dashboard --stop`.")


def _print_what_was_seen(file: str, metrics: str) -> None:
    traces = read_traces(file)
    if not any(alike.is_of_requests for alike in traces):
        raise Failed("expected spans of requests, but there are none")
    print_requests(traces)
    print_background(traces)
    print(_LEGEND)
    if metrics:
        print("The same in numbers, with what became no span (--metrics-port, for Prometheus):")
        print(table(samples_of(metrics)) + "\n")


def takes_spans(endpoint: str) -> bool:
    """Whether a collector answers there; it is sent a request without any span."""
    host = endpoint.removeprefix("http://")
    connection = HTTPConnection(host, timeout=1)
    try:
        connection.request("POST", "/v1/traces", b"", {"Content-Type": "application/x-protobuf"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _run_shop(file: str, seconds: float, load: int, receiver: Sequence[str]) -> str:
    """Gives the metrics as they were in the end, as text for Prometheus."""
    exports = ["--export", "file", "-o", file, *receiver]
    scraper = None
    if find_spec("prometheus_client") is not None:
        port = _free_port()
        exports += ["--metrics-port", str(port)]
        scraper = Scraper(f"http://127.0.0.1:{port}/metrics")
    # The customers are what the shop is measured with, not what is measured.
    command = [sys.executable, "-P", "-m", "whence", "run", "--no-child", *exports]
    command += [os.path.join(os.curdir, SHOP.name)]
    command += ["--port", "0", "--seconds", str(seconds), "--load", str(load)]
    sys.stdout.flush()
    # From its own folder, so that its files have short names in what the agent says.
    with subprocess.Popen(command, cwd=SHOP.parent, env=_environment(os.environ)) as shop:
        code = _wait(shop, seconds + _GRACE)
    if code != 0:
        raise Failed(f"expected the shop to close in peace, but it ended with code {code}")
    return scraper.stop() if scraper is not None else ""


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what the user has set for other programs: the demo shows the defaults."""
    return {
        name: value for name, value in environ.items() if not name.startswith(("WHENCE_", "OTEL_"))
    }


def _wait(shop: subprocess.Popen[bytes], timeout: float) -> int:
    try:
        return shop.wait(timeout)
    except KeyboardInterrupt:
        # The terminal has interrupted the shop as well, which closes.
        return _wait(shop, _GRACE)
    except subprocess.TimeoutExpired:
        shop.kill()
        raise Failed(f"expected the shop to be closed within {timeout:g} s; it was ended") from None


def _start_of_containers() -> str:
    if not COMPOSE.exists():
        return "start anything that takes OTLP on port 4318"
    file = _as_typed_here(COMPOSE)
    return "docker compose up -d" if file == COMPOSE.name else f"docker compose -f {file} up -d"


def _as_typed_here(path: Path) -> str:
    """The path as the user would type it."""
    here = Path.cwd()
    return quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
