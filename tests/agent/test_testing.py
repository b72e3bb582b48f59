"""record(): what users test their own resources with."""

import asyncio
import threading

import pytest

from telling import collector_off, turns
from whence import AsyncResource, create_hook
from whence.testing import Events, record


def test_the_events_of_a_block_are_a_list_of_tuples() -> None:
    AsyncResource("BEFORE")
    with record() as events:
        resource = AsyncResource("X", trigger_async_id=7)
        resource.run_in_async_scope(int)
        resource.emit_destroy()
    AsyncResource("AFTER")
    async_id = resource.async_id()
    assert events == [
        ("init", async_id, "X", 7),
        ("before", async_id),
        ("after", async_id),
        ("destroy", async_id),
    ]


def test_promises_resolve() -> None:
    async def main() -> None:
        asyncio.get_running_loop().create_future().set_result(None)

    with record() as events:
        asyncio.run(main())
    (future,) = events.ids("Future")[:1]
    assert events.names(future) == ["init", "promise_resolve", "destroy"]


def test_the_list_may_be_read_while_the_block_runs() -> None:
    with record() as events:
        assert events == []
        AsyncResource("X")
        assert events.ids() == [events[0][1]]


def test_recording_ends_with_the_block_whatever_ends_it() -> None:
    with pytest.raises(LookupError), record() as events:
        raise LookupError
    AsyncResource("X")
    assert events == []


def test_recordings_nest() -> None:
    with record() as outer:
        AsyncResource("A")
        with record() as inner:
            AsyncResource("B")
        AsyncResource("C")
    assert [outer.type_of(i) for i in outer.ids()] == ["A", "B", "C"]
    assert [inner.type_of(i) for i in inner.ids()] == ["B"]


def test_the_events_of_all_threads_are_in_it() -> None:
    with record() as events:
        thread = threading.Thread(target=AsyncResource, args=("IN THREAD",))
        thread.start()
        thread.join()
    (inside,) = events.ids("IN THREAD")
    assert events.type_of(events.trigger_of(inside)) == "Thread"


def test_it_keeps_no_resource() -> None:
    """What is dropped in the block can be collected there (SEMANTICS 8.4)."""
    with record() as events, collector_off():
        AsyncResource("X")
        asyncio.run(turns(1))
    assert events.names(events.ids("X")[0]) == ["init", "destroy"]


def test_questions_about_events() -> None:
    events = Events(
        [
            ("init", 5, "Server", 1),
            ("init", 6, "Transport", 5),
            ("before", 6),
            ("init", 7, "Task", 6),
            ("after", 6),
            ("init", 8, "Task", 7),
        ]
    )
    assert events.ids() == [5, 6, 7, 8]
    assert events.ids("Task") == [7, 8]
    assert events.ids("Reader") == []
    assert events.of(6) == [("init", 6, "Transport", 5), ("before", 6), ("after", 6)]
    assert events.of(5, 8) == [("init", 5, "Server", 1), ("init", 8, "Task", 7)]
    assert isinstance(events.of(6), Events)
    assert events.names(6) == ["init", "before", "after"]
    assert events.names(99) == []
    assert events.type_of(7) == "Task"
    assert events.trigger_of(7) == 6
    assert events.chain(8) == [8, 7, 6, 5, 1]
    assert events.chain(99) == [99]


@pytest.mark.parametrize("question", ["type_of", "trigger_of"])
def test_without_an_init_the_answer_is_a_clear_error(question: str) -> None:
    events = Events([("before", 5)])
    with pytest.raises(KeyError, match="no init of 5 among 1 events"):
        getattr(events, question)(5)


@pytest.mark.parametrize(
    ("triggers", "chain"), [({5: 5}, [5]), ({5: 6, 6: 5}, [5, 6]), ({5: 6, 6: 7, 7: 6}, [5, 6, 7])]
)
def test_a_chain_that_leads_round_in_a_circle_ends(
    triggers: dict[int, int], chain: list[int]
) -> None:
    """Any number may be a trigger (SEMANTICS 5.2)."""
    events = Events(("init", i, "X", trigger) for i, trigger in triggers.items())
    assert events.chain(5) == chain


def test_a_recording_comes_after_the_hooks_that_are_enabled_already() -> None:
    recorded_before: list[int] = []
    with record() as events, create_hook(init=lambda *_: recorded_before.append(len(events))):
        kept = AsyncResource("X")
        assert recorded_before == [1]
    with create_hook(init=lambda *_: recorded_before.append(len(events))), record() as events:
        kept = AsyncResource("Y")
    assert kept.async_id() == events[0][1]
    assert recorded_before == [1, 0]
