"""Which of many futures nothing can settle any more."""

import asyncio
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import whence
from whence.live import stranded as module
from whence.live import take

AnyFuture = asyncio.Future[None]


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # The heap of the tests is large, and the machine may be slow.
    monkeypatch.setattr(module, "_PATIENCE", 60)
    whence.attach(export="none", no_live="1")
    yield
    whence.detach()


class Owner:
    """Keeps a future; a class of the program's."""

    def __init__(self, kept: object) -> None:
        self.kept = kept


async def wait_for(future: AnyFuture, beside: object = None) -> None:
    await future


def alone(futures: list[AnyFuture], elsewhere: list[object]) -> list[Any]:
    return [wait_for(futures[0]), wait_for(futures[1])]


def in_a_table_of_its_waiter(futures: list[AnyFuture], elsewhere: list[object]) -> list[Any]:
    return [wait_for(future, {"replies": {7: [future]}}) for future in futures]


def of_an_owner(futures: list[AnyFuture], elsewhere: list[object]) -> list[Any]:
    elsewhere += map(Owner, futures)
    return [wait_for(future) for future in futures]


def in_a_table_of_another_task(futures: list[AnyFuture], elsewhere: list[object]) -> list[Any]:
    table = list(futures)
    return [wait_for(future, table) for future in futures]


def known_weakly(futures: list[AnyFuture], elsewhere: list[object]) -> list[Any]:
    elsewhere += map(weakref.ref, futures)
    return [wait_for(future) for future in futures]


WAYS: dict[Callable[..., list[Any]], bool] = {
    alone: True,
    of_an_owner: False,
    in_a_table_of_its_waiter: True,
    in_a_table_of_another_task: False,
    known_weakly: False,
}
"""How two futures are awaited -> whether nothing can settle them."""


def test_each_is_told_from_the_others_that_are_looked_at_with_it() -> None:
    elsewhere: list[object] = []
    ways = [way for _ in range(9) for way in WAYS]
    assert 2 * len(ways) > 2 * module._AT_ONCE

    async def main() -> list[bool]:
        loop = asyncio.get_running_loop()
        tasks = [
            asyncio.create_task(coroutine)
            for way in ways
            for coroutine in way([loop.create_future(), loop.create_future()], elsewhere)
        ]
        while any(task._fut_waiter is None for task in tasks):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        table = take(deep=True)
        for task in tasks:
            task.cancel()
        waiting = [one for one in table.resources if one.name == "task wait_for"]
        return [bool(set(one.awaits) & set(table.stranded)) for one in waiting]

    assert asyncio.run(main()) == [WAYS[way] for way in ways for _ in range(2)]


def test_a_table_of_very_many_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beside it are."""
    monkeypatch.setattr(module, "MAX_OBJECTS", 3)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        hub, plain = loop.create_future(), loop.create_future()
        tables = [[hub] for _ in range(10)]
        tasks = [asyncio.create_task(wait_for(hub, tables)), asyncio.create_task(wait_for(plain))]
        del hub, plain
        while any(task._fut_waiter is None for task in tasks):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        found = len(take(deep=True).stranded)
        for task in tasks:
            task.cancel()
        return found

    assert asyncio.run(main()) == 1
