"""A dashboard that is a real process, programs traced into it, and a browser that looks."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    ViewportSize,
    sync_playwright,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_ARGUMENTS = (
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PATIENCE = 20.0
WIDE: ViewportSize = {"width": 1280, "height": 860}
NARROW: ViewportSize = {"width": 390, "height": 844}

_LINE = re.compile(r"dashboard at (http://\S+), OTLP at (http://\S+) ")
_direct = build_opener(ProxyHandler({}))


class RunningDashboard:
    """`whence dashboard` on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = ["dashboard", "--port", "0", "--http-port", "0", "--grpc-port", "0"]
        words += ["--database", str(folder / "dashboard.db")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "whence", *words],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if found := _LINE.search(line):
                self.url, self.otlp = found[1].rstrip("/"), found[2].rstrip("/")
                return
        raise AssertionError(f"no dashboard: {said}")

    def ask(self, view: str, **parameters: object) -> Any:
        """The JSON of a view."""
        with _direct.open(f"{self.url}/api/{view}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)

    def send(self, spans: object) -> None:
        """Spans in OTLP's JSON, as any program may send them."""
        body = json.dumps(spans).encode()
        headers = {"Content-Type": "application/json"}
        _direct.open(Request(f"{self.otlp}/v1/traces", body, headers), timeout=10).close()

    def cpu_time(self) -> float:
        """Seconds of CPU that it has taken so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=15)

    def trace(self, name: str) -> str:
        """The id of the latest trace of this name, once it is there."""

        def look() -> str | None:
            traces = self.ask("traces", name=name, limit=20)["traces"]
            return next((str(one["trace_id"]) for one in traces if one["name"] == name), None)

        return str(eventually(look, f"a trace {name}"))


def environment() -> dict[str, str]:
    """The tests' own, without what is meant for agents."""
    return {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("WHENCE_", "OTEL_", "PYTHON"))
    }


def eventually(look: Callable[[], Any], what: str) -> Any:
    """What `look` gives as soon as it is something."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            found = look()
        except URLError:
            found = None
        if found is not None:
            return found
        assert time.monotonic() < until, f"expected {what} within {_PATIENCE:.0f} s"
        time.sleep(0.05)


def traced(
    dashboard: RunningDashboard, service: str, source: str, *options: str
) -> subprocess.Popen[str]:
    """Start a program under `whence run`, which sends to the dashboard."""
    path = dashboard.folder / f"{service}.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    words = ["run", "-q", "--endpoint", dashboard.otlp, "--service", service, *options, str(path)]
    return subprocess.Popen(
        [sys.executable, "-m", "whence", *words],
        env=environment() | {"OTEL_METRIC_EXPORT_INTERVAL": "500"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=dashboard.folder,
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_ARGUMENTS])
        yield browser
        browser.close()


class Work:
    """Seconds of CPU that the page and the dashboard take for something, from now on.

    The time on a clock would be that of everything else that this machine does meanwhile."""

    def __init__(self, page: Page, dashboard: RunningDashboard) -> None:
        self._dashboard = dashboard
        self._page = page.context.new_cdp_session(page)
        self._page.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
        self._page.send("Performance.enable")
        self._began = self._sum()

    def done(self) -> float:
        """Seconds so far."""
        return self._sum() - self._began

    def _sum(self) -> float:
        metrics = self._page.send("Performance.getMetrics")["metrics"]
        page = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
        return float(page) + self._dashboard.cpu_time()


class Looking:
    """Opens pages, and remembers what went wrong in them."""

    def __init__(self, browser: Browser, dashboard: RunningDashboard) -> None:
        self.dashboard = dashboard
        self.wrong: list[str] = []
        # What the browser itself says, each time the page asks, of an answer that a test is about.
        self.excused: str | None = None
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def at(self, address: str, size: ViewportSize = WIDE, colours: str = "light") -> Page:
        """A page at `#/address`, in a browser that remembers nothing."""
        context = self._browser.new_context(viewport=size, color_scheme=colours)  # type: ignore[arg-type]
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE * 1000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.wrong.append(f"{address}: {error}"))
        page.goto(f"{self.dashboard.url}/#/{address}")
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        excused = self.excused is not None and self.excused in message.text
        if message.type in ("error", "warning") and not excused:
            self.wrong.append(message.text)

    def close(self) -> None:
        """Close all that was opened."""
        for context in self._contexts:
            context.close()
