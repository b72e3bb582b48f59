"""The command `whence demo`, end to end: from a checkout, from a wheel, and with a collector."""

import json
import re
import tempfile
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest

from launching import Finished, Launcher
from whence.examples.demo import command as demo
from whence.exporters.tree import rows_of_request

ROUTES = (
    "GET /search",
    "GET /items/{id}",
    "POST /checkout",
    "GET /invoices/{order}",
    "GET /report",
)
CHECKOUT = demo.SHOP.parent.parent
_TIME = r" +(?:-|[\d.]+ (?:µs|ms|s))"
SPAN = re.compile(rf"(?P<name>\S.*?){_TIME * 4}(?:  (?P<site>\S+:\d+))?(?:  .*)?")


@pytest.fixture(autouse=True)
def temporary_files_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo leaves its file behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def tree(heading: str, out: str) -> list[re.Match[str]]:
    """The spans of the tree that is printed under the line that begins so."""
    lines = iter(out.splitlines())
    assert any(line.startswith(heading) for line in lines), f"no {heading!r} in\n{out}"
    assert next(lines).split() == ["total", "run", "ready", "wait"]
    block = [next(lines)]
    while line := next(lines):
        block.append(line)
    return [span for line in block if (span := SPAN.fullmatch(line))]


def slowest(route: str, out: str) -> list[re.Match[str]]:
    heading = re.search(rf"^The slowest of \d+ {re.escape(route)};.*$", out, re.MULTILINE)
    assert heading is not None, f"no {route} in\n{out}"
    return tree(heading[0], out)


class Shown:
    """What a run of three seconds has printed, and the file that it left."""

    def __init__(self, ended: Finished, took: float) -> None:
        assert ended.code == 0, ended
        self.out, self.err, self.took = ended.out, ended.err, took
        (file,) = re.findall(
            r"^All spans stand in (.*), as OTLP in JSON\.$", self.out, re.MULTILINE
        )
        self.file = Path(file)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """From a checkout, without a collector."""
    folder = tmp_path_factory.mktemp("shown")
    launch = Launcher(folder)
    began = time.monotonic()
    words = [*launch.whence, "demo", "--seconds", "3"]
    ended = launch(*words, cwd=CHECKOUT, env={"TMPDIR": str(folder)})
    yield Shown(ended, time.monotonic() - began)
    launch.close()


def test_it_prints_the_slowest_request_of_each_route(shown: Shown) -> None:
    assert shown.took < 20
    for route in ROUTES:
        root, *below = slowest(route, shown.out)
        assert root["name"] == route
        assert re.fullmatch(r"shop/pages\.py:\d+", root["site"])
        assert all(span["name"].startswith(("├─ ", "└─ ", "│  ", "   ")) for span in below)
    asked = [span for span in slowest("GET /search", shown.out) if "task ask_ware" in span["name"]]
    assert [re.sub(r":\d+", "", span["site"]) for span in asked] == ["shop/warehouses.py"] * 3
    assert "BankUnreachable: no answer to a payment" in shown.out
    assert f"file  {shown.file}\n" in shown.err
    assert "GET /search" in shown.file.read_text(encoding="utf-8")
    assert max(map(len, shown.out.replace(str(shown.file), "FILE").splitlines())) <= 100
    assert "\x1b" not in shown.out


def test_its_file_is_a_temporary_one(
    shown: Shown, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert shown.file.parent.parent == tmp_path_factory.getbasetemp()


def test_it_names_the_line_that_blocked_and_what_waited_for_it(shown: Shown) -> None:
    line = next(
        number
        for number, text in enumerate((demo.SHOP / "pages.py").read_text().splitlines(), 1)
        if "time.sleep(0.150)" in text
    )
    # Of one block among several a busy machine may show no stack.
    spans = [row for text in shown.file.read_text().splitlines() for row in rows_of_request(text)]
    blocks = [block for span in spans if span.name == "GET /report" for block in span.blocks]
    blamed = {(block.get("code.function.name"), block.get("code.line.number")) for block in blocks}
    assert ("_typeset", line) in blamed
    assert re.search(r"blocked the loop for \d+\.\d ms", shown.out)
    delayed = {span.attributes.get("whence.delayed.blocker") for span in spans}
    assert "GET /report" in delayed
    # Jaeger shows first what begins so.
    order = json.loads((CHECKOUT / "deploy" / "jaeger-ui.json").read_text())["topTagPrefixes"]
    keys = {key for span in spans for key in span.attributes}
    assert [start for start in order if not any(key.startswith(start) for key in keys)] == []


def test_the_agent_speaks_on_stderr_alone(launch: Launcher) -> None:
    ended = launch(*launch.whence, "demo", "--seconds", "1", "--load", "1")
    assert ended.code == 0, ended
    assert "customers: " in ended.out
    start, metrics, summary, *where = ended.err.splitlines()
    assert re.match(r"whence \S+  pid \d+  .*  service=shop  ", start)
    assert re.fullmatch(r"whence: metrics at http://localhost:\d+/metrics", metrics)
    assert re.match(r"whence: [\d ]+ resources, 1 still open, ", summary)
    assert re.search(r"worst block \d+ ms shop/pages\.py:\d+ \(GET /report\)$", summary)
    assert any(line.split()[:2] == ["open", "thread"] for line in where)


def test_it_prints_what_the_shop_does_that_nobody_asked_for(shown: Shown) -> None:
    main, *below = tree("In the background: task run", shown.out)
    assert re.fullmatch(r"shop/command\.py:\d+", main["site"])
    kinds = {span["name"].lstrip("├└│─ ").split()[0] for span in below}
    assert {"task", "timer", "thread", "process"} <= kinds
    rings = re.search(r"^One of \d timer Market\._ring$", shown.out, re.MULTILINE)
    assert rings is not None
    # The job below takes about a millisecond: not each is long enough for a line.
    ring, change, *_ = tree(rings[0], shown.out)
    assert ring["name"] == "timer Market._ring"
    assert change["name"].endswith("task Market._change_prices")


def test_it_prints_the_shop_in_numbers(shown: Shown) -> None:
    numbers = shown.out.partition("The same in numbers")[2].splitlines()
    made, ended_as, leaked = (
        next(line for line in numbers if line.startswith(head))
        for head in ("made", "ended", "never settled")
    )
    assert re.search(r"\d+ Task\b", made)
    assert re.search(r"\d+ done\b.* \d+ failed\b", ended_as)
    assert re.search(r"[1-9]\d* Future\b", leaked)
    (blocked,) = (line for line in numbers if line.startswith("blocked"))
    assert re.fullmatch(r"blocked +[1-9]\d* times, for over 100 ms", blocked)
    for what in ("the loop was late", "a step or callback ran", "it waited", "a job waited"):
        (line,) = (line for line in numbers if line.startswith(what))
        assert re.search(r"  [1-9][\d ]*(  +[\d.]+ (µs|ms)){3}$", line), line


def test_it_says_how_to_see_the_same_in_jaeger(shown: Shown) -> None:
    compose, run = shown.out.splitlines()[-2:]
    assert compose == "  docker compose up -d"
    assert run == "  whence run --no-child examples/shop --load 4"


def test_it_shows_the_same_in_a_dashboard_that_goes_on(launch: Launcher) -> None:
    state = {"XDG_STATE_HOME": str(launch.folder / "state")}
    ended = launch(*launch.whence, "demo", "--seconds", "1", "--dashboard", env=state)
    try:
        assert ended.code == 0, ended.err
        found = re.search(r"^Traces, .* numbers: (http://localhost:\d+)$", ended.out, re.MULTILINE)
        assert found
        with urlopen(f"{found[1]}/api/services", timeout=20) as answer:
            assert [one["name"] for one in json.load(answer)["services"]] == ["shop"]
    finally:
        stopped = launch(*launch.whence, "dashboard", "--stop", env=state)
    assert stopped.code == 0, stopped.err


def test_the_users_settings_are_for_other_programs(launch: Launcher) -> None:
    settings = {"WHENCE_DISABLED": "1", "OTEL_TRACES_SAMPLER": "always_off", "WHENCE_SLOW": "x"}
    ended = launch(*launch.whence, "demo", "--seconds", "1", env=settings)
    assert ended.code == 0, ended
    assert slowest("GET /search", ended.out)


def test_an_installed_whence_brings_the_shop_along(launch: Launcher, wheel: Path) -> None:
    installed = launch.folder / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    path = {"PYTHONPATH": str(installed)}
    ended = launch(*launch.whence, "demo", "--seconds", "1", env=path)
    assert ended.code == 0, ended
    assert "whence run --no-child installed/whence/examples/shop --load 4" in ended.out
    assert re.fullmatch(r"shop/pages\.py:\d+", slowest("GET /items/{id}", ended.out)[0]["site"])
    assert "shop/pages.py" in ended.err


def test_without_aiohttp_it_says_so_in_one_line(launch: Launcher, tmp_path: Path) -> None:
    hide = f"import sys; sys.modules['aiohttp'] = None; sys.argv[0] = {str(tmp_path)!r}; "
    ended = launch(
        launch.python, "-c", hide + "from whence.cli import main; sys.exit(main(['demo']))"
    )
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "whence demo: expected aiohttp, which the shop is built on; "
        "to get it: pip install 'whence[demo]'\n"
    )


@pytest.mark.parametrize("words", [["--seconds", "0"], ["--load", "101"], ["--load", "0"]])
def test_a_wrong_option_is_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        demo.main(words)
    assert exit.value.code == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith(f"whence demo: error: {words[0]}: expected ")


class Collector(ThreadingHTTPServer):
    """Takes spans over HTTP, and keeps what it was sent; or refuses them."""

    daemon_threads = True

    def __init__(self, status: int) -> None:
        self.status = status
        self.bodies: list[bytes] = []
        self.metrics: list[bytes] = []
        super().__init__(("localhost", 0), _Answer)
        self.endpoint = f"http://localhost:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/metrics":
            self.server.metrics.append(body)
        else:
            self.server.bodies.append(body)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Not on the tests' stderr."""


@pytest.fixture
def collector(request: pytest.FixtureRequest) -> Iterator[Collector]:
    with Collector(request.param) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("collector", [200], indirect=True)
def test_a_collector_that_answers_gets_spans_and_metrics_too(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "COLLECTOR", collector.endpoint)
    assert demo.main(["--seconds", "2"]) == 0
    out, err = capfd.readouterr()
    assert slowest("GET /report", out)
    assert f"Traces and metrics went to {collector.endpoint}, as service shop" in out
    assert f"otlp {collector.endpoint}" in err
    assert b"GET /report" in b"".join(collector.bodies)
    assert b"whence.resource.created" in b"".join(collector.metrics)


@pytest.mark.parametrize("collector", [404], indirect=True)
def test_what_answers_but_takes_no_spans_is_no_collector(collector: Collector) -> None:
    assert not demo.takes_spans(collector.endpoint)
    assert collector.bodies == [b""]


def test_where_nobody_listens_is_no_collector() -> None:
    with Collector(200) as closed:
        endpoint = closed.endpoint
    assert not demo.takes_spans(endpoint)
