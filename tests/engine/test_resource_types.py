"""The table of types: SEMANTICS 11."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from whence import AsyncResource, async_wrap_providers
from whence.engine import resource_types
from whence.engine.resource_types import (
    FUTURE,
    HANDLE,
    MAX_USER_TYPES,
    TASK,
    known_types,
    select_types,
    type_named,
)

OF_SECTION_6 = {
    "Handle",
    "TimerHandle",
    "Future",
    "Task",
    "Reader",
    "Writer",
    "SignalHandle",
    "Server",
    "Transport",
    "DatagramTransport",
    "SSLProtocol",
    "Process",
    "GetAddrInfo",
    "GetNameInfo",
    "ExecutorJob",
    "Thread",
    "Timer",
}


@pytest.fixture
def table() -> Iterator[None]:
    """The table, put back as it was."""
    before = dict(resource_types._by_name)
    yield
    resource_types._by_name.clear()
    resource_types._by_name.update(before)


def test_the_providers_are_a_mapping_of_names_to_different_numbers() -> None:
    """SEMANTICS 11."""
    assert isinstance(async_wrap_providers, Mapping)
    assert set(async_wrap_providers) >= OF_SECTION_6
    numbers = list(async_wrap_providers.values())
    assert {type(number) for number in numbers} == {int}
    assert len(set(numbers)) == len(numbers) == len(async_wrap_providers)
    assert "no such type" not in async_wrap_providers
    with pytest.raises(KeyError):
        async_wrap_providers["no such type"]


def test_the_providers_cannot_be_changed() -> None:
    """SEMANTICS 11."""
    providers: Any = async_wrap_providers
    before = dict(providers)
    with pytest.raises(TypeError):
        providers["Task"] = 1
    with pytest.raises(TypeError):
        del providers["Task"]
    for method in ("clear", "pop", "popitem", "update", "setdefault"):
        assert not hasattr(providers, method)
    assert dict(providers) == before


def test_numbers_do_not_change(table: None) -> None:
    """SEMANTICS 11: what a program has stored stays right."""
    before = dict(async_wrap_providers)
    AsyncResource("a type of this test")
    after = dict(async_wrap_providers)
    number = after.pop("a type of this test")
    assert after == before
    assert number not in before.values()
    AsyncResource("a type of this test")
    assert async_wrap_providers["a type of this test"] == number


def test_it_shows_itself() -> None:
    assert repr(async_wrap_providers).startswith("async_wrap_providers({'Task': 1, ")


def test_types_that_threads_make_up_at_once_have_different_numbers(
    table: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEMANTICS 11."""
    barrier = threading.Barrier(4)

    class Meeting(resource_types.ResourceType):
        """All threads have chosen a number before one of them goes on."""

        __slots__ = ()

        def __init__(self, name: str, number: int) -> None:
            barrier.wait(30)
            super().__init__(name, number)

    monkeypatch.setattr(resource_types, "ResourceType", Meeting)
    names = ("mine", "yours", "shared", "shared")
    threads = [threading.Thread(target=type_named, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = list(async_wrap_providers.values())
    assert len(set(numbers)) == len(numbers)
    assert {"mine", "yours", "shared"} <= set(async_wrap_providers)


def test_a_type_has_one_row(table: None) -> None:
    assert type_named("Task") is TASK
    assert type_named("mine") is type_named("mine")
    assert type_named("mine").name == "mine"
    assert repr(type_named("mine")) == "<ResourceType mine>"
    assert known_types()[-1] is type_named("mine")
    assert known_types()[0] is TASK


def test_a_program_that_makes_up_types_without_end_does_not_make_the_table_grow_so(
    table: None,
) -> None:
    for number in range(MAX_USER_TYPES + 50):
        row = type_named(f"made up {number}")
        assert row.name == f"made up {number}"
        assert row.spans
    assert len(known_types()) <= MAX_USER_TYPES + 30
    assert type_named("made up 0") is type_named("made up 0")
    assert AsyncResource("one more").async_id() > 0


def test_which_built_in_types_become_spans_can_be_said(table: None) -> None:
    mine = type_named("mine")
    try:
        assert (TASK.spans, FUTURE.spans, HANDLE.spans, mine.spans) == (True, False, False, True)
        select_types(frozenset({"Future", "no such type"}))
        assert (TASK.spans, FUTURE.spans, HANDLE.spans, mine.spans) == (False, True, False, True)
    finally:
        select_types(None)
    assert (TASK.spans, FUTURE.spans, HANDLE.spans, mine.spans) == (True, False, False, True)
