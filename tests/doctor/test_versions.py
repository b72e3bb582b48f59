"""Ranges of versions."""

import pytest

from whence.doctor.versions import LIBRARIES, is_tested, range_of, read_version


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.23.0", (0, 23, 0)),
        ("0.23.0rc1", (0, 23, 0)),
        ("1.2.dev3", (1, 2)),
        ("2024.1+local", (2024, 1)),
        ("unknown", ()),
        ("", ()),
    ],
)
def test_the_numbers_at_the_beginning_are_read(text: str, numbers: tuple[int, ...]) -> None:
    assert read_version(text) == numbers


@pytest.mark.parametrize(
    ("version", "tested"),
    [
        ("0.21.9", False),
        ("0.22", True),
        ("0.22.0", True),
        ("0.23.99", True),
        ("0.24.0rc1", False),
        ("1.0", False),
        ("unknown", False),
        (None, None),
    ],
)
def test_a_version_is_inside_or_outside_of_the_range(
    version: str | None, tested: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIBRARIES, "uvloop", ((0, 22), (0, 24)))
    assert is_tested("uvloop", version) is tested
    assert range_of("uvloop") == ">=0.22,<0.24"


def test_a_library_without_a_range_is_neither() -> None:
    assert is_tested("threading", "1.0") is None
    assert range_of("threading") == ""
