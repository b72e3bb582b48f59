"""Jobs of process pools: from submit to the result, with nothing of ours in what is pickled."""

import asyncio
import multiprocessing
import os
import pickle
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, process
from typing import Any

import pytest
from stories import until

import whence
from telling import recorded
from whence.engine import open_lifetimes
from whence.testing import Events, record


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """A pool of one process, started afresh as on every platform."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(abs, -1).result()
        yield pool


def jobs(events: Events) -> list[list[str]]:
    return [events.names(i) for i in events.ids("ExecutorJob")]


def test_a_job_lives_from_its_submission_to_its_result(pool: ProcessPoolExecutor) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(pool, pow, 2, 5) == 32
        await until(lambda: jobs(events) == [["init", "destroy"]])
        return whence.execution_async_id()

    with record() as events:
        main_id = asyncio.run(main())
    assert [events.trigger_of(i) for i in events.ids("ExecutorJob")] == [main_id]


def test_a_job_that_fails_ends_and_its_error_passes(pool: ProcessPoolExecutor) -> None:
    with record() as events:
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
    assert jobs(events) == [["init", "destroy"]] * 3


def test_a_function_that_cannot_be_pickled_fails_as_ever(pool: ProcessPoolExecutor) -> None:
    with record() as events:
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pool.submit(lambda: None).result()
        assert pool.submit(abs, -5).result() == 5
    assert jobs(events) == [["init", "destroy"]] * 2


def test_a_cancelled_job_ends(pool: ProcessPoolExecutor) -> None:
    with record() as events:
        job: Future[Any] = pool.submit(time.sleep, 0.2)
        waiting: list[Future[Any]] = [pool.submit(abs, -1) for _ in range(20)]
        cancelled = [each for each in waiting if each.cancel()]
        job.result()
        for each in waiting:
            if each not in cancelled:
                each.result()
        pool.submit(abs, -1).result()
    assert cancelled
    assert [names.count("destroy") for names in jobs(events)] == [1] * 22


def test_a_wrong_call_fails_as_ever(pool: ProcessPoolExecutor) -> None:
    with record() as events, pytest.raises(TypeError, match="submit"):
        pool.submit()  # type: ignore[call-arg]
    assert jobs(events) == []


def test_a_pool_whose_process_dies_ends_its_jobs() -> None:
    from concurrent.futures.process import BrokenProcessPool

    with recorded():
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, mp_context=context)
        with pytest.raises(BrokenProcessPool):
            pool.submit(os._exit, 3).result()
        pool.shutdown()
        assert [x for x in open_lifetimes.values() if x.type.name == "ExecutorJob"] == []


def test_submit_is_put_back() -> None:
    before = vars(process.ProcessPoolExecutor)["submit"]
    with record():
        assert vars(process.ProcessPoolExecutor)["submit"] is not before
    assert vars(process.ProcessPoolExecutor)["submit"] is before
