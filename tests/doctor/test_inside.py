"""What an attached process says of itself, and how that is judged."""

import pytest

from whence.doctor.checks_inside import check_inside
from whence.doctor.findings import NOTE, WARNING
from whence.doctor.inside import _engine
from whence.engine import handles


def test_a_slower_way_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "_FIELDS_KNOWN", False)
    (found,) = check_inside(engine_only(_engine()), [])
    assert found.level == NOTE
    assert found.text == (
        "handles are made by asyncio's constructor; asyncio's Handle has other fields in this "
        "Python than those that are known; this is slower, and right"
    )


IN_PYTHON: dict[str, object] = {"name": "python", "why_not_c": "", "slower": {}}


def engine_only(engine: dict[str, object]) -> dict[str, object]:
    lists = ("loops", "instrumentations", "exporters", "metrics")
    return {"engine": engine, **{name: [] for name in lists}}


def test_the_agents_own_lines_are_warnings_and_others_lines_are_nobodys() -> None:
    said = ["whence: something is odd", "DeprecationWarning: of the program", "whence: x; y"]
    found = list(check_inside(engine_only(IN_PYTHON), said))
    assert [(one.level, one.text) for one in found] == [
        (WARNING, "something is odd"),
        (WARNING, "x; y"),
    ]


def test_an_engine_in_c_that_does_not_run_is_told_once_with_the_reason() -> None:
    said = ["whence: WHENCE_ENGINE: the engine in C does not run (x); the one in Python does"]
    (found,) = check_inside(engine_only(IN_PYTHON | {"why_not_c": "it is for Python 2"}), said)
    assert found.level == WARNING
    assert found.text.startswith("the engine in C does not run; it is for Python 2; ")
