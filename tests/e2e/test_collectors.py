"""The same program and the same traces, by every way that OTLP can take."""

from collections.abc import Iterator

import pytest

from drawing import check_drawing
from launching import Launcher
from receivers import GrpcReceiver, HttpReceiver
from rotel_agent import RotelAgent, why_not
from rules import check_spans
from seen import SeenSpan, spans_of
from tracing import PROGRAMS

DRAWING = """
    task main
        task order  PRODUCER
            task confirm
                timer sleep
            2 x task notify  CONSUMER
                timer sleep
"""

CROWD = """
    task main
        40 x task order
            3 x task notify
                timer sleep
"""

PROTOCOLS = ("http/protobuf", "http/json", "grpc")


class Sending:
    """Runs the program with this protocol and endpoint."""

    def __init__(self, launch: Launcher) -> None:
        self._launch = launch

    def __call__(self, protocol: str, endpoint: str, program: str = "forgotten.py") -> None:
        env = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        ran = self._launch.run("-q", "--min-duration", "0", str(PROGRAMS / program), env=env)
        assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.fixture
def send(launch: Launcher) -> Sending:
    """Runs the program with a protocol and an endpoint."""
    return Sending(launch)


def check(spans: list[SeenSpan]) -> None:
    check_spans(spans)
    check_drawing(spans, DRAWING)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_receiver_gets_the_same_by_each_protocol(
    protocol: str, send: Sending, http_receiver: HttpReceiver, grpc_receiver: GrpcReceiver
) -> None:
    chosen: HttpReceiver | GrpcReceiver = grpc_receiver if protocol == "grpc" else http_receiver
    send(protocol, chosen.url)
    check(spans_of(chosen.received.requests))
    other = http_receiver if protocol == "grpc" else grpc_receiver
    assert other.received.requests == []


@pytest.mark.skipif(bool(why_not()), reason=why_not())
class TestRotel:
    """A collector of another make takes what is sent, and hands on what it has understood."""

    @pytest.fixture
    def through_http(self, launch: Launcher, http_receiver: HttpReceiver) -> Iterator[RotelAgent]:
        agent = RotelAgent(launch.folder, f"{http_receiver.url}/", "http")
        yield agent
        agent.stop()

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_a_collector_understands_each_protocol(
        self, protocol: str, send: Sending, through_http: RotelAgent, http_receiver: HttpReceiver
    ) -> None:
        send(protocol, through_http.grpc if protocol == "grpc" else through_http.http)
        through_http.stop()
        check(spans_of(http_receiver.received.requests))

    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    def test_a_collector_understands_numbers_with_more_bytes_than_they_need(
        self, protocol: str, send: Sending, through_http: RotelAgent, http_receiver: HttpReceiver
    ) -> None:
        """Its parser is of another make than protobuf's own, which the other tests use."""
        endpoint = through_http.grpc if protocol == "grpc" else through_http.http
        send(protocol, endpoint, "crowd.py")
        through_http.stop()
        spans = spans_of(http_receiver.received.requests)
        check_spans(spans)
        check_drawing(spans, CROWD)

    def test_a_collector_hands_them_on_by_grpc(
        self, send: Sending, launch: Launcher, grpc_receiver: GrpcReceiver
    ) -> None:
        agent = RotelAgent(launch.folder, grpc_receiver.url, "grpc")
        send("grpc", agent.grpc)
        agent.stop()
        check(spans_of(grpc_receiver.received.requests))
