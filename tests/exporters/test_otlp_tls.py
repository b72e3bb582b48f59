"""OTLP over TLS, with certificates as the variables say."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from configured import settings
from lives import Lives
from receivers import GrpcReceiver, HttpReceiver
from whence.exporters.otlp import OtlpExporter
from whence.exporting import ExportError

Receiver = HttpReceiver | GrpcReceiver


class Certificate:
    """A self-signed certificate and its key."""

    def __init__(self, folder: Path, name: str) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl is needed to make a certificate")
        self.key = folder / f"{name}.key"
        self.file = folder / f"{name}.pem"
        command = [openssl, "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"]
        command += ["-addext", f"subjectAltName=DNS:{name}"]
        command += ["-keyout", str(self.key), "-out", str(self.file)]
        subprocess.run(command, check=True, capture_output=True)


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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.file, server.key)
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
