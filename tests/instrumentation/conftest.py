"""What tests of instrumentations share."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from undisturbed import Undisturbed

from launching import Launcher

if TYPE_CHECKING:
    from application import Application
    from receivers import HttpReceiver


@pytest.fixture
def undisturbed(launch: Launcher) -> Undisturbed:
    """Compares a program with and without whence."""
    return Undisturbed(launch)


@pytest.fixture
def app(http_receiver: "HttpReceiver", monkeypatch: pytest.MonkeyPatch) -> "Iterator[Application]":
    """A program with OpenTelemetry of its own."""
    from application import Application

    made = Application(http_receiver, monkeypatch)
    yield made
    if made.provider is not None:
        made.provider.shutdown()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    command += ["-days", "2", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


@pytest.fixture
def contexts(certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server, and for a client that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    return server, ssl.create_default_context(cafile=str(certificate))
