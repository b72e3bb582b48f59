"""Jobs and tasks of anyio."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import pytest
from stories import until

import whence
from telling import recorded
from whence.engine import SpanLifetime, open_lifetimes, recorder, ring
from whence.testing import record


def spans_of(main: Callable[[], Coroutine[Any, Any, Any]], type_: str) -> list[SpanLifetime]:
    """What would become a span, of one type, in the order of their ends."""
    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        try:
            asyncio.run(main())
        finally:
            recorder.min_duration = before
        return [span for span in ring.drain(10_000) if span.type.name == type_]


def note(seen: list[int]) -> int:
    seen.append(whence.execution_async_id())
    return threading.get_ident()


def test_a_job_in_a_thread_is_the_doing_of_whoever_waits_for_it() -> None:
    seen: list[int] = []
    tasks: list[int] = []

    async def main() -> None:
        tasks.append(whence.execution_async_id())
        for _ in range(2):
            assert await anyio.to_thread.run_sync(note, seen) != threading.get_ident()

    with record() as events:
        asyncio.run(main())
    jobs = events.ids("ExecutorJob")
    assert jobs == seen
    for job in jobs:
        assert events.trigger_of(job) == tasks[0]
        assert events.names(job) == ["init", "before", "after", "destroy"]


def test_the_thread_itself_is_no_span_of_whoever_came_first() -> None:
    async def main() -> None:
        await anyio.to_thread.run_sync(note, [])

    assert spans_of(main, "Thread") == []


def test_a_job_is_named_by_the_function_of_the_program() -> None:
    def _run_sync_endpoint(*, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """As FastAPI has it."""
        return function(**arguments)

    async def main() -> None:
        await anyio.to_thread.run_sync(partial(note, []))
        call = partial(_run_sync_endpoint, function=note, arguments={"seen": []})
        await anyio.to_thread.run_sync(call)

    jobs = spans_of(main, "ExecutorJob")
    assert [(job.name, job.code) for job in jobs] == [("note", note.__code__)] * 2


def test_a_job_that_fails_says_why() -> None:
    def fail() -> None:
        raise ValueError("on purpose")

    async def main() -> None:
        with pytest.raises(ValueError, match="on purpose") as caught:
            await anyio.to_thread.run_sync(fail)
        files = {frame.path.name for frame in caught.traceback if hasattr(frame.path, "name")}
        assert "foreign_executors.py" not in files

    (job,) = spans_of(main, "ExecutorJob")
    assert (job.outcome, job.error) == ("failed", ("ValueError", "on purpose"))


def test_a_job_for_which_no_thread_was_free_in_time_is_cancelled() -> None:
    async def main() -> None:
        limiter = anyio.CapacityLimiter(1)
        async with limiter:
            with anyio.move_on_after(0.01):
                waiting = asyncio.create_task(
                    anyio.to_thread.run_sync(note, [], limiter=limiter), name="waiting"
                )
                await until(lambda: limiter.statistics().tasks_waiting)
                waiting.cancel()
                await asyncio.wait([waiting])

    (job,) = spans_of(main, "ExecutorJob")
    assert job.outcome == "cancelled"


def test_a_job_that_nobody_waits_for_any_more_lives_until_it_is_done() -> None:
    go = threading.Event()

    async def main() -> None:
        abandoned = partial(anyio.to_thread.run_sync, go.wait, abandon_on_cancel=True)
        waiting = asyncio.create_task(abandoned())
        await until(lambda: [each for each in jobs() if getattr(each, "resource", None)])
        waiting.cancel()
        await asyncio.wait([waiting])
        assert len(jobs()) == 1
        go.set()
        await until(lambda: not jobs())

    def jobs() -> list[Any]:
        return [each for each in open_lifetimes.values() if each.type.name == "ExecutorJob"]

    (job,) = spans_of(main, "ExecutorJob")
    assert job.outcome == "done"


def test_a_task_of_a_group_has_the_name_of_the_programs_coroutine() -> None:
    async def brew() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(brew)

    names = {(task.name or "").rpartition(".")[2] for task in spans_of(main, "Task")}
    assert names == {"brew", "main"}


def test_the_methods_of_anyio_are_put_back() -> None:
    from anyio._backends import _asyncio

    before = vars(_asyncio.AsyncIOBackend)["run_sync_in_worker_thread"]
    with record():
        during = vars(_asyncio.AsyncIOBackend)["run_sync_in_worker_thread"]
        assert during is not before
        assert asyncio.iscoroutinefunction(_asyncio.AsyncIOBackend.run_sync_in_worker_thread)
    assert vars(_asyncio.AsyncIOBackend)["run_sync_in_worker_thread"] is before
