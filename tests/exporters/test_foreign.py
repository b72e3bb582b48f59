"""Exporters that are made for OpenTelemetry's SDK."""

from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from configured import settings
from lives import Lives
from receivers import HttpReceiver
from whence.exporters import foreign
from whence.exporters.foreign import ForeignExporter
from whence.sending.exporting import CannotExport, ExportError


class Theirs(SpanExporter):
    """Keeps what it gets, or fails."""

    def __init__(self) -> None:
        self.batches: list[Sequence[ReadableSpan]] = []
        self.result = SpanExportResult.SUCCESS
        self.was_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches.append(spans)
        return self.result

    def shutdown(self) -> None:
        self.was_shut_down = True


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Theirs:
    made = Theirs()
    monkeypatch.setattr(foreign, "load", lambda group, name: lambda: made)
    return made


def started(name: str = "theirs", **config: Any) -> ForeignExporter:
    exporter = ForeignExporter(name)
    exporter.start(settings(**config))
    return exporter


def test_it_gets_spans_as_of_the_sdk(lives: Lives, theirs: Theirs) -> None:
    exporter = started(service="shop")
    main = lives.begin("main")
    lives.live(2, "child", by=main)
    lives.end(main)
    assert exporter.export(lives.come_out(), None).sent == 2
    ((child, root),) = theirs.batches
    assert [span.name for span in (child, root)] == ["task child", "task main"]
    assert child.parent == root.context
    assert child.resource.attributes["service.name"] == "shop"
    assert child.instrumentation_scope is not None
    assert child.instrumentation_scope.name == "whence"
    assert "task child" in child.to_json()


def test_it_is_not_bothered_with_nothing(lives: Lives, theirs: Theirs) -> None:
    exporter = started(sample=0)
    lives.live(2, "main")
    taken = exporter.export(lives.come_out(), None)
    assert (taken.sent, taken.unsampled) == (0, 1)
    assert theirs.batches == []


def test_its_failure_is_a_failure(lives: Lives, theirs: Theirs) -> None:
    exporter = started()
    theirs.result = SpanExportResult.FAILURE
    lives.live(2, "main")
    with pytest.raises(ExportError, match="the exporter theirs failed; spans are dropped"):
        exporter.export(lives.come_out(), None)


def test_it_is_shut_down_at_the_end_and_not_in_a_child(theirs: Theirs) -> None:
    started().abandon()
    assert not theirs.was_shut_down
    started().stop(1)
    assert theirs.was_shut_down


def test_one_that_is_nowhere_is_one_line() -> None:
    with pytest.raises(CannotExport, match="expected an installed exporter, not 'nowhere'"):
        started("nowhere")


def test_the_sdks_own_otlp_exporter_is_one_of_them(
    lives: Lives, http_receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its real entry point."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", http_receiver.url)
    exporter = started("otlp_proto_http")
    lives.live(2, "main")
    assert exporter.export(lives.come_out(), None).sent == 1
    exporter.stop(1)
    assert http_receiver.received.names == ["task main"]
