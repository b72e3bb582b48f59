"""What the tests of whole programs use: receivers, and programs that send their spans to one."""

from collections.abc import Iterator

import pytest
from tracing import Tracing

from launching import Launcher
from receivers import GrpcReceiver, HttpReceiver


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """An OTLP receiver over HTTP."""
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def grpc_receiver() -> Iterator[GrpcReceiver]:
    """An OTLP receiver over gRPC."""
    receiver = GrpcReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def traced(launch: Launcher, receiver: HttpReceiver) -> Tracing:
    """Runs programs under `whence run`, and gives the spans that they sent."""
    return Tracing(launch, receiver)
