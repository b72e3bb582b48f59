import asyncio

import pytest

from whence.engine.resource_types import known_types
from whence.naming import short_name, span_name


@pytest.mark.parametrize(
    ("type_name", "name", "expected"),
    [
        ("Task", "checkout", "task checkout"),
        ("Task", "Basket.checkout", "task Basket.checkout"),
        ("Task", "serve.<locals>.worker", "task worker"),
        ("Task", "a.<locals>.b.<locals>.C.run", "task C.run"),
        ("Task", None, "task"),
        ("TimerHandle", "poll", "timer poll"),
        ("Handle", "poll", "callback poll"),
        ("ExecutorJob", "resize", "executor resize"),
        ("Transport", "connect", "connect"),
        ("Transport", "accept", "accept"),
        ("Transport", None, "connection"),
        ("Request", "GET /items/{id}", "GET /items/{id}"),
        ("Request", None, "request"),
        ("Server", None, "server"),
        ("Thread", "worker", "thread worker"),
        ("GetAddrInfo", None, "getaddrinfo"),
        ("Process", "convert", "process convert"),
        ("DATABASE", None, "DATABASE"),
        ("DATABASE", "select", "DATABASE select"),
    ],
)
def test_a_span_is_named_by_its_type_and_by_what_it_runs(
    type_name: str, name: str | None, expected: str
) -> None:
    assert span_name(type_name, name) == expected


def test_every_type_has_a_name_of_its_own_without_a_name() -> None:
    built_in = [row.name for row in known_types()[:18]]
    names = [span_name(name, None) for name in built_in]
    assert all(names)
    assert len(set(names) - {"timer"}) == len(built_in) - 2, "the two kinds of timers share one"


def test_a_timer_is_called_by_what_the_program_asked_for() -> None:
    """The names are those of the functions that asyncio really gives to its loop."""
    loop = asyncio.new_event_loop()
    called: list[str] = []

    async def ask() -> None:
        original = loop.call_at

        def call_at(when, callback, *args, **kwargs):  # type: ignore[no-untyped-def]
            called.append(short_name(callback.__qualname__))
            return original(when, callback, *args, **kwargs)

        loop.call_at = call_at  # type: ignore[method-assign, assignment]
        await asyncio.sleep(0.001)
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.sleep(0), 5)
        await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0))], timeout=5)

    loop.run_until_complete(ask())
    loop.close()
    assert called == ["sleep", "timeout", "timeout", "timeout"]
