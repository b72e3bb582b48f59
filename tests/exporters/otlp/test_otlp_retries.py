"""What a receiver may take later waits for it, for as long as it says."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import grpc
import pytest
from exporting_spans import Receiver, batch_of, failure, protocol_of
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from lives import Lives
from receivers import GrpcReceiver, HttpReceiver, free_port
from whence.exporters.otlp import exporter as otlp
from whence.exporters.otlp import waiting as otlp_waiting
from whence.sending.exporting import ExportError, Taken


def exhausted(seconds: float) -> bytes:
    """The details of an error that is over in so many seconds."""
    delay = Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    status = Status(code=8)
    status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status.SerializeToString()


def fail_at_first(receiver: Receiver) -> Callable[[], None]:
    """Have a receiver refuse for a while; gives what ends that."""
    if isinstance(receiver, GrpcReceiver):
        receiver.code = grpc.StatusCode.UNAVAILABLE
        return partial(setattr, receiver, "code", None)
    receiver.status = 503
    return partial(setattr, receiver, "status", 200)


def test_a_receiver_that_comes_back_gets_what_waited_first(
    lives: Lives, receiver: Receiver, started: Any
) -> None:
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    come_back = fail_at_first(receiver)
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives, 2, "first"), None)
    assert (caught.value.taken.sent, caught.value.taken.waiting) == (0, 2)
    assert exporter.keep(batch_of(lives, 1, "kept")).waiting == 3
    come_back()
    taken = exporter.export(batch_of(lives, 1, "next"), None)
    assert (taken.sent, taken.waiting) == (4, 0)
    assert receiver.received.names == ["task first", "task first", "task kept", "task next"]


def test_what_waited_goes_also_without_anything_new(
    lives: Lives, receiver: Receiver, started: Any
) -> None:
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    come_back = fail_at_first(receiver)
    failure(lambda: exporter.export(batch_of(lives), None))
    come_back()
    assert exporter.export([], None).sent == 1
    assert receiver.received.names == ["task main"]


def test_many_small_batches_that_waited_go_in_few_requests(
    lives: Lives, receiver: Receiver, started: Any
) -> None:
    exporter = started(endpoint=receiver.url, protocol=protocol_of(receiver))
    for number in range(50):
        exporter.keep(batch_of(lives, 1, f"nr {number}"))
    assert exporter.export([], None).sent == 50
    assert receiver.received.names == [f"task nr {number}" for number in range(50)]
    assert len(receiver.received.requests) == 1


def test_many_that_waited_go_in_requests_of_their_usual_size(
    lives: Lives, http_receiver: HttpReceiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "MOST_BYTES", 4000)
    exporter = started(endpoint=http_receiver.url)
    exporter.keep(batch_of(lives, 100))
    assert exporter.export([], None).sent == 100
    assert len(http_receiver.received.spans) == 100
    assert len(http_receiver.received.requests) > 8


def test_what_waits_is_bounded_and_the_oldest_go(
    lives: Lives, http_receiver: HttpReceiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = started(endpoint=http_receiver.url)
    (size,) = [len(parcel.content) for parcel in exporter._parcels(batch_of(lives), Taken(0))]
    monkeypatch.setattr(otlp_waiting, "MOST_WAITING", size * 5 + size // 2)
    waiting = [exporter.keep(batch_of(lives, 1, f"{number:04}")).waiting for number in range(20)]
    assert waiting == [1, 2, 3, 4, *[5] * 16]
    assert exporter.export([], None).sent == 5
    assert http_receiver.received.names == [f"task {number:04}" for number in range(15, 20)]


def test_in_json_what_waited_goes_as_it_was(
    lives: Lives, http_receiver: HttpReceiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    exporter = started(endpoint=http_receiver.url)
    for name in ("a", "b"):
        exporter.keep(batch_of(lives, 2, name))
    assert exporter.export([], None).sent == 4
    assert http_receiver.received.names == ["task a", "task a", "task b", "task b"]


@pytest.mark.parametrize(
    ("status", "waits"),
    [(400, 0), (401, 0), (404, 0), (413, 0), (500, 0), (429, 1), (502, 1), (503, 1), (504, 1)],
)
def test_what_may_be_tried_again_over_http_waits(
    lives: Lives, http_receiver: HttpReceiver, started: Any, status: int, waits: int
) -> None:
    http_receiver.status = status
    exporter = started(endpoint=http_receiver.url)
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.taken.waiting == waits
    http_receiver.status = 200
    assert exporter.export([], None).sent == waits


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        ("CANCELLED", 1),
        ("DEADLINE_EXCEEDED", 1),
        ("ABORTED", 1),
        ("OUT_OF_RANGE", 1),
        ("UNAVAILABLE", 1),
        ("DATA_LOSS", 1),
        ("RESOURCE_EXHAUSTED", 0),
        ("INVALID_ARGUMENT", 0),
        ("UNIMPLEMENTED", 0),
        ("INTERNAL", 0),
        ("UNAUTHENTICATED", 0),
    ],
)
def test_what_may_be_tried_again_over_grpc_waits(
    lives: Lives, grpc_receiver: GrpcReceiver, started: Any, code: str, waits: int
) -> None:
    grpc_receiver.code = grpc.StatusCode[code]
    exporter = started(endpoint=grpc_receiver.url, protocol="grpc")
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.taken.waiting == waits


@pytest.mark.parametrize(
    ("when", "least", "most"),
    [("7", 7, 7), (timedelta(hours=1), 3000, 3600), (timedelta(hours=-1), 0, 0)],
    ids=["in seconds", "at a time", "at a time that is over"],
)
def test_the_receiver_may_say_when_to_come_again(
    lives: Lives,
    http_receiver: HttpReceiver,
    started: Any,
    when: str | timedelta,
    least: int,
    most: int,
) -> None:
    header = when if isinstance(when, str) else format_datetime(datetime.now(UTC) + when, True)
    http_receiver.status, http_receiver.more_headers = 429, {"Retry-After": header}
    exporter = started(endpoint=http_receiver.url)
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most


@pytest.mark.parametrize("header", ["soon", "-1", "1e400", "", "Wed, 99 Foo 2026"])
def test_nonsense_about_when_to_come_again_is_nothing(
    lives: Lives, http_receiver: HttpReceiver, started: Any, header: str
) -> None:
    http_receiver.status, http_receiver.more_headers = 429, {"Retry-After": header}
    exporter = started(endpoint=http_receiver.url)
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("details", "after"),
    [(b"\xff\xff", None), (Status(code=8).SerializeToString(), None), (exhausted(4.5), 4.5)],
)
def test_a_grpc_receiver_that_is_exhausted_may_say_until_when(
    lives: Lives, grpc_receiver: GrpcReceiver, started: Any, details: bytes, after: float | None
) -> None:
    grpc_receiver.code = grpc.StatusCode.RESOURCE_EXHAUSTED
    grpc_receiver.trailers = (("grpc-status-details-bin", details),)
    exporter = started(endpoint=grpc_receiver.url, protocol="grpc")
    with pytest.raises(ExportError) as caught:
        exporter.export(batch_of(lives), None)
    assert caught.value.retry_after == after
    assert caught.value.taken.waiting == (0 if after is None else 1)


def test_a_grpc_receiver_that_starts_later_is_found_at_once(lives: Lives, started: Any) -> None:
    """A channel that failed would by itself wait longer and longer before it tries again."""
    port = free_port()
    exporter = started(endpoint=f"http://127.0.0.1:{port}", protocol="grpc")
    for _ in range(8):
        failure(lambda: exporter.export(batch_of(lives), None))
    receiver = GrpcReceiver(port)
    try:
        assert exporter.export(batch_of(lives), None).sent == 9
    finally:
        receiver.close()
