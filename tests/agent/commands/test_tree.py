"""`whence tree`: what made what, and who awaits whom."""

import sys
from typing import Any

import pytest

from asked import PROGRAM, Asked
from whence.commands.forest import AWAITS_ITSELF, ENDED, SHOWN_ABOVE, Node, by_await, by_trigger


def row(
    async_id: int, *chain: tuple[int, str], type: str = "Task", awaits: tuple[int, ...] = ()
) -> dict[str, Any]:
    """A row of the live table; `chain` is what triggered it, the nearest first."""
    hops = [
        {"async_id": hop, "type": kind, "name": f"{kind} {hop}", "site": None, "repeats": 1}
        for hop, kind in chain
    ]
    name = f"{type} {async_id}"
    return {
        "async_id": async_id,
        "type": type,
        "name": name,
        "site": None,
        "trigger_chain": hops,
        "awaits": list(awaits),
    }


def drawn(nodes: list[Node]) -> list[Any]:
    return [
        (node.async_id, *([node.note] if node.note else []), *([drawn(node.children)] * 1))
        if node.children
        else (node.async_id, *([node.note] if node.note else []))
        for node in nodes
    ]


class TestByTrigger:
    """Pure: from rows to trees."""

    def test_what_was_triggered_is_below_what_triggered_it(self) -> None:
        rows = [row(2), row(3, (2, "Task")), row(4, (3, "Task"), (2, "Task")), row(5, (2, "Task"))]
        assert drawn(by_trigger(rows)) == [(2, [(3, [(4,)]), (5,)])]

    def test_what_has_ended_stands_in_between(self) -> None:
        rows = [row(2), row(9, (5, "Task"), (2, "Task")), row(10, (5, "Task"), (2, "Task"))]
        assert drawn(by_trigger(rows)) == [(2, [(5, ENDED, [(9,), (10,)])])]

    def test_callbacks_and_futures_that_have_ended_do_not(self) -> None:
        rows = [row(2), row(9, (5, "Handle"), (4, "Future"), (2, "Task"))]
        assert drawn(by_trigger(rows)) == [(2, [(9,)])]

    def test_what_has_ended_may_be_the_root(self) -> None:
        rows = [row(9, (5, "Task"), (2, "Task"))]
        assert drawn(by_trigger(rows)) == [(2, ENDED, [(5, ENDED, [(9,)])])]

    def test_each_is_in_one_place(self) -> None:
        chains = [
            row(7, (6, "Task"), (5, "Task"), (2, "Task")),
            row(8, (5, "Task"), (2, "Task")),
            row(9, (6, "Task"), (5, "Task"), (2, "Task")),
        ]
        (root,) = by_trigger([row(2), *chains])
        assert drawn([root]) == [(2, [(5, ENDED, [(6, ENDED, [(7,), (9,)]), (8,)])])]

    def test_nothing_is_no_tree(self) -> None:
        assert by_trigger([]) == []


class TestByAwait:
    """Pure: from rows to trees."""

    def test_what_is_awaited_is_below_who_awaits_it(self) -> None:
        rows = [row(2, awaits=(3,)), row(3, type="Future", awaits=(4,)), row(4)]
        assert drawn(by_await(rows)) == [(2, [(3, [(4,)])])]

    def test_what_two_await_is_followed_once(self) -> None:
        rows = [row(2, awaits=(4,)), row(3, awaits=(4,)), row(4, awaits=(5,)), row(5)]
        assert drawn(by_await(rows)) == [(2, [(4, [(5,)])]), (3, [(4, SHOWN_ABOVE)])]

    def test_a_circle_ends_where_it_began(self) -> None:
        rows = [row(2, awaits=(3,)), row(3, awaits=(2,))]
        assert drawn(by_await(rows)) == [(2, [(3, [(2, AWAITS_ITSELF)])])]

    def test_what_nobody_awaits_and_awaits_nothing_is_shown_if_it_is_a_task(self) -> None:
        assert drawn(by_await([row(2), row(3, type="Server")])) == [(2,)]

    def test_a_long_chain_is_no_recursion(self) -> None:
        rows = [row(n, awaits=(n + 1,)) for n in range(2, 3000)]
        (root,) = by_await(rows)
        depth = 0
        while root.children:
            (root,) = root.children
            depth += 1
        assert depth == 2997


@pytest.mark.skipif(sys.platform == "win32", reason="unix sockets")
class TestTheVerb:
    """On a real process."""

    def test_the_same_is_one_line(self, asked: Asked) -> None:
        child = asked.start(PROGRAM)
        lines = asked.whence("tree", child.pid).out.splitlines()
        (consumers,) = [line for line in lines if "task consume" in line]
        assert consumers.startswith("├─ task consume  \N{MULTIPLICATION SIGN} 3")
        assert "waiting" in consumers
        assert consumers.endswith("app.py:14  → app.py:6 Queue.get")
        (root,) = [line for line in lines if "task main" in line]
        assert root.startswith("task main")
        assert not any("future" in line for line in lines)

    def test_everything_is_a_line_each(self, asked: Asked) -> None:
        child = asked.start(PROGRAM)
        out = asked.whence("tree", child.pid, "--all").out
        assert out.count("task consume") == 3
        assert "consumer-2" in out
        assert "future" in out

    def test_by_await_shows_what_a_task_waits_for(self, asked: Asked) -> None:
        child = asked.start(PROGRAM)
        roots = asked.json("tree", child.pid, "--by", "await")
        (main,) = [root for root in roots if root["name"] == "task main"]
        assert [below["name"] for below in main["children"]] == ["future"]
        assert all(below["resource"]["state"] == "pending" for below in main["children"])

    def test_the_depth_is_cut(self, asked: Asked) -> None:
        child = asked.start(PROGRAM)
        lines = asked.whence("tree", child.pid, "--depth", "1").out.splitlines()
        assert any(line.startswith("task main") for line in lines)
        assert not any("task consume" in line for line in lines)
