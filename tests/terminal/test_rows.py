"""The text of the screen."""

import pytest

from terminal_data import pulse, resource, slots
from whence.terminal.readings import Readings
from whence.terminal.rows import (
    SORTS,
    TITLES,
    aligned,
    blocker_cells,
    chosen,
    delays,
    headline,
    path_lines,
    resource_cells,
    trend,
)

ROWS = [
    resource(2, state="open", type="Server", in_state=90.0, run=0.0),
    resource(3, in_state=5.0, age=5.0, run=3.0, name="task poll"),
    resource(4, in_state=70.0, age=80.0, run=1.0, name="task consume", task_name="consumer-1"),
    resource(5, type="Future", state="pending", in_state=99.0),
]


@pytest.mark.parametrize(
    ("sort", "ids"),
    [("wait", [4, 3, 2]), ("run", [3, 4, 2]), ("age", [4, 3, 2]), ("new", [4, 3, 2])],
)
def test_resources_are_sorted(sort: str, ids: list[int]) -> None:
    found = chosen(ROWS, words="", types="", sort=sort, steps=False)
    assert [one["async_id"] for one in found] == ids


def test_every_sort_takes_what_is_not_known() -> None:
    unknown = resource(9, in_state=None, age=None, run=None)
    for sort in SORTS:
        assert chosen([*ROWS, unknown], words="", types="", sort=sort, steps=True)


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("poll", [3]),
        ("CONSUMER-1", [4]),
        ("task app.py:3", [3, 4]),
        ("task nothing", []),
        ("server", [2]),
    ],
)
def test_words_are_looked_for_in_the_whole_row(words: str, ids: list[int]) -> None:
    found = chosen(ROWS, words=words, types="", sort="name", steps=False)
    assert sorted(one["async_id"] for one in found) == ids


def test_futures_are_shown_when_asked_for() -> None:
    def ids(types: str, steps: bool) -> list[int]:
        found = chosen(ROWS, words="", types=types, sort="new", steps=steps)
        return [one["async_id"] for one in found]

    assert ids("", True) == [5, 4, 3, 2]
    assert ids("Future", False) == [5]
    assert ids("Task", True) == [4, 3]


def test_numbers_stand_to_the_right() -> None:
    rows = aligned(
        TITLES["blockers"], [("1", "9ms", "9ms", "a", "b"), ("12", "1.0s", "9ms", "", "")]
    )
    assert [row[0] for row in rows] == ["    1", "   12"]
    assert rows[0][3] == "a"
    assert aligned(TITLES["blockers"], []) == []


def test_the_path_goes_from_the_root_to_where_it_is() -> None:
    site = {"file": "/srv/app.py", "line": 9, "function": "main"}
    hops = [
        {"async_id": 4, "type": "Task", "name": "task b", "site": site, "repeats": 3},
        {"async_id": 3, "type": "Task", "name": "task a", "site": None, "repeats": 1},
    ]
    one = resource(
        7,
        trigger_chain=hops,
        stack=[site],
        waits_for="Queue.get",
        awaits=[8],
        awaited_by=[5, 6],
        details={"fd": "\x1b[2J"},
    )
    assert path_lines(one) == [
        ("task a", "#3 -"),
        ("task b", "#4 app.py:9  3 in a row"),
        ("task work", "#7 app.py:3"),
        ("  now in", "main  app.py:9"),
        ("  waits for", "Queue.get"),
        ("  awaits", "#8"),
        ("  awaited by", "#5 #6"),
        ("  fd", "\ufffd[2J"),
    ]


def test_the_head_says_how_it_is() -> None:
    answer = pulse(65.0, delay=slots({4_000_000: 1}))
    readings = Readings()
    readings.add(pulse(64.0), {"resources": [], "left_out": 0})
    reading = readings.add(answer, {"resources": [], "left_out": 0})
    assert headline(reading) == "pid 42  shop  up 1m05s  python 3.12.1  loop waiting  busy 0%"
    assert delays(reading) == "loop delay  p50 4.0ms  p99 4.0ms  max 4.0ms  blocked 0 times"


def test_bars_go_from_nothing_to_the_most() -> None:
    assert trend(()) == ""
    assert trend((0, 0)) == "▁▁"
    assert trend((0, 4, 8)) == "▁▅█"


def test_what_a_process_sends_cannot_act_on_the_terminal() -> None:
    blocker = {"number": 1, "seconds": 1.0, "longest": 1.0, "name": "\x1b[31m", "site": None}
    assert "\x1b" not in "".join(blocker_cells(blocker))
    assert "\x1b" not in "".join(resource_cells(resource(2, name="\x1b[31m")))
