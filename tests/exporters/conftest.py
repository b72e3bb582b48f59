"""What tests of exporters use."""

import os
from typing import Any

import pytest
from exporting_spans import Receiver

from configured import settings
from whence.exporters.otlp.exporter import OtlpExporter


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that tells neither whence nor OpenTelemetry anything."""
    for name in list(os.environ):
        if name.startswith(("WHENCE_", "OTEL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(params=["http/protobuf", "grpc"])
def receiver(request: pytest.FixtureRequest) -> Receiver:
    """A receiver of each kind."""
    name = "grpc_receiver" if request.param == "grpc" else "http_receiver"
    found: Receiver = request.getfixturevalue(name)
    return found


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts exporters and stops them after the test."""
    running: list[OtlpExporter] = []

    def start(**config: Any) -> OtlpExporter:
        exporter = OtlpExporter()
        exporter.start(settings(**config))
        running.append(exporter)
        return exporter

    yield start
    for exporter in running:
        exporter.stop(1)
