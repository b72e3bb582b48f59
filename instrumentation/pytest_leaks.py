"""What a test leaves open, for the option `--whence-leaks` of the pytest plug-in.

A test fails whose teardown is over while something that it made is still open, a connection, a
server, a timer, a thread; or whose runner had to cancel a task.  What a fixture of a wider scope
has made is left by no test.  Futures and callbacks are steps of something else and do not count.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

import whence
from whence.engine import drain_collected, local, open_lifetimes
from whence.live import ActiveResource, active_resources

from .patching import Patches


class Leaks:
    """Compares what is open before and after each test."""

    def __init__(self) -> None:
        self._attached_here = not whence.attached()
        if self._attached_here:
            whence.attach(export="none", no_live="1")
        self._patches = Patches()
        self._patches.wrap(asyncio.runners, "_cancel_all_tasks", self._cancel_all_tasks)
        self._before: frozenset[int] = frozenset()
        self._of_wider_fixtures: set[int] = set()
        self._cancelled: list[ActiveResource] = []

    def pytest_unconfigure(self) -> None:
        """Called by pytest."""
        self._patches.undo()
        if self._attached_here:
            whence.detach()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Called by pytest."""
        before = set(open_lifetimes)
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                self._of_wider_fixtures |= set(open_lifetimes) - before

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, None, None]:
        """Called by pytest."""
        self._before = frozenset(open_lifetimes)
        self._cancelled = []
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        """Called by pytest."""
        yield
        # What is only waiting to be collected is not left behind.
        gc.collect()
        drain_collected(local.state)
        left = [*self._cancelled, *self._new(active_resources())]
        if left:
            pytest.fail(_text(left), pytrace=False)

    def _new(self, resources: list[ActiveResource]) -> list[ActiveResource]:
        known = self._before | self._of_wider_fixtures
        return [
            one
            for one in resources
            if one.async_id not in known and one.name not in _OF_OTHERS and _is_of_its_own(one)
        ]

    def _cancel_all_tasks(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """A runner comes to its end, and the tasks that are left to theirs."""
        tasks = [one for one in active_resources() if one.type == "Task"]
        self._cancelled += self._new(tasks)
        return wrapped(*args, **kwargs)


_OF_OTHERS = frozenset(
    {
        # In which anyio runs tests.
        "task TestRunner._run_tests_and_fixtures",
        # In which asyncio closes an async generator that was only dropped.
        "task async_generator_athrow",
    }
)
"""What is not the test's."""


def _is_of_its_own(one: ActiveResource) -> bool:
    """Whether the program made it, and no library in passing."""
    lifetime = open_lifetimes.get(one.async_id)
    return one.site is not None and lifetime is not None and not lifetime.transparent


def _text(left: list[ActiveResource]) -> str:
    places = Counter(f"{one.name}  made at {one.site}" for one in left)
    lines = [
        f"  {place}" + (f"  ({number} times)" if number > 1 else "")
        for place, number in places.items()
    ]
    return "\n".join([f"whence: left open by this test: {len(left)}", *lines])
