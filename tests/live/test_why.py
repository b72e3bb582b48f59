"""What `why` makes of many findings, of one resource, and of nothing."""

import asyncio
import gc
import threading
import time
from typing import Any

import pytest

import whence
from whence.background import Background
from whence.live import take
from whence.live.why import JOB, STRANDED, THREAD, Answer, Finding, why
from whence.live.why_text import MAX_FINDINGS, text_of


async def wait_for_nothing() -> None:
    await asyncio.get_running_loop().create_future()  # nothing comes


def asked_among(number: int, async_id: Any = lambda tasks: None) -> Answer:
    """The answer of a program of so many tasks that hang at one line."""

    async def main() -> Answer:
        tasks = [asyncio.create_task(wait_for_nothing()) for _ in range(number)]
        while any(task._fut_waiter is None for task in tasks):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        ids = [one.async_id for one in whence.active_resources() if one.type == "Task"][1:]
        found = why(take(deep=True), async_id(ids))
        for task in tasks:
            task.cancel()
        return found

    gc.collect()  # what other tests have left refers to what it likes
    whence.attach(export="none", no_live="1")
    try:
        return asyncio.run(main())
    finally:
        whence.detach()


def test_the_same_at_the_same_line_is_one_finding() -> None:
    first = asked_among(30).findings[0]
    assert first.kind == STRANDED
    assert first.text.startswith("30 times: task wait_for_nothing (")
    assert len(first.async_ids) == 30


def test_of_one_resource_only_what_it_has_to_do_with_is_told() -> None:
    chosen: list[int] = []

    def choose(ids: list[int]) -> int:
        chosen.append(ids[1])
        return ids[1]

    (only,) = asked_among(3, choose).findings
    assert only.async_ids == tuple(chosen)
    assert only.path[-1].source.endswith("# nothing comes")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_loop_that_waits_for_its_pool_waits_for_the_job(loop: str) -> None:
    """Not for the thread in which it waits."""
    run = asyncio.run if loop == "asyncio" else pytest.importorskip("uvloop").run
    found: list[Finding] = []
    stop = threading.Event()

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, stop.wait)

    def ask() -> None:
        while not any("_do_shutdown" in thread.name for thread in take().threads):
            time.sleep(0.001)
        found.extend(why(take(deep=True)).findings)
        stop.set()

    whence.attach(export="none", no_live="1")
    try:
        asker = Background(ask)
        asker.start()
        run(main())
        assert asker.wait(30)
    finally:
        whence.detach()
    (job,) = (one for one in found if one.kind == JOB)
    assert job.text.startswith("executor Event.wait")
    # The timer of pytest-timeout may be one.
    assert [one.text for one in found if one.kind == THREAD and "shutdown" in one.text] == []


def test_an_id_that_is_not_open_is_an_error_that_names_it() -> None:
    with pytest.raises(LookupError, match="expected the id of an open resource, not 123456789"):
        asked_among(1, lambda ids: 123456789)


def test_a_long_list_is_cut_and_the_rest_counted() -> None:
    one = asked_among(1).as_dict()["findings"][0]
    answer = {"pid": 7, "folder": "", "findings": [one] * (MAX_FINDINGS + 3)}
    text = text_of(answer)
    assert text.splitlines()[-1] == "and 3 more"
    assert text.count("which nothing can end") == MAX_FINDINGS


def test_colours_are_there_only_if_asked_for() -> None:
    answer = asked_among(1).as_dict()
    assert "\x1b[" not in text_of(answer)
    assert "\x1b[" in text_of(answer, colour=True)


def test_nothing_that_keeps_a_process_is_said_in_one_line() -> None:
    answer = {"pid": 7, "folder": "/", "findings": []}
    assert text_of(answer) == "whence: nothing found that keeps process 7"


def test_files_are_shown_as_they_would_be_typed_where_the_process_is() -> None:
    site = {"file": "/srv/shop/app.py", "line": 3, "function": "main"}
    path = [{"label": "now", "site": site, "source": "await x"}]
    finding = {"kind": "task", "text": "t", "async_ids": [], "path": path, "keeps": True}
    answer = {"pid": 7, "folder": "/srv/shop", "findings": [finding]}
    assert "     now  app.py:3  await x" in text_of(answer)
    assert "     now  /srv/shop/app.py:3  await x" in text_of({**answer, "folder": "/elsewhere"})
