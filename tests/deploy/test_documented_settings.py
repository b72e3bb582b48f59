"""What `docs/stack.md` and `docs/scaling.md` say can be done as it stands there."""

import re
from typing import Any

import pytest
import yaml

from containers import COMPOSE, ROOT

DOCS = ROOT / "docs"
PAGES = ("stack.md", "scaling.md")


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def snippets(page: str) -> list[Any]:
    """The blocks of YAML, read."""
    blocks = re.findall(r"^( *)```yaml\n(.*?)^ *```", text(page), re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(re.sub(rf"^{indent}", "", body, flags=re.M)) for indent, body in blocks]


@pytest.mark.parametrize("page", PAGES)
def test_links_and_files_that_are_named_are_there(page: str) -> None:
    links = re.findall(r"\]\(([\w./-]+)\)", text(page))
    files = re.findall(r"`(deploy/[\w./-]+)`", text(page))
    assert links + files
    assert [link for link in links if not (DOCS / link).exists()] == []
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_ports_that_are_named_are_published(page: str) -> None:
    compose = COMPOSE.read_text(encoding="utf-8")
    named = set(re.findall(r"\blocalhost:(\d+)", text(page)))
    assert named
    assert [port for port in named if f'"127.0.0.1:{port}:' not in compose] == []


def test_the_pipeline_into_a_database_is_complete() -> None:
    (settings,) = (found for found in snippets("scaling.md") if "service" in found)
    pipeline = settings["service"]["pipelines"]["traces"]
    for section in ("receivers", "processors", "exporters"):
        assert pipeline[section] == list(settings[section])
    assert set(settings["service"]["extensions"]) == settings["extensions"].keys()
    backend = settings["exporters"]["jaeger_storage_exporter"]["trace_storage"]
    assert settings["extensions"]["jaeger_query"]["storage"]["traces"] == backend
    assert backend in settings["extensions"]["jaeger_storage"]["backends"]


def test_there_is_a_backend_for_each_database_and_no_password_in_it() -> None:
    backends = [found["traces"] for found in snippets("scaling.md") if "traces" in found]
    assert [list(backend) for backend in backends] == [
        ["opensearch"],
        ["clickhouse"],
        ["cassandra"],
    ]
    for password in re.findall(r"password: (.*)", text("scaling.md")):
        assert re.fullmatch(r"\$\{env:\w+\}", password)
