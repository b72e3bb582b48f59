"""What cannot be seen on asyncio's own loops: instrumentations and document say the same."""

import asyncio
import contextvars
import sys
from asyncio import Future, Task
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from stories import Executing, run_recorded

from telling import turns
from whence.instrumenting import INSTRUMENTATIONS

DOCUMENT = Path(__file__).parents[2] / "docs" / "limits.md"


def test_the_document_has_the_rows_of_the_doctor() -> None:
    impossible: dict[str, str] = {}
    for name in INSTRUMENTATIONS["asyncio"]:
        if name != "foreign_loops":  # which says it of the loops that have run
            module = import_module(f"whence.instrumentation.{name}")
            impossible |= getattr(module, "IMPOSSIBLE", {})
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in DOCUMENT.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    assert impossible.items() <= set(rows)
    assert len(impossible) == 3


def test_a_future_made_by_an_older_name_is_not_seen() -> None:
    async def main() -> None:
        future: Future[int] = Future()
        future.set_result(5)

    assert run_recorded(main).ids("Future") == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_an_eager_task_made_by_an_older_name_is_seen_from_its_next_step_on() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await Task(work(), loop=loop, eager_start=True)
        await Task(turns(0), loop=loop, eager_start=True)

    events = run_recorded(main)
    main_id = events.ids("Task")[0]
    (later,) = (i for i in events.ids("Task") if events.trigger_of(i) == main_id)
    assert events.names(later) == ["init", "before", "promise_resolve", "after", "destroy"]


def test_a_settled_future_given_with_a_context_is_taken_for_the_trigger() -> None:
    seen = Executing()
    made: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        made.append(future)
        future.set_result(None)
        loop.call_soon(seen, future, context=contextvars.copy_context())
        await turns()

    events = run_recorded(main)
    assert seen.triggers == [events.ids("Future")[0]]
