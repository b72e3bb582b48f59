"""What a loop is given that has handles of its own: brackets that look like what they bracket."""

import asyncio
import copy
import functools
import inspect
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import whence
from telling import policy, turns
from whence.engine import RecordedLifetime, SpanLifetime, open_lifetimes, site
from whence.engine.callbacks import Callback
from whence.engine.failures import failing
from whence.engine.resource_types import HANDLE, READER
from whence.engine.scheduling import bracket, follow
from whence.testing import record

uvloop: Any = pytest.importorskip("uvloop")

MILLISECOND = 1_000_000


@pytest.fixture
def recording() -> Iterator[None]:
    whence.attach(export=("none",), min_duration=0)
    yield
    whence.detach()


def run(main: Any) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


class Instance:
    """Has attributes of its own."""

    colour = "green"

    def __call__(self, *args: Any) -> Any:
        return args

    def __repr__(self) -> str:
        return "<instance>"

    def method(self) -> None:
        """Do nothing."""


def function(first: int, *rest: int) -> tuple[int, ...]:
    """Give back what was given."""
    return (first, *rest)


INSTANCE = Instance()


@pytest.mark.parametrize(
    "callback", [function, print, INSTANCE, INSTANCE.method, functools.partial(function, 1), 5]
)
def test_a_callback_shows_itself_as_what_it_brackets(callback: Any) -> None:
    shown = bracket(callback, ())
    assert (repr(shown), str(shown), f"{shown}") == (repr(callback), str(callback), f"{callback}")
    for name in ("__name__", "__qualname__", "__self__", "__func__", "__code__", "colour"):
        assert hasattr(shown, name) == hasattr(callback, name)
        if hasattr(callback, name):
            assert getattr(shown, name) == getattr(callback, name)
    assert shown.__wrapped__ is callback
    assert callable(shown)


def test_it_is_known_for_a_coroutine_function_if_it_brackets_one() -> None:
    assert inspect.iscoroutinefunction(bracket(asyncio.sleep, (1,)))
    assert not inspect.iscoroutinefunction(bracket(function, (1,)))


def test_it_takes_attributes_and_can_be_copied_without_harm() -> None:
    callback: Any = bracket(function, (1,))
    callback.note = "mine"
    assert callback.note == "mine"
    assert not hasattr(function, "note")
    with pytest.raises(AttributeError):
        Callback().lifetime  # noqa: B018
    assert copy.copy(callback).note == "mine"


def test_following_says_init_and_running_says_the_rest() -> None:
    with record() as events:
        once, again = bracket(function, (1, 2)), bracket(int, ())
        follow(once, HANDLE)
        follow(again, READER)
        once()
        again()
        again()
    first, second = events.ids()
    assert events.names(first) == ["init", "before", "after", "destroy"]
    assert events.names(second) == ["init", "before", "after", "before", "after"]


def test_a_failure_where_no_loop_runs_is_told_to_nobody() -> None:
    with record() as events:
        callback = bracket(divmod, (1, 0))
        follow(callback, HANDLE)
        with pytest.raises(ZeroDivisionError) as caught:
            callback()
        assert whence.execution_async_id() == 1
    assert events.names(events.ids()[0]) == ["init", "before", "after", "destroy"]
    assert failing == {}
    assert [str(entry.path) for entry in caught.traceback] == [__file__]


@pytest.mark.usefixtures("recording")
def test_a_timer_is_ready_when_it_is_due_and_runs_while_its_callback_does() -> None:
    async def main() -> SpanLifetime:
        asyncio.get_running_loop().call_later(0.02, time.sleep, 0.02)
        (timer,) = (s for s in open_lifetimes.values() if s.type.name == "TimerHandle")
        assert isinstance(timer, SpanLifetime)
        await asyncio.sleep(0.1)
        return timer

    timer = run(main)
    assert timer.steps == 1
    assert timer.run >= 20 * MILLISECOND
    assert timer.wait >= 15 * MILLISECOND
    assert timer.outcome == "done"
    assert timer.name == "sleep"


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("delay", [float("inf"), 0, -5, 10**400])
def test_a_timer_of_any_delay_is_recorded(delay: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(delay, int)
        await asyncio.sleep(0.002)
        timer.cancel()

    run(main)


@pytest.mark.usefixtures("recording")
def test_a_callback_that_fails_says_why() -> None:
    async def main() -> SpanLifetime:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        loop.call_later(0.001, divmod, 1, 0)
        (timer,) = (s for s in open_lifetimes.values() if s.type.name == "TimerHandle")
        assert isinstance(timer, SpanLifetime)
        await asyncio.sleep(0.02)
        return timer

    timer = run(main)
    assert timer.error == ("ZeroDivisionError", "integer division or modulo by zero")
    assert timer.outcome == "failed"


@pytest.mark.usefixtures("recording")
def test_a_task_runs_in_its_steps_and_is_ready_between_them() -> None:
    async def work() -> None:
        for _ in range(3):
            time.sleep(0.005)  # noqa: ASYNC251 - the loop is to be held
            await asyncio.sleep(0)

    async def main() -> RecordedLifetime:
        task = asyncio.create_task(work())
        lifetime: RecordedLifetime = task._whence.lifetime  # type: ignore[attr-defined]
        await task
        return lifetime

    lifetime = run(main)
    assert lifetime.steps == 4
    assert 15 * MILLISECOND <= lifetime.run < 60 * MILLISECOND


@pytest.mark.usefixtures("recording")
def test_what_a_program_schedules_is_sited_where_it_does() -> None:
    async def main() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        loop.call_soon(int)
        loop.call_later(10, int)
        task = asyncio.create_task(asyncio.sleep(0))
        future = loop.create_future()
        here = {s.type.name: site(s.code, s.lasti) for s in open_lifetimes.values()}
        await task
        future.cancel()
        return here

    sites = run(main)
    first = test_what_a_program_schedules_is_sited_where_it_does.__code__.co_firstlineno
    for number, type_ in enumerate(("Handle", "TimerHandle", "Task", "Future"), start=first + 4):
        assert (sites[type_].file, sites[type_].line) == (__file__, number)


def test_a_scope_is_entered_with_each_step_of_its_task() -> None:
    from whence.engine import close_scope, local, open_scope
    from whence.engine.resource_types import REQUEST

    class Work:
        """What the scope is."""

    async def main() -> None:
        work = Work()
        scope = open_scope(local.state, REQUEST, work)
        assert scope is not None
        inside = whence.execution_async_id()
        assert events.type_of(inside) == "Request"
        await turns(2)
        assert whence.execution_async_id() == inside
        assert whence.execution_async_resource() is work
        close_scope(local.state, scope)
        assert events.type_of(whence.execution_async_id()) == "Task"

    with record() as events:
        run(main)
    assert events.names(events.ids("Request")[0]) == [
        *("init", "before", "after", "before", "after", "before", "after", "destroy")
    ]


def test_hooks_that_change_in_a_callback_change_when_the_event_is_over() -> None:
    heard: list[str] = []

    def once(async_id: int) -> None:
        heard.append("once")
        hook.disable()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        hook.enable()
        loop.call_soon(int)
        loop.call_soon(int)
        await turns(2)

    hook = whence.create_hook(before=once)
    run(main)
    assert heard == ["once"]


def test_a_hook_that_fails_harms_neither_the_callback_nor_the_stack(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*event: Any) -> None:
        raise LookupError(f"no {len(event)}")

    got: list[int] = []

    async def main() -> None:
        me = whence.execution_async_id()
        loop = asyncio.get_running_loop()
        loop.call_soon(got.append, 1)
        loop.call_later(0.001, got.append, 2)
        await asyncio.sleep(0.01)
        assert whence.execution_async_id() == me

    hook = whence.create_hook(init=fail, before=fail, after=fail, destroy=fail)
    with policy("log"), hook:
        run(main)
    assert sorted(got) == [1, 2]
    assert "no 4" in capsys.readouterr().err
    assert whence.execution_async_id() == 1


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_soon_threadsafe"])
def test_what_there_is_no_stack_to_schedule_is_not_scheduled(method: str) -> None:
    """Each call either raises or has its callback run, as without us."""
    ran: list[None] = []
    refused: list[RecursionError] = []
    told: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        given = (0.0,) if method == "call_later" else ()

        def at_depth(number: int) -> None:
            if number:
                at_depth(number - 1)
            else:
                getattr(loop, method)(*given, ran.append, None)

        for depth in range(sys.getrecursionlimit() - 150, sys.getrecursionlimit()):
            try:
                at_depth(depth)
            except RecursionError as error:
                refused.append(error)
        await asyncio.sleep(0.01)

    run(main)
    assert told == []
    assert ran, "some fit"
    assert refused, "some do not"
    assert len(ran) + len(refused) == 150
