"""OTLP over TLS, with certificates as the variables say."""

import ssl
from collections.abc import Iterator

import grpc
import pytest
from certificates import Certificate

from configured import settings
from lives import Lives
from receivers import GrpcReceiver, HttpReceiver
from whence.exporters.otlp.exporter import OtlpExporter
from whence.sending.exporting import ExportError

Receiver = HttpReceiver | GrpcReceiver


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("server"), "localhost")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("client"), "whence")


@pytest.fixture(params=["http/protobuf", "grpc"])
def receiver(
    request: pytest.FixtureRequest, server: Certificate, client: Certificate
) -> Iterator[Receiver]:
    """A receiver that wants a certificate of its clients."""
    made: Receiver
    if request.param == "grpc":
        credentials = grpc.ssl_server_credentials(
            [(server.key.read_bytes(), server.file.read_bytes())],
            root_certificates=client.file.read_bytes(),
            require_client_auth=True,
        )
        made = GrpcReceiver(tls=credentials)
    else:
        context = server.server_context()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client.file)
        made = HttpReceiver(tls=context)
    yield made
    made.close()


def send(lives: Lives, receiver: Receiver) -> int:
    """One span, to the receiver by its name; gives how many were sent."""
    exporter = OtlpExporter()
    protocol = "grpc" if isinstance(receiver, GrpcReceiver) else "http/protobuf"
    exporter.start(settings(endpoint=f"https://localhost:{receiver.port}", protocol=protocol))
    lives.live(2, "main")
    try:
        return exporter.export(lives.come_out(), 10).sent
    finally:
        exporter.stop(1)


def test_both_sides_show_their_certificates(
    lives: Lives,
    receiver: Receiver,
    server: Certificate,
    client: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(server.file))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(client.file))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(client.key))
    assert send(lives, receiver) == 1
    assert receiver.received.names == ["task main"]


def test_a_receiver_that_nobody_vouches_for_gets_nothing(
    lives: Lives, receiver: Receiver, client: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(client.file))
    with pytest.raises(ExportError, match=r"no OTLP receiver at https://localhost:\d+ \("):
        send(lives, receiver)
    assert receiver.received.names == []


def test_a_receiver_that_wants_a_certificate_gets_nothing_without(
    lives: Lives, receiver: Receiver, server: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(server.file))
    with pytest.raises(ExportError, match=r"no OTLP receiver at https://localhost:\d+ \("):
        send(lives, receiver)
    assert receiver.received.names == []
