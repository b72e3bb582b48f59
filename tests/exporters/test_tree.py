"""Trees of text, compared line by line with what a person should see."""

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from whence.exporters.tree import Row, render, rows_of_request, trees_of

MS = 1_000_000
_ids = count(1)


def row(
    name: str,
    parent: Row | None = None,
    *,
    start: float = 0,
    total: float = 0,
    run: float = 0,
    ready: float = 0,
    wait: float = 0,
    where: str = "",
    outcome: str = "done",
    error: str = "",
    trace: str = "t",
    more: Mapping[str, Any] = {},
    blocks: tuple[Mapping[str, Any], ...] = (),
) -> Row:
    """A span; times in milliseconds."""
    attributes = {**more, "whence.outcome": outcome, "whence.run_time": run / 1e3}
    attributes |= {"whence.ready_time": ready / 1e3, "whence.wait_time": wait / 1e3}
    if where:
        path, _, line = where.rpartition(":")
        attributes |= {"code.file.path": path, "code.line.number": int(line)}
    begin = int(start * MS)
    end = begin + int((total or run + ready + wait) * MS)
    parent_id = "" if parent is None else parent.span_id
    own_id = f"s{next(_ids)}"
    return Row(trace, own_id, parent_id, name, begin, end, attributes, error, blocks)


def looks_like(rows: list[Row], text: str, columns: int = 100) -> None:
    expected = dedent(text).strip("\n")
    heads, *lines = render(rows, columns=columns).splitlines()
    assert heads.split() == ["total", "run", "ready", "wait"]
    assert "\n".join(lines) == expected


def test_a_trace_is_a_tree_in_the_order_of_time() -> None:
    request = row("GET /items/{id}", run=1.2, ready=0.3, wait=10.9)
    task = row("task price", request, start=2, run=0.4, wait=7.7)
    sleep = row("timer sleep", task, start=3, wait=5)
    query = row("executor query", request, start=1, run=0.8, ready=1)
    looks_like(
        [sleep, task, query, request],
        """
        GET /items/{id}    12.4 ms   1.2 ms   0.3 ms  10.9 ms
        ├─ executor query   1.8 ms   0.8 ms   1.0 ms        -
        └─ task price       8.1 ms   0.4 ms        -   7.7 ms
           └─ timer sleep   5.0 ms        -        -   5.0 ms
        """,
    )


def test_the_heads_stand_over_their_columns() -> None:
    heads, line = render([row("task", run=1, ready=2, wait=3)]).splitlines()
    assert heads == "        total      run    ready     wait"
    assert line == "task   6.0 ms   1.0 ms   2.0 ms   3.0 ms"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (123_456, "123 s"),
        (99_990, "99.99 s"),
        (1_000, "1.00 s"),
        (999.9, "999.9 ms"),
        (1, "1.0 ms"),
        (0.999, "999 µs"),
        (0.007, "7 µs"),
        (0, "-"),
    ],
)
def test_a_duration_is_short(milliseconds: float, text: str) -> None:
    (_, line) = render([row("x", total=milliseconds)]).splitlines()
    assert line == f"x {text:>8}        -        -        -"


def test_the_parts_of_a_row_have_the_unit_of_the_whole() -> None:
    looks_like(
        [row("a", total=20, run=0.06, ready=0.04, wait=19.9), row("b", run=0.06, ready=0.04)],
        """
        a  20.0 ms   0.1 ms        -  19.9 ms
        b   100 µs    60 µs    40 µs        -
        """,
    )


def test_a_site_below_the_current_folder_is_as_the_user_would_type_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = os.path.join(tmp_path, "shop", "app.py")
    theirs = os.path.join(os.sep, "usr", "lib", "python3", "asyncio", "server.py")
    looks_like(
        [row("a", run=1, where=f"{mine}:41"), row("b", run=1, where=f"{theirs}:7")],
        f"""
        a   1.0 ms   1.0 ms        -        -  {os.path.join("shop", "app.py")}:41
        b   1.0 ms   1.0 ms        -        -  {os.path.join("asyncio", "server.py")}:7
        """,
    )


@pytest.mark.parametrize("library", ["/usr/lib/python3", ".venv/lib/python3"])
def test_a_site_in_a_package_is_as_the_package_is_imported(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = os.path.join("websockets", "asyncio", "client.py")
    file = os.path.join(tmp_path, library, "site-packages", module)
    looks_like(
        [row("connect", run=1, where=f"{file}:445")],
        f"connect   1.0 ms   1.0 ms        -        -  {module}:445",
    )


def test_what_became_of_it_stands_beside_it_or_below_if_there_is_no_room() -> None:
    checkout = row("POST /checkout", total=20, run=1, wait=19, where="app.py:9", error="502: Bad")
    charge = row("task charge", checkout, start=1, wait=16, error="BankError: " + "no answer " * 9)
    sleep = row("timer sleep", charge, start=2, wait=15)
    reserve = row("task reserve", checkout, start=3, wait=2, outcome="cancelled")
    looks_like(
        [checkout, charge, sleep, reserve],
        """
        POST /checkout     20.0 ms   1.0 ms        -  19.0 ms  app.py:9  failed 502: Bad
        ├─ task charge     16.0 ms        -        -  16.0 ms
        │  │  failed BankError: no answer no answer no answer no answer no answer no an…
        │  └─ timer sleep  15.0 ms        -        -  15.0 ms
        └─ task reserve     2.0 ms        -        -   2.0 ms  cancelled
        """,
        columns=80,
    )


def test_children_that_are_alike_are_counted_but_the_slowest() -> None:
    worker = row("task work", total=100, run=1, wait=99)
    sleeps = [row("timer sleep", worker, start=n, wait=10 + n) for n in range(5)]
    looks_like(
        [worker, *sleeps],
        """
        task work          100.0 ms   1.0 ms        -  99.0 ms
        ├─ + 4 timer sleep  46.0 ms
        └─ timer sleep      14.0 ms        -        -  14.0 ms
        """,
    )


def test_children_are_not_alike_if_one_failed_has_children_or_was_made_elsewhere() -> None:
    worker = row("task work", total=100, wait=100)
    alike = [row("task step", worker, start=n, wait=1, where="a.py:1") for n in range(3)]
    failed = row("task step", worker, start=3, wait=1, where="a.py:1", error="ValueError")
    parent = row("task step", worker, start=4, wait=1, where="a.py:1")
    child = row("timer sleep", parent, start=4, wait=1)
    elsewhere = row("task step", worker, start=5, wait=1, where="a.py:2")
    shown = render([worker, *alike, failed, parent, child, elsewhere])
    assert shown.count("task step") == 6
    assert "+" not in shown


def test_what_was_too_much_for_the_trace_is_counted_on_its_parent() -> None:
    counted = {
        "whence.counted.names": ["timer sleep", "task x"],
        "whence.counted.numbers": [3417, 2],
        "whence.counted.times": [1.2, 0.004],
    }
    looks_like(
        [row("task busy", run=100, more=counted)],
        """
        task busy             100.0 ms 100.0 ms        -        -
        ├─ + 3417 timer sleep   1.20 s
        └─ + 2 task x           4.0 ms
        """,
    )


def test_names_are_cut_to_the_room_that_the_terminal_leaves() -> None:
    rows = [row("task " + "long" * 30, run=1, where="some/folder/app.py:4")]
    for columns in (80, 100, 140):
        (_, line) = render(rows, columns=columns).splitlines()
        assert len(line) == columns
        assert "…   1.0 ms" in line


def test_a_name_is_readable_however_deep_it_stands() -> None:
    rows = [row("task 0", run=1)]
    for depth in range(1, 48):
        rows.append(row(f"task {depth}", rows[-1], run=1))
    lines = render(rows).splitlines()
    assert all(f"─ task {depth}  " in line for depth, line in enumerate(lines[2:], 1))
    assert max(map(len, lines)) <= 100


def test_a_span_whose_parent_is_elsewhere_says_so() -> None:
    elsewhere = row("task outside", run=1)
    looks_like([row("a", elsewhere, run=1)], "… a   1.0 ms   1.0 ms        -        -")


def test_a_later_segment_of_a_long_life_says_which() -> None:
    looks_like(
        [row("task main", run=1000, outcome="open", more={"whence.segment": 1})],
        "task main   1.00 s   1.00 s        -        -  segment 2 open",
    )


def test_a_step_that_blocked_says_where_and_what_it_delayed_by_whom() -> None:
    block = {
        "whence.blocked.time": 0.1504,
        "code.file.path": "/srv/shop/pages.py",
        "code.line.number": 104,
        "code.function.name": "_typeset",
        "whence.delayed.number": 3,
    }
    report = row("GET /report", run=151, blocks=(block,), more={"whence.async_id": 7})
    delayed = {"whence.delayed.blocker": "GET /report", "whence.delayed.time": 0.14}
    items = row("GET /items/{id}", start=1, ready=140, wait=5, trace="u", more=delayed)
    looks_like(
        [report],
        """
        GET /report 151.0 ms 151.0 ms        -        -
           blocked the loop for 150.4 ms in _typeset shop/pages.py:104, delayed 3
        """,
        columns=80,
    )
    looks_like(
        [items],
        "GET /items/{id} 145.0 ms        - 140.0 ms   5.0 ms  delayed 140.0 ms by GET /report",
    )


def test_a_block_that_nobody_saw_happen_has_no_line() -> None:
    failed = row("task x", run=150, error="ValueError", blocks=({"whence.blocked.time": 0.15},))
    looks_like(
        [failed],
        """
        task x 150.0 ms 150.0 ms        -        -  failed ValueError; blocked the loop for 150.0 ms
        """,
        columns=120,
    )


def test_timers_that_were_delayed_are_still_alike() -> None:
    task = row("task x", wait=100)
    more = {"whence.delayed.blocker": "task y", "whence.delayed.time": 0.002}
    sleeps = [row("timer sleep", task, start=n, total=n + 1, more=more) for n in range(5)]
    lines = render([task, *sleeps]).splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == ["├─ + 4 timer sleep", "└─ timer sleep"]
    assert lines[-1].endswith("delayed 2.0 ms by task y")


def test_nothing_that_the_program_named_commands_the_terminal() -> None:
    shown = render([row("task\x1b[2J\nx", run=1, error="ValueError: \x07\x1b]0;title\x07")])
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert len(shown.splitlines()) == 2


def test_colour_adds_nothing_but_colour() -> None:
    rows = [row("GET /", run=1, where="app.py:1", error="ValueError: no"), row("b", run=1)]
    plain, coloured = render(rows), render(rows, colour=True)
    assert "\x1b[31m" in coloured
    for code in ("\x1b[0m", "\x1b[2m", "\x1b[31m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_traces_come_slowest_first_and_whole() -> None:
    quick, slow = row("quick", run=1, trace="q"), row("slow", run=5, trace="s")
    child = row("child", slow, start=4, run=9, trace="s")
    assert trees_of([quick, child, slow]) == [[child, slow], [quick]]


def test_a_line_of_a_file_reads_as_the_rows_that_were_written() -> None:
    line = """{"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "aa", "spanId": "bb", "parentSpanId": "cc", "name": "task x",
         "startTimeUnixNano": "1000", "endTimeUnixNano": "5000",
         "status": {"code": 2, "message": "ValueError: no"},
         "attributes": [
            {"key": "whence.async_id", "value": {"intValue": "7"}},
            {"key": "whence.run_time", "value": {"doubleValue": 0.5}},
            {"key": "names", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}}]},
        {"traceId": "aa", "spanId": "cc", "name": "root", "status": {}, "events": [
            {"name": "other"},
            {"name": "whence.blocked", "attributes": [
                {"key": "whence.blocked.time", "value": {"doubleValue": 0.2}}]}]}]}]}]}"""
    attributes = {"whence.async_id": 7, "whence.run_time": 0.5, "names": ["a"]}
    assert rows_of_request(line) == [
        Row("aa", "bb", "cc", "task x", 1000, 5000, attributes, "ValueError: no"),
        Row("aa", "cc", "", "root", 0, 0, {}, "", ({"whence.blocked.time": 0.2},)),
    ]
