"""OTLP's JSON, a request on each line."""

import os
from pathlib import Path
from typing import Any

import pytest

from configured import settings
from lives import Lives
from receivers import attributes_of, request_of_json
from whence.engine import Tracer
from whence.exporters.file import FileExporter
from whence.exporters.spans import span_maker
from whence.exporters.tree import row_of_span, rows_of_request
from whence.sending.exporting import ExportError


def exporter_to(path: object, **config: Any) -> FileExporter:
    exporter = FileExporter()
    exporter.start(settings(export="file", output=str(path), **config))
    return exporter


def test_each_batch_is_a_line_that_a_collector_reads(lives: Lives, tmp_path: Path) -> None:
    exporter = exporter_to(tmp_path / "out.jsonl", service="shop")
    for name in ("one", "two"):
        lives.live(2, name)
        assert exporter.export(lives.come_out(), None).sent == 1
    exporter.stop(1)
    requests = [request_of_json(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    spans = [request.resource_spans[0].scope_spans[0].spans for request in requests]
    assert [[span.name for span in some] for some in spans] == [["task one"], ["task two"]]
    assert attributes_of(requests[0].resource_spans[0].resource)["service.name"] == "shop"


def test_what_was_written_can_be_shown_as_trees(lives: Lives, tmp_path: Path) -> None:
    """As the console would have shown it."""
    lives.tracer = Tracer(max_spans=3)
    main = lives.begin("main")
    lives.fail(lives.begin("failing", by=main), ValueError("no"), after=2)
    for _ in range(5):
        lives.live(2, "child", by=main)
    lives.end(main)
    chosen = settings(export="file", output=str(tmp_path / "out.jsonl"))
    exporter = FileExporter()
    exporter.start(chosen)
    batch = lives.come_out()
    exporter.export(batch, None)
    exporter.stop(1)
    rows = [row_of_span(span) for span in span_maker(chosen).spans_of(batch)]
    assert rows_of_request((tmp_path / "out.jsonl").read_text()) == rows
    assert len(rows) == 3


def test_the_name_of_the_file_may_hold_the_pid(lives: Lives, tmp_path: Path) -> None:
    exporter = exporter_to(tmp_path / "out-%p.jsonl")
    lives.live(2, "main")
    exporter.export(lives.come_out(), None)
    exporter.stop(1)
    assert [path.name for path in tmp_path.iterdir()] == [f"out-{os.getpid()}.jsonl"]
    assert exporter.label == f"the file {tmp_path}/out-{os.getpid()}.jsonl"


def test_without_spans_there_is_no_file(lives: Lives, tmp_path: Path) -> None:
    exporter = exporter_to(tmp_path / "out.jsonl")
    exporter.export([], None)
    exporter.stop(1)
    assert list(tmp_path.iterdir()) == []


def test_what_no_sampler_wants_is_not_written(lives: Lives, tmp_path: Path) -> None:
    exporter = exporter_to(tmp_path / "out.jsonl", sample=0)
    lives.live(2, "main")
    taken = exporter.export(lives.come_out(), None)
    assert (taken.sent, taken.unsampled) == (0, 1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_stays(lives: Lives, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("before\n")
    exporter = exporter_to(path)
    lives.live(2, "main")
    exporter.export(lives.come_out(), None)
    exporter.stop(1)
    assert path.read_text().splitlines()[0] == "before"
    assert len(path.read_text().splitlines()) == 2


def test_a_folder_that_is_not_there_is_one_line_and_made_up_for(
    lives: Lives, tmp_path: Path
) -> None:
    path = tmp_path / "nowhere" / "out.jsonl"
    exporter = exporter_to(path)
    lives.live(2, "main")
    batch = lives.come_out()
    with pytest.raises(ExportError) as caught:
        exporter.export(batch, None)
    assert str(caught.value) == (
        f"{path} cannot be written (No such file or directory); spans are dropped"
    )
    path.parent.mkdir()
    assert exporter.export(batch, None).sent == 1
    exporter.stop(1)
    assert len(path.read_text().splitlines()) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is always full")
def test_a_full_disk_is_one_line(lives: Lives) -> None:
    exporter = exporter_to("/dev/full")
    lives.live(2, "main")
    with pytest.raises(ExportError, match="No space left on device"):
        exporter.export(lives.come_out(), None)


def test_a_line_that_was_torn_spoils_no_other(
    lives: Lives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    exporter = exporter_to(path)
    lives.live(2, "torn")
    original = os.write
    calls: list[int] = []

    def half(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return original(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(ExportError):
            exporter.export(lives.come_out(), None)
    lives.live(2, "whole")
    exporter.export(lives.come_out(), None)
    exporter.stop(1)
    _, whole = path.read_text().splitlines()
    assert request_of_json(whole).resource_spans[0].scope_spans[0].spans[0].name == "task whole"
