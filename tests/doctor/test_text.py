"""How the rows of a report are laid out."""

from typing import Any

import pytest

from whence.doctor.text import WIDTH, render


def report(**parts: Any) -> dict[str, Any]:
    empty = {
        "whence": "1.0",
        "command": ["python"],
        "interpreter": None,
        "attaching": None,
        "sitecustomizes": [],
        "settings": [],
        "engine": None,
        "loops": [],
        "instrumentations": [],
        "exporters": [],
        "metrics": [],
        "findings": [],
    }
    return empty | parts


def setting(name: str, value: str, origin: str) -> dict[str, Any]:
    return {"name": name, "value": value, "origin": origin, "is_default": False}


def finding(level: str, what: str) -> dict[str, str]:
    return {"level": level, "what": what, "follows": "", "remedy": ""}


def test_a_report_without_anything_is_two_lines() -> None:
    assert render(report(), colour=False, places=False) == "whence 1.0, python\n\nall is well\n"


def test_columns_are_aligned_and_the_last_one_is_not_padded() -> None:
    rows = [setting("slow", "5", "--slow"), setting("service", "a shop", "WHENCE_SERVICE")]
    assert render(report(settings=rows), colour=False, places=False).splitlines()[2:5] == [
        "settings other than the defaults",
        "  slow     5       --slow",
        "  service  a shop  WHENCE_SERVICE",
    ]


@pytest.mark.parametrize("word", ["short", "w" * 60, "w" * 300])
def test_no_line_is_longer_than_the_width_however_long_the_words_are(word: str) -> None:
    found = [finding("warning", " ".join([word] * 20)), finding("note", word)]
    text = render(report(findings=found), colour=False, places=False)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert word in "".join(text.split())
    assert text.splitlines()[2] == "1 warning, 1 note"


def test_columns_in_the_middle_are_wrapped_as_well() -> None:
    rows = [setting("output", "/very/long" * 20, "output in [tool.whence] of " + "/a/path" * 20)]
    rows.append(setting("slow", "5", "--slow"))
    lines = render(report(settings=rows), colour=False, places=False).splitlines()[3:-2]
    assert max(map(len, lines)) <= WIDTH
    columns = [line[10:].partition("  ")[0] for line in lines[:-1]]
    assert "".join(columns).strip() == "/very/long" * 20
    assert lines[-1].split() == ["slow", "5", "--slow"]


def test_what_is_wrapped_stays_in_its_column() -> None:
    found = [finding("error", "many words " * 20)]
    first, *more = render(report(findings=found), colour=False, places=False).splitlines()[3:]
    assert first.startswith("  error  many words")
    assert more
    assert all(line.startswith(" " * 9) and line[9] != " " for line in more)


def test_states_are_painted_and_nothing_else() -> None:
    found = [finding("error", "in words"), finding("note", "a warning")]
    text = render(report(findings=found), colour=True, places=False)
    assert text.splitlines()[3:] == [
        "  \033[31merror\033[0m  in words",
        "  note   a warning",
    ]
