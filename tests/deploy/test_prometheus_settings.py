"""The configuration of Prometheus: by the tool that comes with it, as far as its version knows."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from containers import DEPLOY, read, services

PROMTOOL = shutil.which("promtool")

# Of Prometheus 3.13; those before 3 know nothing of it.
OTLP = {"promote_resource_attributes", "keep_identifying_resource_attributes"}


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return read(DEPLOY / "prometheus.yml")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool comes with Prometheus")
def test_promtool_accepts_it(settings: dict[str, Any], tmp_path: Path) -> None:
    assert PROMTOOL is not None
    known = tmp_path / "prometheus.yml"
    known.write_text(yaml.safe_dump({key: settings[key] for key in settings if key != "otlp"}))
    checked = subprocess.run(
        [PROMTOOL, "check", "config", str(known)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_is_pushed_can_be_told_apart(settings: dict[str, Any]) -> None:
    assert settings["otlp"].keys() == OTLP
    promoted = settings["otlp"]["promote_resource_attributes"]
    assert {"service.name", "service.instance.id"} <= set(promoted)
    assert settings["otlp"]["keep_identifying_resource_attributes"] is True


def test_prometheus_takes_what_the_collectors_push() -> None:
    assert "--web.enable-otlp-receiver" in services()["prometheus"]["command"]


def test_the_shop_offers_its_metrics_where_they_are_scraped(settings: dict[str, Any]) -> None:
    (job,) = (job for job in settings["scrape_configs"] if job["job_name"] == "shop")
    port = services()["demo"]["environment"]["WHENCE_METRICS_PORT"]
    assert job["static_configs"] == [{"targets": [f"demo:{port}"]}]


def test_the_collectors_own_metrics_are_where_they_are_scraped(settings: dict[str, Any]) -> None:
    (job,) = (job for job in settings["scrape_configs"] if job["job_name"] == "collectors")
    (asked,) = job["dns_sd_configs"]
    for name in asked["names"]:
        collector = read(DEPLOY / f"{name}.yaml")
        (reader,) = collector["service"]["telemetry"]["metrics"]["readers"]
        offered = reader["pull"]["exporter"]["prometheus"]
        assert (offered["host"], offered["port"]) == ("0.0.0.0", asked["port"])
        # docs/scaling.md names them as the Collector's documentation does.
        assert offered["without_type_suffix"] is offered["without_units"] is True
