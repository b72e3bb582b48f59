"""Exporters by their names."""

from importlib import import_module, metadata
from typing import Any

import pytest

from whence.sending.exporting import EXPORTERS, load_exporter
from whence.settings.values import EXPORTERS as ACCEPTED


def test_what_the_settings_accept_is_what_there_is() -> None:
    assert set(ACCEPTED) == {*EXPORTERS, "none"}


@pytest.mark.parametrize("name", EXPORTERS)
def test_each_can_be_loaded_and_is_whole(name: str) -> None:
    exporter = load_exporter(name)
    assert all(callable(getattr(exporter, method)) for method in ("start", "export", "stop"))
    assert exporter.label


def test_another_distribution_can_bring_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs:
        label = "theirs"

    def entry_points(group: str, name: str) -> list[Any]:
        found = group == "whence.exporters" and name == "theirs"
        return [metadata.EntryPoint(name, f"{__name__}:Theirs", group)] if found else []

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: Theirs)
    assert isinstance(load_exporter("theirs"), Theirs)


def test_any_other_name_is_one_for_opentelemetrys_sdk() -> None:
    foreign = import_module("whence.exporters.foreign")
    assert isinstance(load_exporter("otlp_proto_http"), foreign.ForeignExporter)
