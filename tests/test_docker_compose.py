"""The containers that `docker compose up` starts."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from whence.config import resolve

FILE = Path(__file__).parent.parent / "docker-compose.yml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    services = content["services"]
    assert isinstance(services, dict)
    return services


def ports(services: dict[str, Any]) -> list[str]:
    return [port for service in services.values() for port in service.get("ports", [])]


def test_the_file_follows_the_compose_specification() -> None:
    pytest.importorskip("check_jsonschema", reason="part of the dev group")
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    checked = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_port_is_of_this_machine_alone(services: dict[str, Any]) -> None:
    assert ports(services)
    assert [port for port in ports(services) if not port.startswith("127.0.0.1:")] == []


def test_the_agent_sends_where_the_containers_listen_without_an_option(
    services: dict[str, Any],
) -> None:
    published = {port.split(":")[1] for port in ports(services)}
    for protocol in ("http/protobuf", "grpc"):
        chosen = resolve({"protocol": ("--protocol", protocol)}, environ={})
        assert chosen.endpoint is not None
        assert chosen.endpoint.rpartition(":")[2] in published
    assert "16686" in published


def test_every_image_is_of_one_version(services: dict[str, Any]) -> None:
    for service in services.values():
        assert re.search(r":\d+\.\d+\.\d+$", service["image"]), service["image"]


def test_every_service_tells_when_it_is_ready(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "healthcheck" not in service] == []
