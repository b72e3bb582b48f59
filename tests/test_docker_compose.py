"""The containers that `docker compose up` starts."""

import re
import subprocess
import sys
from typing import Any

import pytest

import containers
from containers import COMPOSE, ROOT, Node
from whence.settings.config import resolve


@pytest.fixture
def services() -> Node:
    return containers.services()


def ports(services: Node, *names: str) -> list[str]:
    return [port for name in names or services for port in services[name].get("ports", [])]


def hosts_asked(service: dict[str, Any]) -> set[str]:
    """The names of services that a health check asks."""
    test = " ".join(service.get("healthcheck", {}).get("test", []))
    return set(re.findall(r"http://([\w-]+):", test))


def mounts(services: Node) -> list[tuple[str, str]]:
    """Each file of the repository that a container sees, and where it sees it."""
    found = []
    for service in services.values():
        for volume in service.get("volumes", []):
            source, target, mode = volume.split(":")
            assert mode == "ro", volume
            found.append((source, target))
    return found


def test_the_file_follows_the_compose_specification() -> None:
    pytest.importorskip("check_jsonschema", reason="part of the dev group")
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_port_is_of_this_machine_alone_and_of_one_container(services: Node) -> None:
    published = ports(services)
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    outer = [port.split(":")[1] for port in published]
    assert sorted(outer) == sorted(set(outer))


def test_the_agent_sends_where_the_collector_listens_without_an_option(services: Node) -> None:
    published = {port.split(":")[1] for port in ports(services, "collector")}
    for protocol in ("http/protobuf", "grpc"):
        chosen = resolve({"protocol": ("--protocol", protocol)}, environ={})
        assert chosen.endpoint is not None
        assert chosen.endpoint.rpartition(":")[2] in published


def test_jaeger_takes_traces_from_collectors_alone(services: Node) -> None:
    assert ports(services, "jaeger") == ["127.0.0.1:16686:16686"]


def test_every_image_is_of_one_version(services: Node) -> None:
    images = [service["image"] for service in services.values() if "image" in service]
    dockerfile = (ROOT / services["demo"]["build"]["dockerfile"]).read_text(encoding="utf-8")
    images += re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert len(images) >= 7
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+(-slim)?$", image), image


def test_every_service_tells_when_it_is_ready_or_is_asked_by_another(services: Node) -> None:
    asked = set().union(*map(hosts_asked, services.values()))
    silent = {name for name, service in services.items() if "healthcheck" not in service}
    assert silent - asked == set()


def test_what_a_service_waits_for_can_come_true(services: Node) -> None:
    for service in services.values():
        needed = service.get("depends_on", {})
        for name in needed:
            other = services[name]
            assert set(other.get("profiles", [])) <= set(service.get("profiles", []))
            if isinstance(needed, dict) and needed[name]["condition"] == "service_healthy":
                assert "healthcheck" in other


def test_every_file_that_a_container_sees_is_there(services: Node) -> None:
    found = mounts(services)
    assert len(found) >= 6
    assert [source for source, _ in found if not (ROOT / source).exists()] == []


def test_jaeger_reads_the_settings_of_its_page_where_they_are(services: Node) -> None:
    (setting,) = services["jaeger"]["command"]
    _, _, path = setting.rpartition("=")
    assert ("./deploy/jaeger-ui.json", path) in mounts(services)


def test_without_a_profile_neither_the_shop_nor_the_sampling_starts(services: Node) -> None:
    always = {name for name, service in services.items() if not service.get("profiles")}
    assert always == {"collector", "collector-health", "jaeger", "prometheus", "grafana"}


def test_gateways_can_be_as_many_as_asked_for(services: Node) -> None:
    gateway = services["gateway"]
    assert "ports" not in gateway
    assert "container_name" not in gateway
