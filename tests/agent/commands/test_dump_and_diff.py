"""`whence dump` and `whence diff`: what was open, and what has changed."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from asked import PROGRAM, Asked
from whence.cli import main
from whence.commands.diff import compare

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")


def group(name: str, count: int, line: int = 1, oldest: float = 1.0) -> dict[str, Any]:
    site = {"file": "app.py", "line": line, "function": "main"}
    return {"type": "Task", "name": name, "site": site, "count": count, "oldest": oldest}


def test_what_was_added_grown_shrunk_and_gone_is_told() -> None:
    before = [group("a", 3), group("b", 5), group("c", 2), group("d", 1)]
    after = [group("b", 9), group("c", 1), group("d", 1), group("e", 6, oldest=7.0)]
    told = [(row.change, row.name, row.before, row.after) for row in compare(before, after)]
    assert told == [
        ("added", "e", 0, 6),
        ("grown", "b", 5, 9),
        ("shrunk", "c", 2, 1),
        ("gone", "a", 3, 0),
    ]
    assert compare(before, after)[0].oldest == 7.0
    assert compare(before, before) == []


def test_places_are_told_apart_by_line() -> None:
    rows = compare([group("a", 3, line=1)], [group("a", 3, line=2)])
    assert [row.change for row in rows] == ["added", "gone"]


def test_two_expressions_of_one_line_are_one_place() -> None:
    assert compare([group("a", 3)], [group("a", 1), group("a", 2)]) == []


def test_a_dump_is_written_whole_and_for_this_user_alone(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    ran = asked.whence("dump", child.pid, "-o", "a.json")
    assert ran.code == 0, ran.err
    path = asked.launch.folder / "a.json"
    dump = json.loads(path.read_text())
    assert ran.err == f"{len(dump['resources'])} resources of pid {child.pid} in a.json\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert dump["whence_dump"] == 1
    assert dump["process"]["pid"] == child.pid
    assert sum(one["count"] for one in dump["by_site"]) == len(dump["resources"])
    names = {one["name"] for one in dump["resources"]}
    assert {"task main", "task consume", "task hold", "server"} <= names
    assert [name for name in os.listdir(asked.launch.folder) if "part" in name] == []


def test_without_a_file_it_is_printed(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    dump = asked.whence("dump", child.pid, "--limit", "1").json
    assert len(dump["resources"]) == 1
    assert dump["left_out"] > 0
    assert sum(one["count"] for one in dump["by_site"]) > 1


def test_growth_is_found_between_a_dump_and_the_process_now(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    assert asked.whence("dump", child.pid, "-o", "a.json").code == 0
    same = asked.whence("diff", "a.json", child.pid, "--fail-on", "growth")
    assert (same.code, same.out) == (0, "nothing was added, gone, grown or shrunk\n")
    assert asked.tell(child, "grow") == "grown"
    grown = asked.whence("diff", "a.json", child.pid)
    assert grown.code == 0
    (titles, line, summary) = grown.out.splitlines()
    assert titles.split() == ["CHANGE", "A", "B", "+/-", "OLDEST", "NAME", "MADE", "AT"]
    assert line.split()[:4] == ["added", "0", "7", "+7"]
    assert line.endswith("task consume  app.py:24")
    assert summary == "1 place added"
    assert asked.whence("diff", "a.json", child.pid, "--fail-on", "growth").code == 1
    assert asked.whence("diff", "a.json", child.pid, "--fail-on", "growth", "--min", "8").code == 0
    assert asked.whence("diff", child.pid, "a.json", "--fail-on", "growth").code == 0
    (row,) = asked.json("diff", child.pid, "a.json")
    assert (row["change"], row["before"], row["after"]) == ("gone", 7, 0)


def test_dumps_of_different_services_are_compared_with_a_word(asked: Asked) -> None:
    for name in ("one", "two"):
        child = asked.start(PROGRAM, "--service", name)
        assert asked.whence("dump", child.pid, "-o", f"{name}.json").code == 0
    ran = asked.whence("diff", "one.json", "two.json")
    assert ran.err == "whence diff: these are different services: one and two\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "expected a file of `whence dump`, or a pid, not 'x.json'"),
        ("", "x.json: expected a dump of `whence dump`, this is no JSON"),
        ("\0\0", "x.json: expected a dump of `whence dump`, this is no JSON"),
        ("[" * 100_000, "x.json: expected a dump of `whence dump`, this is no JSON"),
        ("[]", "x.json: expected a dump of `whence dump`, this is other JSON"),
        ('{"a": 1}', "x.json: expected a dump of `whence dump`, this is other JSON"),
        (
            '{"whence_dump": 7}',
            "x.json: expected a dump of version 1, this is of version 7; "
            "read it with the whence that wrote it",
        ),
        ('{"whence_dump": 1}', "x.json: expected a whole dump, parts of this one are missing"),
    ],
)
def test_what_is_no_dump_is_one_line(
    text: str | None,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "x.json").write_text(text)
    assert main(["diff", "x.json", "x.json"]) == 1
    assert capsys.readouterr() == ("", f"whence diff: {complaint}\n")


def test_a_dump_that_cannot_be_written_is_one_line(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    ran = asked.whence("dump", child.pid, "-o", "nowhere/a.json")
    assert ran.code == 1
    assert ran.err == ("whence dump: nowhere/a.json cannot be written: No such file or directory\n")
