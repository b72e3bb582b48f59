"""What tests of exporters use."""

import os
from collections.abc import Iterator

import pytest

from receivers import GrpcReceiver, HttpReceiver


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that tells neither whence nor OpenTelemetry anything."""
    for name in list(os.environ):
        if name.startswith(("WHENCE_", "OTEL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def http_receiver() -> Iterator[HttpReceiver]:
    """An OTLP/HTTP receiver."""
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def grpc_receiver() -> Iterator[GrpcReceiver]:
    """An OTLP/gRPC receiver."""
    receiver = GrpcReceiver()
    yield receiver
    receiver.close()
