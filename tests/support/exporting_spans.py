"""What tests of the OTLP exporter do again and again."""

from collections.abc import Callable

import pytest

from lives import Lives
from receivers import GrpcReceiver, HttpReceiver
from whence.engine import SpanLifetime
from whence.sending.exporting import ExportError

Receiver = HttpReceiver | GrpcReceiver


def protocol_of(receiver: Receiver) -> str:
    """The setting for a receiver."""
    return "grpc" if isinstance(receiver, GrpcReceiver) else "http/protobuf"


def batch_of(lives: Lives, number: int = 1, name: str = "main") -> list[SpanLifetime]:
    """So many spans that have come out."""
    for _ in range(number):
        lives.live(2, name)
    return lives.come_out()


def failure(export: Callable[[], object]) -> str:
    """What the user reads when this fails."""
    with pytest.raises(ExportError) as caught:
        export()
    return str(caught.value)
