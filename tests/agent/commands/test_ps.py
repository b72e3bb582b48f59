"""`whence ps`: what a user sees of processes and of what one has open."""

import re
import sys
from typing import Any

import pytest

from asked import PROGRAM, Asked
from whence.commands.showing import Column, duration, file_name, place, printable, table

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")


def rows_of(out: str) -> list[list[str]]:
    return [re.split(r"  +", line.strip()) for line in out.splitlines()]


def test_the_list_has_every_process(asked: Asked) -> None:
    pids = {asked.start(PROGRAM, "--service", name).pid: name for name in ("first", "second")}
    listed = asked.whence("ps")
    titles, *rows = rows_of(listed.out)
    assert titles == ["PID", "SERVICE", "COMMAND", "AGE", "BUSY", "TASKS", "RESOURCES", "LOOP"]
    shown = {int(row[0]): row for row in rows}
    for pid, name in pids.items():
        assert shown[pid][1:3] == [name, "app"]
        assert shown[pid][5] == "6"
        assert shown[pid][7] == "waiting"
    told = {about["pid"]: about for about in asked.json("ps")["processes"]}
    assert told[next(iter(pids))]["service"] == "first"


def test_what_a_process_has_open_is_a_table(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    listed = asked.whence("ps", child.pid)
    titles, *rows, summary = rows_of(listed.out)
    assert titles == ["ID", "TYPE", "NAME", "STATE", "AGE", "RUN", "WAIT", "MADE AT", "NOW"]
    consumers = [row for row in rows if row[2] == "task consume"]
    assert [(row[1], row[3], row[-2], row[-1]) for row in consumers] == [
        ("Task", "waiting", "app.py:14", "app.py:6 Queue.get")
    ] * 3
    assert [row[1] for row in rows if row[1] in ("Handle", "Future")] == []
    assert re.fullmatch(r"\d+ resources, \d+ futures", ", ".join(summary))


def listed(asked: Asked, pid: int, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked.json("ps", pid, *words)["resources"]
    return found


def test_filters_are_by_type_name_and_state(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    assert {one["type"] for one in listed(asked, child.pid, "-t", "server,fut*")} == {
        "Server",
        "Future",
    }
    assert len(listed(asked, child.pid, "-n", "task consume")) == 3
    assert len(listed(asked, child.pid, "-n", "consumer-1")) == 1
    assert len(listed(asked, child.pid, "-n", "task *", "-s", "waiting")) == 6
    assert listed(asked, child.pid, "-n", "task *", "-s", "running") == []
    everything = {one["type"] for one in listed(asked, child.pid, "--all")}
    assert "Future" in everything


def test_it_sorts_and_cuts(asked: Asked) -> None:
    child = asked.start(PROGRAM)
    ids = [one["async_id"] for one in listed(asked, child.pid)]
    assert ids == sorted(ids)
    ages = [one["age"] for one in listed(asked, child.pid, "--sort", "age")]
    assert ages == sorted(ages, reverse=True)
    names = [one["name"] for one in listed(asked, child.pid, "--sort", "name")]
    assert names == sorted(names)
    assert [one["async_id"] for one in listed(asked, child.pid, "--limit", "2")] == ids[:2]
    cut = asked.whence("ps", child.pid, "--limit", "2")
    assert f"{len(ids) - 2} more match (--limit)" in cut.out


def test_a_name_from_another_process_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\nc\u202e") == "a\ufffd[2Jb\ufffdc\ufffd"
    (_, line) = table([Column("NAME")], [["\x1b]0;title\x07"]], None)
    assert "\x1b" not in line
    assert "\x07" not in line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0.0ms"),
        (0.00042, "0.4ms"),
        (0.0123, "12ms"),
        (0.9996, "1.0s"),
        (1.26, "1.3s"),
        (9.99, "10s"),
        (59.6, "1m00s"),
        (125, "2m05s"),
        (12000, "3h20m"),
        (352800, "4d02h"),
        (-0.3, "-300ms"),
    ],
)
def test_times_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_files_are_named_as_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_name(str(tmp_path / "shop" / "app.py")) == "shop/app.py"
    assert file_name("/venv/lib/python3.12/site-packages/aiohttp/web.py") == "aiohttp/web.py"
    assert file_name("/usr/lib/python3.12/asyncio/locks.py") == "asyncio/locks.py"
    assert file_name("/elsewhere/app.py") == "app.py"
    assert place(None) == "-"


def test_a_table_fits_the_room() -> None:
    columns = [Column("ID", is_number=True), Column("NAME"), Column("NOW")]
    rows = [["7", "short", "x" * 300], ["1234", "y" * 80, "z"]]
    for room in (60, 80, 100):
        lines = table(columns, rows, room)
        assert max(map(len, lines)) <= room
    wide = table(columns, rows, None)
    assert wide[1].startswith("   7  short")
    assert wide[1].endswith("x" * 300)


CROWD = """
    import asyncio

    async def wait(event):
        await event.wait()

    async def main():
        event = asyncio.Event()
        kept = [asyncio.create_task(wait(event), name=f"w-{n}") for n in range(3000)]
        await asyncio.sleep(0)
        kept += [asyncio.create_task(asyncio.sleep(600), name="last") for n in range(2)]
        await asyncio.sleep(0)
        print("ready", flush=True)
        await event.wait()

    asyncio.run(main())
"""


def test_what_is_wanted_is_found_among_many_and_the_rest_is_counted(asked: Asked) -> None:
    child = asked.start(CROWD)
    newest = listed(asked, child.pid, "-t", "Task", "--sort", "age", "--limit", "4000")
    assert [one["task_name"] for one in newest[-2:]] == ["last", "last"]
    assert len(listed(asked, child.pid, "-n", "last")) == 2
    assert len(listed(asked, child.pid, "-t", "timer*", "--limit", "1")) == 1
    cut = asked.whence("ps", child.pid, "-n", "w-*", "--limit", "10")
    assert "2 990 more match (--limit)" in cut.out
