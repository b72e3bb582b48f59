"""What tests of exporters use."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that tells neither whence nor OpenTelemetry anything."""
    for name in list(os.environ):
        if name.startswith(("WHENCE_", "OTEL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
