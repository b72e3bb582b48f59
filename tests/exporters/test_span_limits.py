"""OpenTelemetry's limits, as its variables say."""

import pytest

from whence.exporters.limits import limits_of_environment


def test_what_the_variables_say_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7")
    assert limits_of_environment().max_span_attributes == 7


@pytest.mark.parametrize("wrong", ["-3", "many"])
def test_one_that_cannot_be_read_is_told_and_the_defaults_hold(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    default = limits_of_environment()
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", wrong)
    limits = limits_of_environment()
    assert repr(limits) == repr(default)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("whence: OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT must be")
    assert wrong in line
    assert line.endswith("; OpenTelemetry's default limits hold")
