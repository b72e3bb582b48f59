"""Jobs of thread pools: by run_in_executor, to_thread, submit and map."""

import asyncio
import contextvars
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, thread
from functools import partial
from typing import Any

import pytest
from stories import Executing, run_recorded, story, until

import whence
from telling import recorded
from whence.engine import local, open_lifetimes, recorder, ring
from whence.instrumentation.jobs import job_name
from whence.naming import span_name
from whence.testing import record

ONE_RUN = ["init", "before", "after", "destroy"]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """A pool with one thread, which is older than the hook of the test."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool


def fail(*args: Any) -> None:
    raise ValueError("on purpose")


JOBS: dict[str, Any] = {
    "to_thread": lambda loop, pool, fn: asyncio.to_thread(fn, 1),
    "default executor": lambda loop, pool, fn: loop.run_in_executor(None, fn, 1),
    "executor": lambda loop, pool, fn: loop.run_in_executor(pool, fn, 1),
    "submit": lambda loop, pool, fn: asyncio.wrap_future(pool.submit(fn, 1)),
}


@pytest.mark.parametrize("how", JOBS)
def test_a_job_runs_in_its_thread_as_itself_and_is_its_submitters_doing(
    pool: ThreadPoolExecutor, how: str
) -> None:
    """SEMANTICS 6, the row of ExecutorJob."""
    seen = Executing()

    async def main() -> int:
        await JOBS[how](asyncio.get_running_loop(), pool, seen)
        await until(lambda: events.names(seen.ids[0])[-1] == "destroy")
        return whence.execution_async_id()

    with record() as events:
        main_id = asyncio.run(main())
    (job,) = events.ids("ExecutorJob")
    assert seen.ids == [job]
    assert seen.triggers == [main_id]
    assert events.names(job) == ONE_RUN
    assert events.trigger_of(job) == main_id


@pytest.mark.parametrize("how", JOBS)
def test_a_failing_job_ends_as_any_other_and_its_error_passes(
    pool: ThreadPoolExecutor, how: str
) -> None:
    """SEMANTICS 6.12, 6.15."""

    async def main() -> None:
        with pytest.raises(ValueError, match="on purpose"):
            await JOBS[how](asyncio.get_running_loop(), pool, fail)
        await until(lambda: events.names(events.ids("ExecutorJob")[0])[-1] == "destroy")

    with record() as events:
        asyncio.run(main())
    assert events.names(events.ids("ExecutorJob")[0]) == ONE_RUN


def test_a_pooled_thread_runs_each_job_as_that_job(pool: ThreadPoolExecutor) -> None:
    """SEMANTICS 6.15."""
    seen = Executing()

    with record() as events:
        futures: list[Future[Any]] = []
        for _ in range(3):
            futures += [pool.submit(seen), pool.submit(fail)]
        assert [type(future.exception()) for future in futures[1::2]] == [ValueError] * 3
        pool.submit(int).result()
    jobs = events.ids("ExecutorJob")
    assert seen.ids == jobs[0:6:2]
    assert [events.names(i) for i in jobs[:6]] == [ONE_RUN] * 6


def test_between_jobs_a_pooled_thread_is_where_it_was(pool: ThreadPoolExecutor) -> None:
    """SEMANTICS 1.4, 6.15."""
    ids: list[int] = []

    with record():
        threading.Thread(target=int).start()
        pool.submit(fail).exception()
        pool.submit(lambda: ids.append(whence.execution_async_id())).result()
    pool.submit(lambda: ids.append(whence.execution_async_id())).result()
    inside, outside = ids
    assert inside > 1
    assert outside == 0


def test_the_threads_of_a_pool_are_threads_too() -> None:
    with record() as events:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int).result()
        (worker,) = events.ids("Thread")
        assert events.names(worker) == ONE_RUN


def test_a_job_cancelled_in_the_queue_ends_without_having_run(pool: ThreadPoolExecutor) -> None:
    gate = threading.Event()
    with record() as events:
        pool.submit(gate.wait, 10)
        job = pool.submit(fail)
        assert job.cancel()
        gate.set()
        pool.submit(int).result()
    cancelled = events.ids("ExecutorJob")[1]
    assert events.names(cancelled) == ["init", "destroy"]


def test_jobs_that_a_pool_drops_when_it_shuts_down_do_not_stay_open() -> None:
    gate = threading.Event()
    with recorded():
        pool = ThreadPoolExecutor(1)
        pool.submit(gate.wait, 10)
        for _ in range(3):
            pool.submit(int)
        threading.Timer(0.01, gate.set).start()
        pool.shutdown(cancel_futures=True)
        asyncio.run(asyncio.sleep(0))
        left = [x for x in open_lifetimes.values() if x.type.name == "ExecutorJob"]
        assert left == []


def test_map_makes_a_job_of_each_call(pool: ThreadPoolExecutor) -> None:
    with record() as events:
        assert list(pool.map(abs, [-1, -2, -3])) == [1, 2, 3]
        pool.submit(int).result()
    assert [events.names(i) for i in events.ids("ExecutorJob")[:3]] == [ONE_RUN] * 3


def test_a_job_carries_no_context_but_to_thread_does(pool: ThreadPoolExecutor) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def main() -> tuple[str, str]:
        variable.set("mine")
        loop = asyncio.get_running_loop()
        return (
            await loop.run_in_executor(pool, variable.get),
            await asyncio.to_thread(variable.get),
        )

    with record():
        assert asyncio.run(main()) == ("none", "mine")


def test_what_a_job_makes_is_the_jobs_doing(pool: ThreadPoolExecutor) -> None:
    """SEMANTICS 1.7, 6.15."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = Executing()
        await loop.run_in_executor(pool, loop.call_soon_threadsafe, seen)
        await until(lambda: seen.ids)
        (trigger,) = seen.triggers
        assert events.type_of(trigger) == "ExecutorJob"

    with record() as events:
        asyncio.run(main())


@pytest.mark.parametrize("debug", [False, True])
def test_name_look_ups_are_jobs_of_types_of_their_own(debug: bool) -> None:
    """SEMANTICS 6, the rows of GetAddrInfo and GetNameInfo."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        assert found[0][4] == ("127.0.0.1", 80)
        assert (await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST))[0] == "127.0.0.1"
        await until(lambda: [e[0] for e in events.of(*jobs())].count("destroy") == 2)

    def jobs() -> list[int]:
        return [*events.ids("GetAddrInfo"), *events.ids("GetNameInfo")]

    with record() as events:
        asyncio.run(main(), debug=debug)
    assert [events.type_of(i) for i in jobs()] == ["GetAddrInfo", "GetNameInfo"]
    assert {events.type_of(events.trigger_of(i)) for i in jobs()} == {"Task"}
    assert events.ids("ExecutorJob") == []


def test_jobs_of_the_agents_own_threads_are_told_to_nobody(pool: ThreadPoolExecutor) -> None:
    with record() as events:
        local.state.muted = True
        try:
            assert pool.submit(int).result() == 0
        finally:
            local.state.muted = False
    assert events == []


def test_a_job_submitted_before_the_hook_runs_unseen(pool: ThreadPoolExecutor) -> None:
    gate = threading.Event()
    pool.submit(gate.wait, 10)
    old = pool.submit(int)
    with record() as events:
        gate.set()
        assert old.result() == 0
        pool.submit(int).result()
    assert len(events.ids("ExecutorJob")) == 1


def test_a_job_submitted_under_the_hook_and_run_without_is_told_no_more(
    pool: ThreadPoolExecutor,
) -> None:
    gate = threading.Event()
    pool.submit(gate.wait, 10)
    with record() as events:
        job = pool.submit(abs, -5)
    gate.set()
    assert job.result() == 5
    assert story(events, "ExecutorJob") == ["init ExecutorJob1 ExecutorJob by top"]


def test_an_initializer_that_fails_breaks_the_pool_as_ever() -> None:
    from concurrent.futures.thread import BrokenThreadPool

    with record() as events:
        pool = ThreadPoolExecutor(1, initializer=fail)
        with pytest.raises(BrokenThreadPool):
            pool.submit(int).result()
        pool.shutdown()
    assert [events.names(i)[0] for i in events.ids("ExecutorJob")] == ["init"]


def test_the_span_of_a_job_has_the_name_of_the_programs_function_and_its_failure() -> None:
    async def main() -> None:
        await asyncio.to_thread(abs, 5)
        with pytest.raises(ValueError, match="on purpose"):
            await asyncio.to_thread(fail)

    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        try:
            asyncio.run(main())
        finally:
            recorder.min_duration = before
        spans = [span for span in ring.drain(10_000) if span.type.name == "ExecutorJob"]
    assert [(span.name, span.outcome, span.error) for span in spans][:2] == [
        ("abs", "done", None),
        ("fail", "failed", ("ValueError", "on purpose")),
    ]


class Answering:
    """Has an answer to everything."""

    def __getattr__(self, name: str) -> object:
        return object()


class Silent:
    """Fails at every question."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


class Callable:
    """An object that is called."""

    def __call__(self) -> None: ...

    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (fail, "fail"),
        (partial(fail, 1), "fail"),
        (partial(partial(fail, 1), 2), "fail"),
        (partial(contextvars.copy_context().run, fail), "fail"),
        (partial(contextvars.copy_context().run, partial(fail, 1)), "fail"),
        (Callable(), "Callable"),
        (Callable().method, "Callable.method"),
        (print, "print"),
        (Callable, "Callable"),
        (Answering(), "Answering"),
        (Silent(), "Silent"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_job_is_called_like_the_function_that_the_program_gave(function: Any, name: str) -> None:
    assert job_name(function) == name


def test_the_pools_record_of_a_job_is_put_back() -> None:
    before = vars(thread)["_WorkItem"]
    with record():
        assert vars(thread)["_WorkItem"] is not before
        assert issubclass(vars(thread)["_WorkItem"], before)
    assert vars(thread)["_WorkItem"] is before


def test_jobs_of_many_loops_in_many_threads_are_each_ones_own() -> None:
    found: dict[int, list[int]] = {}

    def run() -> None:
        async def main() -> None:
            me = whence.execution_async_id()
            found[me] = [await asyncio.to_thread(whence.trigger_async_id) for _ in range(10)]

        asyncio.run(main())

    with record():
        threads = [threading.Thread(target=run) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(found) == 3
    assert all(set(triggers) == {me} for me, triggers in found.items())


def test_a_hook_is_enabled_while_a_loop_runs_jobs() -> None:
    async def main() -> None:
        await asyncio.to_thread(int)
        with record() as events:
            await asyncio.to_thread(int)
            (job,) = events.ids("ExecutorJob")
            await until(lambda: events.names(job) == ONE_RUN)

    asyncio.run(main())
    assert run_recorded(lambda: asyncio.sleep(0)).ids("ExecutorJob") == []


def test_a_look_up_is_called_what_it_is() -> None:
    """By its type, not by asyncio's function for it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.getaddrinfo("127.0.0.1", 80)
        await loop.getnameinfo(("127.0.0.1", 80))

    with recorded():
        before, recorder.min_duration = recorder.min_duration, 0
        asyncio.run(main())
        recorder.min_duration = before
        spans = ring.drain(100)
    names = [span_name(span.type.name, span.name) for span in spans]
    assert [name for name in names if "info" in name] == ["getaddrinfo", "getnameinfo"]
