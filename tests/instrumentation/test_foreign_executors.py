"""Jobs that run_in_executor gives to executors that are not concurrent.futures' own."""

import asyncio
import concurrent.futures
import copy
import inspect
import pickle
import threading
from functools import partial
from typing import Any

import pytest
from stories import Executing, until

import whence
from telling import recorded
from whence.engine import open_lifetimes
from whence.instrumentation.foreign_executors import Job
from whence.testing import Events, record

ONE_RUN = ["init", "before", "after", "destroy"]


class Keeping(concurrent.futures.Executor):
    """Runs what it is given when it is told to, and keeps nothing that has run."""

    def __init__(self) -> None:
        self.queue: list[tuple[Any, Any, Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.queue.append((future, fn, args))
        return future

    def run_all(self) -> None:
        while self.queue:
            future, fn, args = self.queue.pop(0)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(fn(*args))
            except ValueError as error:
                future.set_exception(error)
            del future, fn, args


class Threads(Keeping):
    """Runs each job in a thread of its own."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future = super().submit(fn, *args)
        threading.Thread(target=self.run_all).start()
        return future


class Pickling(Keeping):
    """Runs a copy of what it is given, as one that has it run in another process does."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future = super().submit(pickle.loads(pickle.dumps(fn)), *args)
        self.run_all()
        return future


class Asking(Keeping):
    """Has no base class, and answers with a future of the loop's."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        future.set_result(fn(*args))
        return future


def double(number: int) -> int:
    return number * 2


def fail() -> None:
    raise ValueError("on purpose")


def jobs(events: Events) -> list[list[str]]:
    return [events.names(i) for i in events.ids("ExecutorJob")]


def test_a_job_runs_as_itself_and_is_its_submitters_doing() -> None:
    seen = Executing()

    async def main() -> int:
        await asyncio.get_running_loop().run_in_executor(Threads(), seen, 1)
        await until(lambda: jobs(events) == [ONE_RUN])
        return whence.execution_async_id()

    with record() as events:
        main_id = asyncio.run(main())
    (job,) = events.ids("ExecutorJob")
    assert (seen.ids, seen.triggers, seen.resources) == ([job], [main_id], [seen])
    assert events.type_of(events.trigger_of(events.ids("Thread")[0])) == "Task"


def test_a_job_that_fails_ends_as_any_other() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="on purpose"):
            await asyncio.get_running_loop().run_in_executor(Threads(), fail)

    with record() as events:
        asyncio.run(main())
    assert jobs(events) == [ONE_RUN]


@pytest.mark.parametrize("executor", [Pickling, Asking, Threads])
def test_any_executor_gets_what_it_needs(executor: type[Keeping]) -> None:
    async def main() -> int:
        result: int = await asyncio.get_running_loop().run_in_executor(executor(), double, 5)
        return result

    with record():
        assert asyncio.run(main()) == 10


def test_a_job_that_runs_elsewhere_or_never_does_not_stay_open() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(Pickling(), double, 5)
        keeping = Keeping()
        cancelled = loop.run_in_executor(keeping, double, 5)
        cancelled.cancel()
        await asyncio.sleep(0)
        keeping.run_all()
        await asyncio.sleep(0)

    with recorded():
        asyncio.run(main())
        asyncio.run(asyncio.sleep(0))
        left = [x for x in open_lifetimes.values() if x.type.name == "ExecutorJob"]
        assert left == []


def test_an_executor_that_refuses_leaves_nothing_open() -> None:
    class Refusing(Keeping):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError(f"no {fn!r}")

    async def main() -> None:
        with pytest.raises(RuntimeError, match="no <function double"):
            await asyncio.get_running_loop().run_in_executor(Refusing(), double, 5)

    with record() as events:
        asyncio.run(main())
    assert jobs(events) == [["init", "destroy"]]


def test_a_job_that_is_run_again_is_told_once() -> None:
    async def main() -> None:
        executor = Keeping()
        asyncio.get_running_loop().run_in_executor(executor, double, 5)
        ((_, fn, args),) = executor.queue
        assert [fn(*args), fn(*args)] == [10, 10]
        executor.run_all()
        await asyncio.sleep(0)

    with record() as events:
        asyncio.run(main())
    assert jobs(events) == [ONE_RUN]


def job_of(function: Any) -> Any:
    """What an executor gets to see of a function."""

    async def main() -> Any:
        executor = Keeping()
        asyncio.get_running_loop().run_in_executor(executor, function)
        ((future, fn, _),) = executor.queue
        future.cancel()
        return fn

    with record():
        return asyncio.run(main())


def test_a_job_looks_like_its_function() -> None:
    job = job_of(double)
    assert isinstance(job, Job)
    assert job == double
    assert hash(job) == hash(double)
    assert repr(job) == repr(double)
    assert (job.__name__, job.__qualname__, job.__module__) == ("double", "double", __name__)
    assert inspect.signature(job) == inspect.signature(double)
    assert inspect.unwrap(job) is double
    with pytest.raises(AttributeError):
        job.nothing  # noqa: B018


@pytest.mark.parametrize("copied", [lambda job: pickle.loads(pickle.dumps(job)), copy.copy])
def test_a_copy_of_a_job_is_its_function_and_needs_nothing_of_ours(copied: Any) -> None:
    twin = copied(job_of(double))
    assert type(twin) is partial
    assert twin.func is double
    assert twin(4) == 8


async def coroutine() -> None: ...


def test_what_is_no_plain_function_goes_to_the_executor_as_it_is() -> None:
    async def main() -> list[Any]:
        loop: Any = asyncio.get_running_loop()
        executor = Keeping()
        for odd in (coroutine, 5, None):
            loop.run_in_executor(executor, odd)
        loop.run_in_executor(executor=executor, func=double)
        given = [fn for _, fn, _ in executor.queue]
        for future, _, _ in executor.queue:
            future.cancel()
        return given

    with record() as events:
        assert asyncio.run(main()) == [coroutine, 5, None, double]
    assert jobs(events) == []


def test_pools_of_concurrent_futures_get_the_function_itself() -> None:
    class Mine(concurrent.futures.ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            given.append(fn)
            return super().submit(fn, *args, **kwargs)

    given: list[Any] = []

    async def main() -> None:
        with Mine(1) as pool:
            assert await asyncio.get_running_loop().run_in_executor(pool, double, 5) == 10

    with record() as events:
        asyncio.run(main())
    assert given == [double]
    assert given[0] is double
    assert jobs(events) == [ONE_RUN]


def test_run_in_executor_is_put_back() -> None:
    loop = asyncio.base_events.BaseEventLoop
    before = vars(loop)["run_in_executor"]
    with record():
        assert vars(loop)["run_in_executor"] is not before
    assert vars(loop)["run_in_executor"] is before
