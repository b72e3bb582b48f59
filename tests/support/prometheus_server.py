"""A real Prometheus that scrapes processes of a test; it comes from Debian's package."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml

from receivers import free_port

BINARY = shutil.which("prometheus")
WHY_NOT = "" if BINARY else "no prometheus on the PATH; Debian's package has the same name"

_PATIENCE = 30.0
_PROBES = 0.05


class Sample(NamedTuple):
    """A series at one moment."""

    labels: dict[str, str]
    value: float


class PrometheusServer:
    """A running server that scrapes these targets, as often as `interval` says.

    `jobs` are names of jobs and the addresses of each, as `127.0.0.1:9464`."""

    def __init__(
        self, folder: Path, jobs: Mapping[str, list[str]], *, interval: str = "200ms"
    ) -> None:
        assert BINARY is not None, WHY_NOT
        scrapes = [
            {"job_name": name, "static_configs": [{"targets": targets}]}
            for name, targets in jobs.items()
        ]
        # It refuses an interval shorter than the time-out, which is 10 s.
        often = {"scrape_interval": interval, "scrape_timeout": interval}
        settings = {"global": often, "scrape_configs": scrapes}
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        self._open = build_opener(ProxyHandler({})).open
        self._output = open(folder / "prometheus.out", "wb")  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [
                BINARY,
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={address}",
            ],
            stdout=self._output,
            stderr=self._output,
        )
        self.wait(self._is_ready, "to be ready")

    def query(self, expr: str) -> list[Sample]:
        """What the expression gives now, as a vector."""
        answer = self._get("/api/v1/query", query=expr)["result"]
        return [Sample(found["metric"], float(found["value"][1])) for found in answer]

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Until the condition holds; fails if that takes too long."""
        deadline = monotonic() + _PATIENCE
        while not condition():
            assert self._process.poll() is None, f"Prometheus has ended: {self._said()}"
            assert monotonic() < deadline, f"waited in vain for Prometheus {what}: {self._said()}"
            sleep(_PROBES)

    def stop(self) -> None:
        """End it."""
        with self._process, self._output:
            self._process.terminate()

    def _is_ready(self) -> bool:
        try:
            with self._open(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _get(self, path: str, **query: str) -> Any:
        with self._open(f"{self.url}{path}?{urlencode(query)}", timeout=10) as answer:
            content = json.load(answer)
        assert content["status"] == "success", content
        return content["data"]

    def _said(self) -> str:
        return Path(self._output.name).read_text(encoding="utf-8", errors="replace")[-2000:]
