"""Exporters by their names."""

from importlib import import_module
from pathlib import Path

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


def test_another_distribution_can_bring_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[whence.exporters]\nother = no_such_module\ntheirs = theirs_exporting:Theirs\n"
    )
    (tmp_path / "theirs_exporting.py").write_text("class Theirs:\n    label = 'theirs'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_exporter("theirs").label == "theirs"


def test_any_other_name_is_one_for_opentelemetrys_sdk() -> None:
    foreign = import_module("whence.exporters.foreign")
    assert isinstance(load_exporter("otlp_proto_http"), foreign.ForeignExporter)
