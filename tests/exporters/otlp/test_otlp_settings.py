"""Where OTLP goes and how: which variable holds, for each signal."""

from typing import Any

import pytest

from configured import settings
from whence.exporters.otlp.settings import METRICS, TRACES, OtlpSettings, Signal

SETTINGS = [
    # Variable, field, a value and what it means, another value and what that means.
    ("PROTOCOL", "protocol", "grpc", "grpc", "http/json", "http/json"),
    ("HEADERS", "headers", "A=1,b=%20", {"a": "1", "b": ""}, "c=x%3Dy", {"c": "x=y"}),
    ("TIMEOUT", "timeout", "2.5", 2.5, "7", 7.0),
    ("COMPRESSION", "compression", "gzip", "gzip", "Deflate", "deflate"),
    ("CERTIFICATE", "ca_file", "/ca.pem", "/ca.pem", "/other.pem", "/other.pem"),
    ("CLIENT_CERTIFICATE", "client_certificate", "/c.pem", "/c.pem", "/d.pem", "/d.pem"),
    ("CLIENT_KEY", "client_key", "/c.key", "/c.key", "/d.key", "/d.key"),
    ("INSECURE", "insecure", "true", True, "false", False),
]


def found(environ: dict[str, str], signal: Signal, field: str) -> Any:
    return getattr(OtlpSettings(settings(), environ, signal), field)


@pytest.mark.parametrize("signal", [TRACES, METRICS], ids=lambda signal: signal.word)
@pytest.mark.parametrize(
    ("name", "field", "value", "means", "other", "other_means"),
    SETTINGS,
    ids=[name for name, *_ in SETTINGS],
)
def test_a_signals_own_variable_stands_before_the_one_of_all(
    signal: Signal, name: str, field: str, value: str, means: Any, other: str, other_means: Any
) -> None:
    of_all, own = f"OTEL_EXPORTER_OTLP_{name}", signal.variable_of(name)
    of_another = (METRICS if signal is TRACES else TRACES).variable_of(name)
    unset = found({}, signal, field)
    assert found({of_all: value}, signal, field) == means
    assert found({own: value}, signal, field) == means
    assert found({own: other, of_all: value}, signal, field) == other_means
    assert found({own: " ", of_all: value}, signal, field) == means, "empty is unset"
    assert found({of_another: value}, signal, field) == unset


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("TIMEOUT", "soon", "expected seconds above 0, not 'soon'; 10 is used"),
        ("TIMEOUT", "0", "expected seconds above 0, not '0'; 10 is used"),
        ("TIMEOUT", "-1", "expected seconds above 0, not '-1'; 10 is used"),
        ("TIMEOUT", "nan", "expected seconds above 0, not 'nan'; 10 is used"),
        ("TIMEOUT", "inf", "expected seconds above 0, not 'inf'; 10 is used"),
        ("COMPRESSION", "zip", "expected one of gzip, deflate, none, not 'zip'; none is used"),
        ("HEADERS", "secret", "expected key=value,...; an item has no ="),
        ("INSECURE", "maybe", "expected one of true, false, not 'maybe'; false is used"),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_nonsense_is_one_line_that_names_the_variable(
    name: str, value: str, line: str, own: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    variable = TRACES.variable_of(name) if own else f"OTEL_EXPORTER_OTLP_{name}"
    OtlpSettings(settings(), {variable: value}, TRACES)
    assert capfd.readouterr().err == f"whence: {variable}: {line}\n"
