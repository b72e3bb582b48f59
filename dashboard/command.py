"""The command `whence dashboard`: runs until it is interrupted, or in the background."""

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from whence.commands import running_dashboard
from whence.commands.running_dashboard import state_folder

if TYPE_CHECKING:
    from .server import Options

PORT = 4380
"""Not one of Jaeger's, Prometheus', Grafana's or the Collector's."""
HTTP_PORT = 4318
GRPC_PORT = 4317
MAX_SIZE = 512
"""Megabytes."""
_ENDING = 10.0
_SQLITE = (3, 35)
"""The first that knows RETURNING."""
_NEEDED = {"aiohttp": "aiohttp", "grpc": "grpcio", "opentelemetry.proto": "opentelemetry-proto"}


def main(words: Sequence[str]) -> int:
    """The command; gives the exit code."""
    options = _read(words)
    if options.stop:
        return _stop()
    missing = [package for module, package in _NEEDED.items() if not _is_there(module)]
    if missing:
        return _fail(f"expected {', '.join(missing)}; to get it: pip install 'whence[dashboard]'")
    if sqlite3.sqlite_version_info < _SQLITE:
        wanted = ".".join(map(str, _SQLITE))
        return _fail(f"expected SQLite {wanted} or later, not {sqlite3.sqlite_version}")
    if options.detach:
        return _detach(options, asked=len(words) > 1)
    from .server import Options

    size = int(options.max_size * (1 << 20))
    told = Options(options.port, options.http_port, options.grpc_port, options.database, size)
    return asyncio.run(_serve(told))


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="whence dashboard",
        description="Receive OTLP on this machine, keep it in a file, and show it on one page.",
    )
    add = parser.add_argument
    add("--port", type=_port, default=PORT, metavar="P", help=f"of the page (default: {PORT})")
    add(
        "--http-port",
        type=_port,
        default=HTTP_PORT,
        metavar="P",
        help=f"of OTLP over HTTP (default: {HTTP_PORT})",
    )
    add(
        "--grpc-port",
        type=_port,
        default=GRPC_PORT,
        metavar="P",
        help=f"of OTLP over gRPC (default: {GRPC_PORT})",
    )
    add(
        "--database",
        type=_path,
        default=state_folder() / "dashboard.db",
        metavar="FILE",
        help="where it is kept (default: %(default)s)",
    )
    add(
        "--max-size",
        type=_size,
        default=MAX_SIZE,
        metavar="MB",
        help=f"of the file; then the oldest goes (default: {MAX_SIZE})",
    )
    add("--detach", action="store_true", help="go on in the background, once it is there")
    add("--stop", action="store_true", help="end the one that runs")
    return parser.parse_args(words)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, not {text!r}")
    return int(text)


def _size(text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 16 <= size <= 1_000_000:
        raise argparse.ArgumentTypeError(f"expected 16 to 1000000 megabytes, not {text!r}")
    return size


def _path(text: str) -> Path:
    return Path(text).absolute()


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


async def _serve(options: "Options") -> int:
    from .ports import NoPort
    from .server import Dashboard

    ended = asyncio.Event()
    _end_on_signals(ended)
    dashboard = Dashboard(options)
    try:
        await dashboard.start()
    except NoPort as error:
        return _fail(str(error))
    _say(options, dashboard.about())
    state = running_dashboard.write_state(dashboard.about())
    try:
        await ended.wait()
    finally:
        running_dashboard.remove_state(state)
        await dashboard.stop()
    return 0


def _end_on_signals(ended: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))


def _say(options: "Options", about: "running_dashboard.About") -> None:
    """Where everything is; on stderr, as all that whence has to say."""
    asked = {
        "the page": (options.port, about["url"]),
        "OTLP over HTTP": (options.http_port, about["otlp"]["http"]),
        "OTLP over gRPC": (options.grpc_port, about["otlp"]["grpc"]),
    }
    lines = [
        f"port {port} is taken: {name} is at {url}"
        for name, (port, url) in asked.items()
        if port and not url.endswith(f":{port}")
    ]
    if about["database"]["problem"]:
        lines.append(about["database"]["problem"])
    lines.append(
        f"dashboard at {about['url']}, OTLP at {about['otlp']['http']} (http) "
        f"and {about['otlp']['grpc'].removeprefix('http://')} (grpc)"
    )
    for line in lines:
        print(f"whence: {line}", file=sys.stderr, flush=True)


def _detach(options: argparse.Namespace, asked: bool) -> int:
    from .detaching import CannotStart, start

    words = ["--port", str(options.port), "--http-port", str(options.http_port)]
    words += ["--grpc-port", str(options.grpc_port), "--max-size", str(options.max_size)]
    words += ["--database", str(options.database)]
    try:
        about = start(words if asked else ())
    except CannotStart as error:
        return _fail(str(error))
    print(json.dumps(about) if not os.isatty(1) else about["url"])
    return 0


def _stop() -> int:
    about = running_dashboard.find()
    if about is None:
        return _fail("expected one that runs; there is none")
    os.kill(about["pid"], signal.SIGTERM)
    by = time.monotonic() + _ENDING
    while running_dashboard.find() is not None:
        if time.monotonic() > by:
            return _fail(f"it did not end within {_ENDING:g} s (pid {about['pid']})")
        time.sleep(0.05)
    return 0


def _fail(text: str) -> int:
    print(f"whence dashboard: {text}", file=sys.stderr)
    return 1
