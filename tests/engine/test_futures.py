"""Futures: their events, and that they are asyncio's own otherwise; SEMANTICS 6.4, 6.7 to 6.9."""

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from telling import listening, run_followed, told, turns
from whence import AsyncResource, create_hook, execution_async_id, trigger_async_id
from whence.testing import Events, record


def by_result(future: "asyncio.Future[Any]") -> object:
    future.set_result(5)
    return future.result()


def by_exception(future: "asyncio.Future[Any]") -> object:
    future.set_exception(LookupError("x"))
    return repr(future.exception())


def by_cancelling(future: "asyncio.Future[Any]") -> object:
    assert future.cancel("message")
    return future.cancelled()


WAYS = {"result": by_result, "exception": by_exception, "cancel": by_cancelling}


@pytest.mark.parametrize("made", ["by the loop", "directly", "in a class of the program's"])
@pytest.mark.parametrize("way", WAYS)
def test_a_future_has_three_events_however_it_is_made_and_settled(way: str, made: str) -> None:
    """SEMANTICS 6.4: no before and no after."""

    async def main() -> tuple[list[str], object]:
        class Promise(asyncio.Future):  # type: ignore[type-arg]
            """Of the program's own, made while a hook is on."""

        make: dict[str, Callable[[], asyncio.Future[Any]]] = {
            "by the loop": asyncio.get_running_loop().create_future,
            "directly": asyncio.Future,
            "in a class of the program's": Promise,
        }
        with record() as events:
            future = make[made]()
            result = WAYS[way](future)
            (async_id,) = events.ids()
            with pytest.raises(asyncio.InvalidStateError):
                future.set_result(1)
            with pytest.raises(asyncio.InvalidStateError):
                future.set_exception(LookupError)
            assert not future.cancel()
            await turns()
        return told(events.of(async_id), f=async_id, main=execution_async_id()), result

    events, result = run_followed(main())
    assert events == ["init f Future by main", "promise_resolve f", "destroy f"]
    assert result == {"result": 5, "exception": "LookupError('x')", "cancel": True}[way]


def test_a_failed_settling_is_no_event() -> None:
    """SEMANTICS 6.4: what asyncio refuses did not happen."""

    async def main() -> Events:
        with record() as events:
            future = asyncio.get_running_loop().create_future()
            wrong: Any = 5
            with pytest.raises(TypeError):
                future.set_exception(wrong)
            assert [e[0] for e in events] == ["init"]
            future.set_result(None)
        return events

    assert [e[0] for e in run_followed(main())] == ["init", "promise_resolve", "destroy"]


def test_a_failed_construction_is_no_event() -> None:
    """SEMANTICS 6.12, 5.3."""
    no_loop: Any = object()
    with record() as events, pytest.raises(AttributeError, match="get_debug"):
        asyncio.Future(loop=no_loop)
    assert events == []


def test_done_callbacks_are_handles_that_the_future_triggers() -> None:
    """SEMANTICS 6.7, 6.8: several, in order; of one that was removed there is none."""
    seen: list[tuple[str, int, int]] = []

    def note(name: str) -> None:
        seen.append((name, execution_async_id(), trigger_async_id()))

    async def main() -> tuple[list[str], int, list[int]]:
        def first(_: object) -> None:
            note("first")

        def removed(_: object) -> None:
            note("removed")

        def second(_: object) -> None:
            note("second")

        def added_late(_: object) -> None:
            note("added late")

        with record() as events:
            future = asyncio.get_running_loop().create_future()
            for callback in (first, removed, second):
                future.add_done_callback(callback)
            future.remove_done_callback(removed)
            AsyncResource("SETTLER").run_in_async_scope(future.set_result, None)
            await turns()
            future.add_done_callback(added_late)
            await turns()
        future_id, handles = events.ids("Future")[0], events.ids("Handle")
        names = dict(zip(("h1", "h2", "h3"), handles, strict=True), f=future_id)
        return told(events.of(future_id, *handles), **names), future_id, handles

    events, future_id, handles = run_followed(main())
    creation = events[0]
    assert creation.startswith("init f Future by ")
    settling = events[1:5]
    assert sorted(settling) == [
        "destroy f",
        "init h1 Handle by f",
        "init h2 Handle by f",
        "promise_resolve f",
    ]
    assert events[5:] == [
        "before h1",
        "after h1",
        "destroy h1",
        "before h2",
        "after h2",
        "destroy h2",
        "init h3 Handle by f",
        "before h3",
        "after h3",
        "destroy h3",
    ]
    assert seen == [
        ("first", handles[0], future_id),
        ("second", handles[1], future_id),
        ("added late", handles[2], future_id),
    ]


def test_a_callback_on_a_future_made_before_the_hook_is_followed() -> None:
    """SEMANTICS 6.9: its trigger is consistent with what it sees itself."""
    seen: list[tuple[int, int]] = []

    async def main() -> Events:
        future = asyncio.get_running_loop().create_future()
        with record() as events:
            future.add_done_callback(
                lambda _: seen.append((execution_async_id(), trigger_async_id()))
            )
            future.set_result(None)
            await turns()
        return events

    events = asyncio.run(main())
    ((handle, trigger),) = seen
    assert events.trigger_of(handle) == trigger
    assert events.names(handle) == ["init", "before", "after", "destroy"]


def test_a_callback_on_a_followed_future_leads_to_it_also_for_a_hook_enabled_later() -> None:
    """SEMANTICS 6.9: the promise has an id, so that is the trigger."""

    async def main() -> tuple[int, int]:
        with record() as before:
            future = asyncio.get_running_loop().create_future()
        hook, events = listening()
        with hook:
            future.add_done_callback(lambda _: None)
            future.set_result(None)
            await turns()
        return before.ids("Future")[0], events.trigger_of(events.ids("Handle")[0])

    future, trigger = run_followed(main())
    assert future == trigger


def test_the_resolution_comes_before_the_callbacks_run() -> None:
    """SEMANTICS 6.7."""
    log: list[str] = []

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: log.append("callback"))
        with create_hook(promise_resolve=lambda i: log.append("resolved")):
            future.set_result(None)
            log.append("returned")
            await turns()

    run_followed(main())
    assert log[:3] == ["resolved", "returned", "callback"]


def test_a_hook_that_settles_the_future_that_it_hears_of() -> None:
    """init with a future that is settled at once: its life is whole, and in order."""
    events = Events()

    def init(async_id: int, type: str, trigger: int, resource: Any) -> None:
        events.append(("init", async_id, type, trigger))
        if type == "Future":
            resource.set_result("by the hook")

    hook = create_hook(
        init=init,
        destroy=lambda i: events.append(("destroy", i)),
        promise_resolve=lambda i: events.append(("promise_resolve", i)),
    )

    async def main() -> object:
        with hook:
            future = asyncio.get_running_loop().create_future()
        return await future

    assert run_followed(main()) == "by the hook"
    assert [e[0] for e in events] == ["init", "promise_resolve", "destroy"]


def test_a_future_of_another_thread_is_resolved_there() -> None:
    """SEMANTICS 6.7: in the context of whoever settles."""
    seen: list[int] = []

    async def main() -> int:
        future: concurrent.futures.Future[int] = concurrent.futures.Future()
        wrapped = asyncio.wrap_future(future)
        with create_hook(promise_resolve=lambda i: seen.append(threading.get_ident())):
            thread = threading.Thread(target=future.set_result, args=(7,))
            thread.start()
            thread.join()
            return await wrapped

    assert run_followed(main()) == 7
    assert set(seen) == {threading.get_ident()}


def test_gather_gives_a_future_with_events_of_its_own() -> None:
    """SEMANTICS 6.4."""

    async def main() -> tuple[list[str], Any]:
        with record() as events:
            gathered = asyncio.gather(turns(1), turns(1))
            assert isinstance(gathered, asyncio.Future)
            future = events.ids("Future")[0]
            results = await gathered
        return events.names(future), results

    names, results = run_followed(main())
    assert names == ["init", "promise_resolve", "destroy"]
    assert results == [None, None]


def test_cancelling_what_gather_gave_cancels_its_children() -> None:
    """SEMANTICS 6.12."""

    async def main() -> tuple[list[str], list[str]]:
        with record() as events:
            gathered = asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))
            await turns(1)
            gathered.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gathered
        child = events.ids("Task")[0]
        return events.names(child), events.names(events.ids("Future")[0])

    task, future = run_followed(main())
    assert task[-3:] == ["promise_resolve", "after", "destroy"]
    assert future == ["init", "promise_resolve", "destroy"]


class Hostile:
    """A result that says nothing of itself."""

    def _no(self, *_: object) -> Any:
        raise LookupError("asked")

    __eq__ = __hash__ = __bool__ = __repr__ = __str__ = _no


def test_nothing_is_asked_of_a_result() -> None:
    result = Hostile()

    async def main() -> object:
        future = asyncio.get_running_loop().create_future()
        future.set_result(result)
        return await future

    assert run_followed(main()) is result


class HostileError(Exception):
    def __str__(self) -> str:
        raise LookupError("asked")

    __repr__ = __str__


def test_an_error_that_cannot_be_shown_settles_a_future_all_the_same() -> None:
    async def main() -> BaseException | None:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(HostileError())
        return future.exception()

    assert isinstance(run_followed(main()), HostileError)


@pytest.mark.parametrize("hooked", [False, True])
def test_an_exception_that_is_never_retrieved_is_reported_as_ever(hooked: bool) -> None:
    """SEMANTICS 6.12: we look at the exception, and retrieve nothing."""
    reports: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context["message"]))
        loop.create_future().set_exception(LookupError())
        await turns()

    if hooked:
        with record():
            run_followed(main())
    else:
        asyncio.run(main())
    assert reports == ["Future exception was never retrieved"]


def test_the_errors_of_a_future_have_no_frame_of_ours() -> None:
    """SEMANTICS 6.12."""

    async def main() -> list[str]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        try:
            future.set_result(None)
        except asyncio.InvalidStateError as error:
            traceback = error.__traceback__
        files = []
        while traceback is not None:
            files.append(traceback.tb_frame.f_code.co_filename)
            traceback = traceback.tb_next
        return files

    assert set(run_followed(main())) <= {__file__, asyncio.futures.__file__}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no such attribute before")
def test_awaiting_is_noted_as_ever() -> None:
    """SEMANTICS 6.12: what C and Python code read of a future is in its place."""

    async def main() -> list[bool]:
        future = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await future

        task = asyncio.create_task(wait())
        await turns(1)
        noted = [task._fut_waiter is future, future._asyncio_future_blocking]  # type: ignore[attr-defined]
        future.set_result(None)
        await task
        return noted

    assert run_followed(main()) == [True, False]


def test_a_program_may_keep_data_on_a_future() -> None:
    """SEMANTICS 9.1, 6.12."""

    async def main() -> object:
        future: Any = asyncio.get_running_loop().create_future()
        future.data = 5
        return future.data

    assert run_followed(main()) == 5
