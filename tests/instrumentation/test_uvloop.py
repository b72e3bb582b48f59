"""Callbacks, timers, futures and tasks on uvloop."""

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from stories import Executing, story, until
from uvloops import new_uvloop, run_on_uvloop

import whence
from telling import listening, told, turns
from whence.testing import record

uvloop: Any = pytest.importorskip("uvloop")


def test_a_callback_lives_once() -> None:
    """SEMANTICS 6.2, 6.18."""
    seen = Executing()
    with new_uvloop() as loop, record() as events:
        loop.call_soon(seen, 1)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert story(events, "Handle") == [
        "init Handle1 Handle by top",
        "init Handle2 Handle by top",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
        "before Handle2",
        "after Handle2",
        "destroy Handle2",
    ]
    assert seen.ids == [events.ids("Handle")[0]]
    assert seen.triggers == [1]
    assert whence.execution_async_id() == 1


def test_what_executes_is_what_init_was_given_and_takes_attributes() -> None:
    """SEMANTICS 9.2, 9.3, 6.18."""
    given: dict[int, Any] = {}
    seen = Executing()

    def init(async_id: int, type: str, trigger: int, resource: Any) -> None:
        given[async_id] = resource
        resource.note = type

    with new_uvloop() as loop, whence.create_hook(init=init):
        loop.call_soon(seen)
        loop.call_later(0.001, seen)
        loop.call_later(0.002, loop.stop)
        loop.run_forever()
    assert len(seen.ids) == 2
    for async_id, resource in zip(seen.ids, seen.resources, strict=True):
        assert resource is given[async_id]
    assert {resource.note for resource in seen.resources} == {"Handle", "TimerHandle"}  # type: ignore[attr-defined]


def test_a_timer_lives_once_and_what_it_calls_is_its_doing() -> None:
    """SEMANTICS 6.2, 6.18."""
    with new_uvloop() as loop, record() as events:
        loop.call_later(0.001, loop.call_soon, loop.stop)
        loop.run_forever()
    assert story(events, "Handle", "TimerHandle") == [
        "init TimerHandle1 TimerHandle by top",
        "before TimerHandle1",
        "init Handle1 Handle by TimerHandle1",
        "after TimerHandle1",
        "destroy TimerHandle1",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
    ]


@pytest.mark.parametrize("delay", [0, 0.001, -1])
def test_a_timer_is_one_resource_by_whichever_method_and_however_soon(delay: float) -> None:
    """SEMANTICS 6.18: call_at() calls call_later()."""
    with new_uvloop() as loop, record() as events:
        loop.call_at(loop.time() + delay, int)
        loop.call_later(delay, int)
        loop.call_later(0.003, loop.stop)
        loop.run_forever()
    assert [events.type_of(i) for i in events.ids()] == ["TimerHandle"] * 3
    assert all(events.names(i) == ["init", "before", "after", "destroy"] for i in events.ids())


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at", "call_soon_threadsafe"])
def test_a_cancelled_callback_is_destroyed_at_once_and_only_once(method: str) -> None:
    """SEMANTICS 6.2, 6.18, 7.1."""
    with new_uvloop() as loop, record() as events:
        delay = {"call_later": (1,), "call_at": (loop.time() + 1,)}.get(method, ())
        handle = getattr(loop, method)(*delay, print, "not to be seen")
        handle.cancel()
        (async_id,) = events.ids()
        assert events.names(async_id) == ["init", "destroy"]
        assert handle.cancelled()
        handle.cancel()
        loop.call_soon(loop.stop)
        loop.run_forever()
        handle.cancel()
        assert events.names(async_id) == ["init", "destroy"]


def test_a_callback_that_cancels_itself_is_destroyed_once() -> None:
    """SEMANTICS 6.2, 6.18."""
    with new_uvloop() as loop, record() as events:
        handles: list[asyncio.Handle] = []
        handles.append(loop.call_soon(lambda: handles[0].cancel()))
        handles.append(loop.call_later(0.001, lambda: handles[1].cancel()))
        loop.call_later(0.002, loop.stop)
        loop.run_forever()
        for handle in handles:
            handle.cancel()
    first, second, _ = events.ids()
    for async_id in (first, second):
        assert events.names(async_id) == ["init", "before", "destroy", "after"]


def test_cancelling_after_the_last_hook_has_gone_is_as_ever() -> None:
    with new_uvloop() as loop:
        with record() as events:
            handle, timer = loop.call_soon(print, "seen"), loop.call_later(1, print, "seen")
        handle.cancel()
        timer.cancel()
        assert handle.cancelled()
        assert timer.cancelled()
        assert [e[0] for e in events] == ["init", "init"]


def failing_story(schedule: Callable[[asyncio.AbstractEventLoop], object]) -> list[str]:
    """What happens to a callback that fails, and while the loop's exception handler is told."""
    with new_uvloop() as loop, record() as events:

        def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            assert isinstance(context["exception"], ZeroDivisionError)
            events.append(("handler executes", whence.execution_async_id()))

        loop.set_exception_handler(tell)
        schedule(loop)
        loop.call_later(0.003, loop.stop)
        loop.run_forever()
        assert whence.execution_async_id() == 1
        failing = events.ids()[0]
        return told(events.of(failing), failing=failing)


@pytest.mark.parametrize("method", ["call_soon", "call_later"])
def test_the_exception_handler_executes_as_the_callback_that_failed(method: str) -> None:
    """SEMANTICS 6.10, 6.18."""
    delay = (0.001,) if method == "call_later" else ()
    type_ = "TimerHandle" if method == "call_later" else "Handle"
    assert failing_story(lambda loop: getattr(loop, method)(*delay, divmod, 1, 0)) == [
        f"init failing {type_} by top",
        "before failing",
        "handler executes failing",
        "after failing",
        "destroy failing",
    ]


def test_an_exception_handler_that_fails_itself_leaves_the_stack_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with new_uvloop() as loop, record() as events:
        loop.set_exception_handler(lambda loop, context: divmod(1, 0))
        loop.call_soon(divmod, 1, 0)
        loop.call_soon(int)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert [events.names(i) for i in events.ids()] == [["init", "before", "after", "destroy"]] * 3
    assert all(events.trigger_of(i) == 1 for i in events.ids())
    assert "Unhandled error in exception handler" in caplog.text


def test_a_failing_callback_that_cannot_be_told_leaves_the_stack_as_it_was() -> None:
    class Unspeakable:
        def __call__(self) -> None:
            raise ValueError("on purpose")

        def __repr__(self) -> str:
            raise LookupError("no name")

    with new_uvloop() as loop, record() as events:
        loop.call_soon(Unspeakable())
        with pytest.raises(LookupError, match="no name"):
            loop.run_forever()
        assert whence.execution_async_id() == 1
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert [events.names(i) for i in events.ids()] == [["init", "before", "after", "destroy"]] * 2


def test_a_loop_that_handles_exceptions_itself_is_told_after_the_callback() -> None:
    class Loop(uvloop.Loop):  # type: ignore[misc]
        def call_exception_handler(self, context: dict[str, Any]) -> None:
            told_to.append((whence.execution_async_id(), str(context["exception"])))

    told_to: list[tuple[int, str]] = []
    loop = Loop()
    with record() as events:
        loop.call_soon(divmod, 1, 0)
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
    assert [message for _, message in told_to] == ["integer division or modulo by zero"]
    assert [events.names(i) for i in events.ids()] == [["init", "before", "after", "destroy"]] * 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_callback_that_ends_the_loop_restores_the_top_level(error: type[BaseException]) -> None:
    """SEMANTICS 1.9, 6.18."""

    def leave() -> None:
        raise error

    with new_uvloop() as loop, record() as events:
        loop.call_soon(leave)
        with pytest.raises(error):
            loop.run_forever()
        assert whence.execution_async_id() == 1
    assert story(events, "Handle") == [
        "init Handle1 Handle by top",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
    ]


def test_a_callback_keeps_its_arguments_and_context() -> None:
    """SEMANTICS 6.12, 6.18."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    context = contextvars.copy_context()
    context.run(variable.set, 5)
    got: list[Any] = []

    def callback(*args: Any) -> None:
        got.append((variable.get(), args))

    with new_uvloop() as loop, record():
        loop.call_soon(callback, 1, [], context=context)
        loop.call_soon_threadsafe(callback, 2, context=context)
        loop.call_later(0.001, callback, 3, context=context)
        loop.call_soon(callback)
        loop.call_later(0.002, loop.stop)
        loop.run_forever()
    # Timers that are due come before callbacks that wait, if the loop is late.
    assert sorted(got, key=str) == [(0, ()), (5, (1, [])), (5, (2,)), (5, (3,))]


def test_what_the_loop_refuses_has_no_events() -> None:
    loop = uvloop.new_event_loop()
    loop.close()
    with record() as events:
        for schedule in (
            lambda: loop.call_soon(int),
            lambda: loop.call_soon_threadsafe(int),
            lambda: loop.call_later(1, int),
            lambda: loop.call_at(1, int),
            lambda: loop.call_soon(int, context=contextvars.copy_context()),
        ):
            with pytest.raises(RuntimeError, match="Event loop is closed"):
                schedule()
    with new_uvloop() as loop, record() as more_events:
        with pytest.raises(TypeError):
            loop.call_later("soon", int)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            loop.call_soon()  # type: ignore[call-arg]
        events += more_events
    assert events == []


def test_a_callback_from_a_thread_is_that_threads_doing() -> None:
    """SEMANTICS 6.14, 6.18."""
    seen = Executing()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(seen,))
        thread.start()
        await until(lambda: seen.ids)
        thread.join()

    events = run_on_uvloop(main)
    (thread,) = events.ids("Thread")
    assert seen.triggers == [thread]
    assert events.names(seen.ids[0]) == ["init", "before", "after", "destroy"]


def test_a_coroutine_from_a_thread_goes_back_to_that_thread() -> None:
    """SEMANTICS 6.14, 6.18."""

    async def work() -> int:
        return whence.execution_async_id()

    tasks: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def call() -> None:
            tasks.append(asyncio.run_coroutine_threadsafe(work(), loop).result())

        thread = threading.Thread(target=call)
        thread.start()
        await until(lambda: not thread.is_alive())

    events = run_on_uvloop(main)
    chain = events.chain(tasks[0])
    assert [events.type_of(i) for i in chain[:3]] == ["Task", "Handle", "Thread"]


def test_a_future_is_followed_from_the_loop_and_so_are_its_callbacks() -> None:
    """SEMANTICS 6.4, 6.8, 6.18."""
    seen = Executing()

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(seen)
        future.set_result(None)
        future.add_done_callback(seen)
        await turns()

    events = run_on_uvloop(main)
    future, *_ = events.ids("Future")
    first, second, *_ = events.ids("Handle")
    names = {"future": future, "first": first, "second": second, "main": events.ids("Task")[0]}
    assert told(events.of(future, first, second), **names) == [
        "init future Future by main",
        "init first Handle by future",
        "promise_resolve future",
        "destroy future",
        "init second Handle by future",
        "before first",
        "after first",
        "destroy first",
        "before second",
        "after second",
        "destroy second",
    ]
    assert seen.triggers == [future, future]


def test_a_task_executes_in_steps_that_are_no_handles() -> None:
    """SEMANTICS 6.1, 6.5, 6.18."""

    async def work() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.create_task(work(), name="work")

    events = run_on_uvloop(main)
    main_task, task = events.ids("Task")[:2]
    assert told(events.of(task), task=task, main=main_task) == [
        "init task Task by main",
        "before task",
        "after task",
        "before task",
        "after task",
        "before task",
        "promise_resolve task",
        "after task",
        "destroy task",
    ]


def test_a_task_is_the_resource_that_executes() -> None:
    """SEMANTICS 9.3, 6.18."""

    async def main() -> None:
        assert whence.execution_async_resource() is asyncio.current_task()
        await asyncio.sleep(0)
        assert whence.execution_async_resource() is asyncio.current_task()

    run_on_uvloop(main)


@pytest.mark.parametrize("how", ["fails", "is cancelled", "is cancelled before its first step"])
def test_a_task_that_does_not_return_ends_like_any_other(how: str) -> None:
    """SEMANTICS 6.5, 6.18."""

    async def work() -> None:
        if how == "fails":
            raise ValueError("on purpose")
        await asyncio.sleep(10)

    async def main() -> None:
        task = asyncio.create_task(work())
        if how != "is cancelled before its first step":
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    events = run_on_uvloop(main)
    names = events.names(events.ids("Task")[1])
    assert names[-4:] == ["before", "promise_resolve", "after", "destroy"] or how == "fails"
    assert names.count("promise_resolve") == names.count("destroy") == 1
    assert names.count("before") == names.count("after") == (2 if how == "is cancelled" else 1)


def test_tasks_groups_and_gathers_are_followed() -> None:
    async def work() -> list[int]:
        return events_of_now()

    def events_of_now() -> list[int]:
        return [whence.execution_async_id(), whence.trigger_async_id()]

    got: list[list[int]] = []

    async def main() -> None:
        me = whence.execution_async_id()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for _ in range(2)]
        got.extend(task.result() for task in tasks)
        got.extend(await asyncio.gather(work(), work()))
        got.append(await asyncio.Task(work()))
        assert [trigger for _, trigger in got] == [me] * 5

    events = run_on_uvloop(main)
    assert len({async_id for async_id, _ in got}) == 5
    assert all(events.type_of(async_id) == "Task" for async_id, _ in got)


def test_a_task_from_before_the_first_hook_is_followed_from_its_next_step_on() -> None:
    hook, events = listening()

    async def parked(future: "asyncio.Future[None]") -> None:
        await future

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(parked(future))
        await asyncio.sleep(0)
        hook.enable()
        future.set_result(None)
        await task
        hook.disable()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    task = events.ids("Task")[0]
    assert told(events.of(task), task=task) == [
        "init task Task by top",
        "before task",
        "promise_resolve task",
        "after task",
        "destroy task",
    ]


def test_a_loop_from_before_the_first_hook_is_followed() -> None:
    """SEMANTICS 2.11, 6.18."""
    with new_uvloop() as loop, record() as events:
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert story(events, "Handle") == [
        "init Handle1 Handle by top",
        "before Handle1",
        "after Handle1",
        "destroy Handle1",
    ]


def test_a_loop_of_a_derived_class_is_followed_once() -> None:
    class Loop(uvloop.Loop):  # type: ignore[misc]
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
            calls.append(callback)
            return super().call_soon(callback, *args, context=context)

    calls: list[Any] = []
    loop = Loop()
    with record() as events:
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
    assert calls == [loop.stop]
    assert [events.names(i) for i in events.ids()] == [["init", "before", "after", "destroy"]]


def test_a_method_bound_before_the_first_hook_is_not_followed_and_works() -> None:
    got: list[int] = []
    with new_uvloop() as loop:
        call_soon = loop.call_soon
        with record() as events:
            call_soon(got.append, 1)
            call_soon(loop.stop)
            loop.run_forever()
    assert got == [1]
    assert events == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
class TestEagerTasks:
    async def at_once(self) -> list[int]:
        return [whence.execution_async_id(), whence.trigger_async_id()]

    async def later(self) -> list[int]:
        before = whence.execution_async_id()
        await asyncio.sleep(0)
        return [before, whence.execution_async_id()]

    def check(self, start: Callable[[Any], Any]) -> None:
        async def main() -> None:
            me = whence.execution_async_id()
            done, waiting = start(self.at_once()), start(self.later())
            assert done.done()
            assert whence.execution_async_id() == me
            (first, trigger), (before, after) = done.result(), await waiting
            assert trigger == me
            assert before == after
            ids.extend([me, first, before])

        ids: list[int] = []
        events = run_on_uvloop(main)
        me, first, second = ids
        assert told(events.of(first, second), first=first, second=second, me=me) == [
            "init first Task by me",
            "before first",
            "promise_resolve first",
            "after first",
            "destroy first",
            "init second Task by me",
            "before second",
            "after second",
            "before second",
            "promise_resolve second",
            "after second",
            "destroy second",
        ]

    def test_one_made_by_its_class(self) -> None:
        self.check(
            lambda coroutine: asyncio.Task(
                coroutine, loop=asyncio.get_running_loop(), eager_start=True
            )
        )

    @pytest.mark.skipif(
        sys.version_info >= (3, 13),
        reason="the factory of 3.13.0 refuses what uvloop gives it, also without whence",
    )
    def test_one_made_by_the_eager_factory(self) -> None:
        def start(coroutine: Any) -> Any:
            loop = asyncio.get_running_loop()
            loop.set_task_factory(asyncio.eager_task_factory)
            try:
                return loop.create_task(coroutine)
            finally:
                loop.set_task_factory(None)

        self.check(start)

    @pytest.mark.skipif(sys.version_info < (3, 13), reason="uvloop passes it on from 3.13 on")
    def test_one_made_by_the_loop(self) -> None:
        def start(coroutine: Any) -> Any:
            loop: Any = asyncio.get_running_loop()
            task = loop.create_task(coroutine, name="eager", eager_start=True)
            assert task.get_name() == "eager"
            return task

        self.check(start)


def test_an_executor_job_is_followed_and_what_it_settles_is_its_doing() -> None:
    """SEMANTICS 6.15, 6.18."""

    async def main() -> None:
        me = whence.execution_async_id()
        loop = asyncio.get_running_loop()
        ids = await loop.run_in_executor(None, whence.execution_async_id)
        assert await asyncio.to_thread(whence.trigger_async_id) == me
        jobs.append(ids)

    jobs: list[int] = []
    events = run_on_uvloop(main)
    assert events.type_of(jobs[0]) == "ExecutorJob"
    assert events.names(jobs[0]) == ["init", "before", "after", "destroy"]


def test_everything_is_put_back_when_the_last_hook_goes() -> None:
    from whence.instrumentation.uvloop_sealed import sealed

    places = [
        uvloop.Loop,
        *(sealed.Handle, sealed.TimerHandle, sealed.Server),
        *(sealed.UVBaseTransport, sealed._SSLProtocolTransport),
    ]
    before = [dict(vars(place)) for place in places]
    for _ in range(2):
        with record():
            during = [dict(vars(place)) for place in places]
            assert not any(a == b for a, b in zip(before, during, strict=True))
        assert [dict(vars(place)) for place in places] == before


def test_what_somebody_puts_on_top_stays_and_goes_on_working(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[Any] = []
    with record() as events:
        ours = uvloop.Loop.call_soon

        def call_soon(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return ours(self, *args, **kwargs)

        monkeypatch.setattr(uvloop.Loop, "call_soon", call_soon)
    with new_uvloop() as loop:
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert len(calls) == 1
    assert events == []
    assert uvloop.Loop.call_soon is call_soon
