"""`whence demo`: traces the shop for some seconds, as anybody would, and prints what was seen.

The shop is a process of its own under `whence run`, which writes a file; the trees come out of
that file.  What the agent itself says goes to stderr, as always.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from shlex import quote
from shutil import get_terminal_size
from statistics import median
from tempfile import mkstemp

from whence.exporters.tree import WIDTH, Row, render, rows_of_request, trees_of

SHOP = Path(__file__).with_name("shop")
COMPOSE = SHOP.parent.parent / "docker-compose.yml"
"""In a checkout."""
COLLECTOR = "http://localhost:4318"
JAEGER = "http://localhost:16686/search?service=shop"

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
        _demonstrate(options.seconds, options.load)
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
    options = parser.parse_args(words)
    if not 0 < options.seconds < 3600:
        parser.error(f"--seconds: expected more than 0 and less than 3600, not {options.seconds:g}")
    if not 0 < options.load <= 100:
        parser.error(f"--load: expected 1 to 100, not {options.load}")
    return options


def _demonstrate(seconds: float, load: int) -> None:
    if find_spec("aiohttp") is None:
        raise Failed(
            "expected aiohttp, which the shop is built on; to get it: pip install 'whence[demo]'"
        )
    command = f"whence run --no-child {_as_typed_here(SHOP)} --load {load}"
    print(f"A shop and its customers, for {seconds:g} s:  {command}\n")
    has_collector = takes_spans(COLLECTOR)
    # It stays: what the agent says at the end names it as a place to look.
    descriptor, file = mkstemp(prefix="whence-demo-", suffix=".jsonl")
    os.close(descriptor)
    _run_shop(file, seconds, load, has_collector)
    print()
    _print_trees(_requests(file))
    print(_LEGEND)
    print(f"What is wrong with the shop stands in {_as_typed_here(SHOP / '__init__.py')}.")
    print(f"All spans stand in {file}, as OTLP in JSON.")
    if has_collector:
        print(f"The same spans went to {COLLECTOR}, as service shop; in Jaeger: {JAEGER}")
    else:
        print(f"To see the same in Jaeger ({JAEGER}):")
        print(f"  {_start_of_jaeger()}\n  {command}")


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


def _run_shop(file: str, seconds: float, load: int, has_collector: bool) -> None:
    exports = ["--export", "file", "-o", file]
    if has_collector:
        exports += ["--export", "otlp", "--endpoint", COLLECTOR]
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


def _requests(file: str) -> dict[str, list[list[Row]]]:
    """The traces of requests by route; the slowest request and the slowest route first."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    rows = [_shortened(row) for line in lines for row in rows_of_request(line)]
    routes: dict[str, list[list[Row]]] = {}
    for tree in trees_of(rows):
        root = _root(tree)
        if root.attributes.get("whence.type") == "Request":
            routes.setdefault(root.name, []).append(tree)
    if not routes:
        raise Failed("expected spans of requests, but there are none")
    for trees in routes.values():
        trees.sort(key=lambda tree: -_root(tree).duration)
    return dict(sorted(routes.items(), key=lambda route: -_root(route[1][0]).duration))


def _root(tree: Iterable[Row]) -> Row:
    return next((row for row in tree if not row.parent_id), next(iter(tree)))


def _print_trees(routes: Mapping[str, Sequence[list[Row]]]) -> None:
    for route, trees in routes.items():
        typical = median(_root(tree).duration for tree in trees) / 1e6
        _print_tree(f"The slowest of {len(trees)} {route}; typically {typical:.1f} ms", trees[0])
        failed = next((tree for tree in trees if _root(tree).error), trees[0])
        if failed is not trees[0]:
            _print_tree(f"The slowest {route} that failed", failed)


def _print_tree(heading: str, tree: Sequence[Row]) -> None:
    columns, colour = WIDTH, False
    if sys.stdout.isatty():
        columns = get_terminal_size().columns
        colour = not os.environ.get("NO_COLOR")
    print(f"\x1b[1m{heading}\x1b[0m" if colour else heading)
    print(render(tree, colour=colour, columns=columns) + "\n")


def _shortened(row: Row) -> Row:
    """With the name of its file as people say it: `shop/pages.py`."""
    path = row.attributes.get("code.file.path")
    if not path:
        return row
    short = os.path.join(*Path(path).parts[-2:])
    return row._replace(attributes={**row.attributes, "code.file.path": short})


def _start_of_jaeger() -> str:
    if not COMPOSE.exists():
        return "start Jaeger, or anything else that takes OTLP on port 4318"
    file = _as_typed_here(COMPOSE)
    return "docker compose up -d" if file == COMPOSE.name else f"docker compose -f {file} up -d"


def _as_typed_here(path: Path) -> str:
    """The path as the user would type it."""
    here = Path.cwd()
    return quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
